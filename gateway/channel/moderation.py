"""The decisions of moderators: one implementation for the requests of members and for HTTP.

Nothing here has a checkpoint. Each decision is logged with the one who made it, and counted.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.channel.removals import Removals
from gateway.channel.rules import RULES, KeptRules, LostMembers, Rule, RuleName, is_lost_member, require_unlocked
from gateway.config import Config
from gateway.connection.accounts import site_of
from gateway.ops.metrics import Metrics, ModeratorAction
from protocol.errors import ErrorCode, RequestError
from protocol.vocabulary import Source

ADMIN: Final = "the admin token"
"""The moderator who came over HTTP. No user id has a space."""


@define(eq=False)
class Moderation:
    """Decides about the ``channels``, on behalf of a moderator.

    ``by`` is the user id of the moderator, or :data:`ADMIN`. Times are in seconds.
    """

    config: Config
    metrics: Metrics
    log: FilteringBoundLogger
    channels: Mapping[str, Channel]
    _removals: Removals = field(init=False)
    _kept: KeptRules = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._removals = Removals(self.config.max_removals)
        self._kept = KeptRules(self.config.max_kept_rules)

    def reconfigure(self, config: Config) -> None:
        """Use other limits from now on."""
        self.config = config
        self._removals.maximum = config.max_removals
        self._kept.maximum = config.max_kept_rules

    @property
    def removals(self) -> int:
        """The number of users and addresses that are removed for a time."""
        return len(self._removals)

    @property
    def kept_rules(self) -> int:
        """The number of locks and limits that are kept for channels that are not open."""
        return len(self._kept)

    # Decisions.

    def remove(self, channel_id: str, user_id: str, seconds: float | None = None, *, by: str) -> None:
        """End a user's session (close code 4403).

        With ``seconds``, also keep the user id and the user's address out of this channel for this time, unless the
        address is loopback. Raises :exc:`RequestError` with ``not_found`` if the channel has no such user, unless
        ``seconds`` are given.
        """
        channel = self.channels.get(channel_id)
        expelled = () if channel is None else channel.expel(user_id)
        if not expelled and seconds is None:
            raise RequestError(ErrorCode.NOT_FOUND, "no such participant")
        if seconds is not None:
            now = trio.current_time()
            sites = {site_of(connection.remote) for connection in expelled}
            for site in (None, *(site for site in sites if site is not None)):
                if self._removals.add(channel_id, user_id, now + seconds, now, site):
                    self.metrics.limits.reached("max_removals")
        self._record("remove", channel_id, by, member=user_id, for_seconds=seconds)

    def readmit(self, channel_id: str, user_id: str, *, by: str) -> None:
        """Let a user in again who was removed for a time, and the user's address.

        Raises :exc:`RequestError` with ``not_found`` if no removal keeps the user out.
        """
        if not self._removals.end(channel_id, user_id, trio.current_time()):
            raise RequestError(ErrorCode.NOT_FOUND, "no moderator keeps this user out")
        self._record("readmit", channel_id, by, member=user_id)

    def mute(self, channel_id: str, user_id: str, source: Source, *, by: str) -> None:
        """Pause a member's producers of a source until :meth:`unmute`. Raises ``not_found`` without such a member."""
        self._open_channel(channel_id, "no such participant").mute(user_id, source)
        self._record("mute", channel_id, by, member=user_id, source=source)

    def unmute(self, channel_id: str, user_id: str, source: Source, *, by: str) -> None:
        """Let a user resume its producers of a source. Raises ``not_found`` if the source was not muted."""
        self._open_channel(channel_id, "this source is not muted").unmute(user_id, source)
        self._record("unmute", channel_id, by, member=user_id, source=source)

    def deafen(self, channel_id: str, user_id: str, *, by: str) -> None:
        """Let a member receive no media until :meth:`undeafen`. Raises ``not_found`` without such a member."""
        self._open_channel(channel_id, "no such participant").deafen(user_id)
        self._record("deafen", channel_id, by, member=user_id)

    def undeafen(self, channel_id: str, user_id: str, *, by: str) -> None:
        """Let a user receive media again. Raises ``not_found`` if the user is not deafened."""
        self._open_channel(channel_id, "this user is not deafened").undeafen(user_id)
        self._record("undeafen", channel_id, by, member=user_id)

    def lock(self, channel_id: str, seconds: float | None = None, *, by: str) -> None:
        """Let no newcomer in. With ``seconds``, the lock also counts for so long while the channel is not open.

        Raises ``not_found`` for a channel that is not open, unless ``seconds`` are given.
        """
        self._set_rule(channel_id, "lock", Rule(seconds or 0.0))
        self._record("lock", channel_id, by, for_seconds=seconds)

    def unlock(self, channel_id: str, *, by: str) -> None:
        """Let newcomers in again. Raises ``not_found`` if the channel is neither open nor locked."""
        self._set_rule(channel_id, "lock", None)
        self._record("unlock", channel_id, by)

    def limit(self, channel_id: str, members: int, seconds: float | None = None, *, by: str) -> None:
        """Let so many members in. ``seconds`` and the error are those of :meth:`lock`."""
        self._set_rule(channel_id, "limit", Rule(seconds or 0.0, members))
        self._record("limit", channel_id, by, members=members, for_seconds=seconds)

    def end_limit(self, channel_id: str, *, by: str) -> None:
        """Limit the members no longer. Raises ``not_found`` if the channel is neither open nor limited."""
        self._set_rule(channel_id, "limit", None)
        self._record("end_limit", channel_id, by)

    def end(self, channel_id: str, *, by: str) -> None:
        """End the session of every member (close code 4410). Raises ``not_found`` if the channel is not open."""
        ended = self._open_channel(channel_id, "there is no such channel").end_members()
        self._record("end", channel_id, by, members=ended)

    def record_move(self, channel_id: str, user_id: str, to: str, *, by: str) -> None:
        """Note that a moderator has moved a member."""
        self._record("move", channel_id, by, member=user_id, to=to)

    def _open_channel(self, channel_id: str, otherwise: str) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise RequestError(ErrorCode.NOT_FOUND, otherwise)
        return channel

    def _set_rule(self, channel_id: str, name: RuleName, rule: Rule | None) -> None:
        if (channel := self.channels.get(channel_id)) is not None:
            channel.set_rule(name, rule)
            return
        now = trio.current_time()
        kept, lost = self._kept.of(channel_id, now)
        if not (name in kept if rule is None else rule.seconds):
            raise RequestError(ErrorCode.NOT_FOUND, "there is no such channel")
        self._keep(channel_id, name, rule, lost)

    def _keep(self, channel_id: str, name: RuleName, rule: Rule | None, lost: LostMembers | None) -> None:
        if self._kept.set(channel_id, name, rule, trio.current_time(), lost):
            self.metrics.limits.reached("max_kept_rules")

    def _record(self, action: ModeratorAction, channel_id: str, by: str, **details: Any) -> None:
        self.metrics.moderated(action)
        given = {name: value for name, value in details.items() if value is not None}
        self.log.info("moderated", action=action, by=by, channel=channel_id, **given)

    # Their effect on channels that open and close.

    def require_welcome(self, channel_id: str, member: Member) -> None:
        """Check that nobody keeps this client out of a channel. Raises :exc:`RequestError` with ``forbidden`` or
        ``locked``."""
        now = trio.current_time()
        left = self._removals.seconds_left(channel_id, member.user_id, member.connection.remote, now)
        if left > 0:
            raise RequestError(
                ErrorCode.FORBIDDEN, f"a moderator removed this user; joining is possible again in {math.ceil(left)} s"
            )
        if channel_id not in self.channels:  # An open channel checks its lock by itself.
            rules, lost = self._kept.of(channel_id, now)
            require_unlocked(rules, member, lambda: is_lost_member(lost, member))

    def channel_opens(self, channel: Channel) -> None:
        """Give a channel that opens the rules that were kept for it."""
        channel.rules, lost = self._kept.of(channel.id, trio.current_time())
        channel.lost = lost or LostMembers(self.config.max_members, self.config.lost_member_seconds)

    def channel_closed(self, channel: Channel) -> None:
        """Keep the rules of a channel for their time."""
        # If nobody got in, the time goes on. Otherwise each attempt would begin it anew.
        if channel.revision:
            for name in RULES:
                self._keep(channel.id, name, channel.rules.get(name), channel.lost)
