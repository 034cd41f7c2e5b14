"""A channel: the list of its members, and the only code that changes this list.

A channel has no task, and only :meth:`Channel.seat` has checkpoints. So each change of the list is one step with its
new revision and its broadcast, and no cancellation can interrupt a removal.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from gateway.channel.member import Member, Publication
from gateway.channel.recent_speakers import RecentSpeakers
from gateway.channel.restraints import Restraints
from gateway.channel.rules import LostMembers, Rule, RuleName, is_lost_member, require_unlocked
from gateway.config.config import DuplicateUsers
from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from gateway.ops.metrics import Metrics
from gateway.presence.journal import Journal
from protocol import limits
from protocol.declarations import Event
from protocol.errors import ErrorCode, RequestError
from protocol.events import (
    ActiveSpeakers,
    ChannelState,
    ConnectionQualityChanged,
    LeaveReason,
    VoiceState,
    VoiceStateType,
)
from protocol.vocabulary import Participant, Source

Welcome = Callable[["Channel"], None]
"""Puts the joiner's ``ok``, with the snapshot of the list, into its outbox."""


@define(eq=False)
class Channel:
    """The members in the order of joining, and the revision of their list.

    ``occupants`` counts members and clients that wait for a seat. The channel stays open while there is one.
    ``speakers`` holds the user ids of the last ``active_speakers``, and ``recent_speakers`` those whose cameras get
    bandwidth first. ``journal`` gets each change of the list. ``plane`` is the number of the plane that carries the
    channel's media. ``epoch`` numbers the openings of the channel: it rises with each. ``duplicate_users`` says what
    happens to a client with the secret of the session that holds its user id: it replaces this session, or it is
    rejected as well.

    Moderators decide about ``rules``, which apply to everybody, and ``restraints``, which apply to single users.
    ``lost`` has the members that a lock lets in again.
    """

    id: str
    journal: Journal
    metrics: Metrics
    max_members: int
    log: FilteringBoundLogger
    plane: int = 0
    epoch: int = 0
    revision: int = 0
    occupants: int = 0
    members: dict[str, Member] = field(factory=dict)
    speakers: tuple[str, ...] = ()
    recent_speakers: RecentSpeakers = field(factory=RecentSpeakers)
    duplicate_users: DuplicateUsers = "replace"
    rules: dict[RuleName, Rule] = field(factory=dict)
    restraints: Restraints = field(factory=Restraints)
    lost: LostMembers = field(factory=lambda: LostMembers(1, 0.0))
    # The client that waits for the seat of each user id.
    _waiting: dict[str, Member] = field(factory=dict)

    # Taking a seat.

    @asynccontextmanager
    async def seat(self, member: Member, welcome: Welcome) -> AsyncIterator["Seat"]:
        """Be a member for as long as the block runs. The seat may move to another channel meanwhile.

        First end an older session of the same user, and wait until it is gone. If several clients wait, the last one
        gets the seat. Raises :exc:`RequestError` with ``conflict`` if the member may not have this seat, with
        ``limit_exceeded`` if the channel is full, and with ``locked`` if a moderator locked it.
        """
        # The block of the media is nested inside this one, so the media has closed when the member leaves the list. The
        # removal has no checkpoint: no cancellation can leave a member on the list after its media is gone.
        seat = Seat(self, member)
        self.occupants += 1
        try:
            takes_over = self._takes_over(member)
            self._require_unlocked(member, takes_over)
            await self._wait_for_seat(member)
            # The lock may have come in the meantime.
            self._require_unlocked(member, takes_over)
            self._require_room(takes_over)
            try:
                self.admit(member, welcome)
                yield seat
            except BaseException as error:
                member.connection.end(end_reasons.of_exception(error))
                raise
            finally:
                seat.channel._remove_guarded(member)
        finally:
            seat.channel.occupants -= 1

    def _takes_over(self, newcomer: Member) -> bool:
        """Whether this client goes on for a listed session of its own."""
        older = self.members.get(newcomer.user_id)
        return older is not None and newcomer.may_take_over(older.secret)

    def _require_unlocked(self, newcomer: Member, takes_over: bool) -> None:
        require_unlocked(self.rules, newcomer, lambda: takes_over or is_lost_member(self.lost, newcomer))

    def _require_room(self, takes_over: bool) -> None:
        # Somebody who takes over makes the channel no larger, also if it has more members than the limit.
        limit = None if takes_over else self.member_limit
        most = self.max_members if limit is None else min(limit, self.max_members)
        if len(self.members) >= most:
            if most == self.max_members:
                self.metrics.limits.reached("max_members")
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, f"the channel has {most} members already")

    def _require_claim(self, newcomer: Member) -> None:
        # A listed user id belongs to the session that holds it, and a place in the queue to the client that waits
        # there. The holder comes first: a stranger that waits for its end must not keep the holder out.
        older, waiting = self.members.get(newcomer.user_id), self._waiting.get(newcomer.user_id)
        if older is not None and (newcomer.rights.duplicates or self.duplicate_users) == "reject":
            raise RequestError(ErrorCode.CONFLICT, "this user id is in the channel already")
        for holder in (older, waiting):
            if holder is None:
                continue
            if newcomer.may_take_over(holder.secret):
                return
            if not holder.is_ending:
                raise RequestError(
                    ErrorCode.CONFLICT, "this user id is in the channel already; its seat needs its session's secret"
                )

    def require_place(self, member: Member) -> None:
        """Check that a member of another channel may have a seat here at once.

        Raises :exc:`RequestError` as :meth:`seat` does. It raises ``conflict`` also for a user id that the member could
        take over, because that takes time.
        """
        if member.user_id in self.members or member.user_id in self._waiting:
            raise RequestError(ErrorCode.CONFLICT, "this user id is in that channel already")
        self._require_unlocked(member, takes_over=False)
        self._require_room(takes_over=False)

    async def _wait_for_seat(self, newcomer: Member) -> None:
        # At most one client of a user waits, because each newcomer ends the one that waited before. A session that
        # leaves by its own request keeps its connection. The newcomer only waits for that session.
        self._require_claim(newcomer)
        user_id = newcomer.user_id
        if (waiting := self._waiting.get(user_id)) is not None:
            waiting.connection.end(end_reasons.REPLACED)
        self._waiting[user_id] = newcomer
        try:
            while (older := self.members.get(user_id)) is not None:
                if older.leaving_since is None:
                    older.connection.end(end_reasons.REPLACED)
                await older.gone.wait()
                # A newer connection may have taken the seat after the older one left and before this task ran.
                await trio.lowlevel.checkpoint_if_cancelled()
        finally:
            if self._waiting.get(user_id) is newcomer:
                del self._waiting[user_id]
        await trio.lowlevel.checkpoint_if_cancelled()

    # Changing the list.

    def admit(self, member: Member, welcome: Welcome) -> None:
        """Add a member to the list, notify the others, and answer the member with the snapshot."""
        member.participant = self._present(member)
        self.members[member.user_id] = member
        self.revision += 1
        self._broadcast_change("user_joined", member, but=member)
        welcome(self)
        for event in self.present_state():
            member.connection.send_event(event)
        self.metrics.joined()
        member.connection.log.info("client joined", members=len(self.members))

    def dismiss(self, member: Member, to: str) -> None:
        """Take a member off the list that moves to another channel, and notify the others.

        Its consumers, and the others' consumers of its producers, have closed before.
        """
        self._take_off_list(member, "moved", to)
        if self.rules:
            self.lost.add(member, "moved", trio.current_time())
        self.metrics.left("moved")
        member.connection.log.info("client moved", to=to, remaining=len(self.members))
        member.arrive_elsewhere()

    def update(self, member: Member, **changes: Any) -> None:
        """Copy the member's producers and restraints, and other ``changes`` of its entry, into the list. All changes of
        one step make one revision."""
        member.forget_closed_publications()
        present = self._present(member, **changes)
        if present != member.participant and self.members.get(member.user_id) is member:
            member.participant = present
            self.revision += 1
            self._broadcast_change("user_updated", member)

    def _present(self, member: Member, **changes: Any) -> Participant:
        """The member's entry in the list, as of now."""
        lines = tuple(one.entry for one in member.publications.values())
        return attrs.evolve(member.participant, producers=lines, **self.restraints.shown(member.user_id), **changes)

    def remove(self, member: Member) -> None:
        """Take a member off the list and notify the others. The member's media has closed before."""
        reason = member.leave_reason
        notified = self._take_off_list(member, reason)
        now = trio.current_time()
        if self.rules:
            self.lost.add(member, reason, now)
        seconds = member.seconds_since_end(now)
        self.metrics.left(reason)
        self.metrics.observe_leave(seconds)
        # Log last: the member must be off the list even if logging fails.
        log = member.connection.log
        if member.peer is not None and (closed := member.peer.exit) is not None:
            log.info("media closed", **attrs.asdict(closed))
        log.info("removed from channel", reason=reason, remaining=len(self.members))
        log.info("members notified", members=notified, seconds=seconds)

    def _take_off_list(self, member: Member, reason: LeaveReason, to: str | None = None) -> int:
        if self.members.get(member.user_id) is not member:
            return 0
        del self.members[member.user_id]
        member.gone.set()
        self.revision += 1
        return self._broadcast_change("user_left", member, reason=reason, to=to)

    def _remove_guarded(self, member: Member) -> None:
        """Remove a member even if :meth:`remove` raises. Count the exception and raise it again."""
        try:
            self.remove(member)
        except Exception:
            self.metrics.failed_cleanup()
            self._take_off_list(member, member.leave_reason)
            raise
        finally:
            member.forget_media()

    def expel(self, user_id: str) -> Sequence[Connection]:
        """End the session of a user, and its wait for a seat, on behalf of a moderator. Return their connections."""
        clients = (self._waiting.get(user_id), self.members.get(user_id))
        expelled = [client.connection for client in clients if client is not None]
        for connection in expelled:
            connection.end_guarded(end_reasons.REMOVED)
        return expelled

    def end_members(self) -> int:
        """End the session of everybody on behalf of a moderator, and every wait for a seat. Return their number."""
        clients = [*self._waiting.values(), *self.members.values()]
        # A session that leaves by its own request keeps its connection.
        ending = [client.connection for client in clients if client.leaving_since is None]
        for connection in ending:
            connection.end_guarded(end_reasons.ENDED)
        return len(ending)

    def mute(self, user_id: str, source: Source) -> None:
        """Pause a member's producers of one source, and those that it makes later. Raises :exc:`RequestError`."""
        self._require_member(user_id)
        self.restraints.mute(user_id, source)
        self._restrain(user_id)

    def unmute(self, user_id: str, source: Source) -> None:
        """Let a user resume its producers of one source. Raises :exc:`RequestError` if it is not muted."""
        self.restraints.unmute(user_id, source)
        self._restrain(user_id)

    def deafen(self, user_id: str) -> None:
        """Stop a member's consumers, and those that it makes later. Raises :exc:`RequestError`."""
        self._require_member(user_id)
        self.restraints.deafen(user_id)
        self._restrain(user_id)

    def undeafen(self, user_id: str) -> None:
        """Let a user receive media again. Raises :exc:`RequestError` if it is not deafened."""
        self.restraints.undeafen(user_id)
        self._restrain(user_id)

    def _require_member(self, user_id: str) -> None:
        if user_id not in self.members:
            raise RequestError(ErrorCode.NOT_FOUND, "no such participant")

    def _restrain(self, user_id: str) -> None:
        """Apply the restraints of a user, and show them in the list."""
        self.restraints.forget_absent(self.members, self.max_members)
        if (member := self.members.get(user_id)) is not None:
            self.restraints.apply_to(member)
            self.update(member)

    def set_rule(self, name: RuleName, rule: Rule | None) -> None:
        """Set or end the lock or the limit, and tell the members if that changes anything for them."""
        before = self.state
        if rule is None:
            self.rules.pop(name, None)
        else:
            self.rules[name] = rule
        if self.state != before:
            self.broadcast(self.state)

    # Looking things up.

    def find_publication(self, producer_id: str) -> tuple[Member, Publication]:
        """Return the member that owns a producer, and its publication. Raises :exc:`RequestError` if there is no such
        producer."""
        for member in self.members.values():
            if (publication := member.publications.get(producer_id)) is not None:
                return member, publication
        raise RequestError(ErrorCode.NOT_FOUND, "there is no such producer in this channel")

    def snapshot(self) -> tuple[Participant, ...]:
        """The entries of the list, in the order of joining."""
        return tuple(member.participant for member in self.members.values())

    @property
    def member_limit(self) -> int | None:
        """The number of members that a moderator allows."""
        return self.rules["limit"].members if "limit" in self.rules else None

    @property
    def state(self) -> ChannelState:
        """What moderators decided about the channel."""
        return ChannelState("lock" in self.rules, self.member_limit)

    def change(
        self, kind: VoiceStateType, about: Member, reason: LeaveReason | None = None, to: str | None = None
    ) -> VoiceState:
        """The change that led to the present list."""
        participant = about.participant
        return VoiceState(
            type=kind,
            channel_id=self.id,
            user_id=participant.user_id,
            username=participant.username,
            epoch=self.epoch,
            revision=self.revision,
            participant=participant,
            count=len(self.members),
            reason=reason,
            to=to,
        )

    def present_state(self) -> list[Event]:
        """The events that tell a member what the list does not have: the rules, the speakers, and bad connections."""
        decided: list[Event] = [self.state] if self.rules else []
        speaking = tuple(user_id for user_id in self.speakers if user_id in self.members)
        state: list[Event] = [ActiveSpeakers(speaking)] if speaking else []
        bad = [member for member in self.members.values() if member.quality.announced != "excellent"]
        return decided + state + [ConnectionQualityChanged(member.user_id, member.quality.announced) for member in bad]

    # Notifying members.

    def broadcast(self, event: Event) -> int:
        """Send an event to every member. Return how many outboxes took it."""
        frame = Frame.of(event)
        return sum(member.send(frame) for member in list(self.members.values()))

    def _broadcast_change(
        self,
        kind: VoiceStateType,
        about: Member,
        *,
        but: Member | None = None,
        reason: LeaveReason | None = None,
        to: str | None = None,
    ) -> int:
        receivers = [member for member in self.members.values() if member is not but]
        change = self.change(kind, about, reason, to)
        brief = whole = Frame.of(change)
        told = (member.connection for member in self.members.values())
        position = self.epoch, self.revision
        self.journal.append(self.id, kind, position, brief, about.user_id, told)
        if receivers and len(self.members) <= limits.MAX_LISTED_PARTICIPANTS:
            whole = Frame.of(attrs.evolve(change, participants=self.snapshot()))
        # The whole list at the time of the event is of no use to a client that resumes later.
        return sum(member.send(brief if member.is_behind else whole, kept=brief) for member in receivers)


@define(eq=False)
class Seat:
    """The place of a client: the ``member``, and the ``channel`` that it is in at present."""

    channel: Channel
    member: Member

    def change_channel(self, channel: Channel) -> None:
        """Occupy a place in another channel instead. Both lists change in the same step."""
        self.channel.occupants -= 1
        channel.occupants += 1
        self.channel = channel
