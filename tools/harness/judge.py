"""Checks a run against the guarantees of docs/protocol.md.

It reads the transcripts of the clients and the trace of the gateway's steps.  A simple model, made only of the clients'
requests and the answers, says who should be in which channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import define

from protocol.errors import CloseCode
from tools.harness.broken import GuaranteeBroken
from tools.harness.client import HarnessClient
from tools.harness.outsiders import judge_outsiders
from tools.harness.trace import TraceEntry
from tools.harness.transcript import ReceivedFrame, Stay

if TYPE_CHECKING:
    from tools.harness.world import World

#: Virtual seconds by which a time may exceed its limit, because of rounding.
_SLACK = 0.001


def judge(world: World) -> None:
    """Raises :exc:`GuaranteeBroken` at the first broken guarantee.  Call it after :meth:`World.settle`."""
    judge_order(world)
    for client in world.clients.values():
        judge_outside_stays(client)
        for stay in client.stays:
            judge_stay(world, client, stay)
    judge_bounds(world)
    judge_isolation(world)
    judge_presence(world)
    judge_outsiders(world)


# 1. Order.


def judge_order(world: World) -> None:
    """First the media is closed and leaves the packet path, then the list changes, then the others are notified.

    A client that moves may keep its transports and producers, but nothing may pass between it and the old channel.
    """
    entries = world.trace.entries
    for place, entry in enumerate(entries):
        if entry.step == "begin: take off list":
            if entry.detail["media"]:
                raise GuaranteeBroken(1, f"{entry.client} left the list while its media was still open", entry)
            _judge_notices(entries[:place], entry)
            _judge_forwarding(world, entry)
        elif entry.step == "begin: move off list":
            if entry.detail["streams"]:
                raise GuaranteeBroken(1, f"{entry.client} moved while others still got its media, or it theirs", entry)
            _judge_notices(entries[:place], entry)
            _judge_forwarding(world, entry)
        elif entry.step == "begin: close peer":
            _judge_closing(entries[place:], entry)


def _judge_closing(entries: list[TraceEntry], begin: TraceEntry) -> None:
    """A peer closes its consumers, then its producers, then its transports.  Only then are the others notified of the
    end of their consumers."""
    order = ["close consumer", "close producer", "close transport", "say consumer closed"]
    reached = 0
    for entry in entries:
        if entry.client == begin.client and entry.step == "close peer":
            return
        if entry.step in order and (entry.client == begin.client or entry.step == order[-1]):
            if order.index(entry.step) < reached:
                raise GuaranteeBroken(1, f"{entry.step} after {order[reached]}", entry)
            reached = order.index(entry.step)


def _judge_notices(before: list[TraceEntry], removal: TraceEntry) -> None:
    """Nobody gets a ``user_left`` before the list has changed."""
    leaver, channel = removal.detail["user"], removal.detail["channel"]
    for entry in reversed(before):
        if entry.step == "begin: put on list" and entry.client == removal.client and entry.detail["channel"] == channel:
            return  # earlier notices are about an earlier stay
        if entry.step == "notify" and _is_leave_of(entry.detail["text"], leaver, channel):
            raise GuaranteeBroken(1, "a leave was announced before the list had changed", entry)


def _is_leave_of(text: str, user: str, channel: str) -> bool:
    head = text[:200]
    return '"type":"user_left"' in head and f'"userId":"{user}"' in head and f'"channelId":"{channel}"' in head


def _judge_forwarding(world: World, removal: TraceEntry) -> None:
    """The gateway forwards no packet of the streams from or to a session after its removal from the list.

    A session that has moved may have other streams later.
    """
    session = removal.detail["peer"]
    for entry in world.trace.of("consume"):
        if entry.order > removal.order:
            continue
        last = world.trace.forwarded.get((entry.client, entry.detail["ssrc"]), 0)
        if session in (entry.detail["peer"], entry.detail["source"]) and last > removal.order:
            why = f"the gateway forwarded a packet from or to {removal.client} after its removal, as event {last}"
            raise GuaranteeBroken(1, why, removal)


# 2 and 3. Exactly once, and revision: the events of one client during one stay.


@define
class Replay:
    """The list as a client keeps it, from the answer to ``join`` and the events after it."""

    user: str
    revision: int
    people: dict[str, Any]

    def take(self, received: ReceivedFrame) -> None:
        """Apply one ``voice_state`` event."""
        data = received.frame["data"]
        about, kind = data["userId"], data["type"]
        if data["revision"] != self.revision + 1:
            raise GuaranteeBroken(3, f"revision {data['revision']} came after {self.revision}", received)
        self.revision += 1
        if kind == "user_joined" and about in self.people:
            raise GuaranteeBroken(2, f"{about} joined, but was listed already", received)
        if kind != "user_joined" and about not in self.people:
            raise GuaranteeBroken(2, f"{kind} about {about}, who was not listed", received)
        if about == self.user and kind != "user_updated":
            raise GuaranteeBroken(2, f"{about} got a {kind} about itself", received)
        self.people[about] = data["participant"]
        if kind == "user_left":
            del self.people[about]
        self._compare(received, data)

    def _compare(self, received: ReceivedFrame, data: Any) -> None:
        if data["count"] != len(self.people):
            raise GuaranteeBroken(3, f"the list has {len(self.people)}, but the count says {data['count']}", received)
        listed = data.get("participants")
        if listed is not None and listed != list(self.people.values()):
            raise GuaranteeBroken(3, "the whole list differs from the list with all changes applied", received)


def judge_outside_stays(client: HarnessClient) -> None:
    """A client gets no event about a list before it joins, or after it has left."""
    events = {received.order: received for received in client.transcript if received.frame["type"] == "voice_state"}
    for stay in client.stays:
        for received in _during(client, stay):
            events.pop(received.order, None)
    for received in events.values():
        raise GuaranteeBroken(3, f"{client.name} got an event outside of any stay", received)


def judge_stay(world: World, client: HarnessClient, stay: Stay) -> None:
    """Replay the events of a stay, and compare the resulting list with the model."""
    joined = stay.joined.frame["data"]
    people = {one["userId"]: one for one in joined["participants"]}
    if len(people) != len(joined["participants"]):
        raise GuaranteeBroken(2, "a user is listed twice", stay.joined)
    if list(people)[-1:] != [stay.user]:
        raise GuaranteeBroken(2, "the new participant is not the last on the list", stay.joined)
    replay = Replay(stay.user, joined["revision"], people)
    last_event = stay.events
    for received in _during(client, stay):
        if "id" not in received.frame:
            last_event += 1
            if received.sequence != last_event:
                raise GuaranteeBroken(3, f"an event has seq {received.sequence}, not {last_event}", received)
        if received.frame["type"] == "voice_state" and received.frame["data"]["channelId"] == stay.channel:
            replay.take(received)
        elif received.frame["type"] == "consumer_closed":
            _judge_consumer_closed(client, received, replay)
        elif received.frame["type"] == "connection_quality" and received.frame["data"]["userId"] not in replay.people:
            raise GuaranteeBroken(2, "the quality of a connection was announced, but its user is not listed", received)
    if client.current_stay is stay and client.name not in world.must_end:
        expected = world.present_in(stay.channel)
        if list(replay.people) != expected:
            shown = list(replay.people)
            events = [received for received in _during(client, stay) if received.frame["type"] == "voice_state"]
            why = f"in the end {client.name} lists {shown}, but {expected} are in the channel"
            raise GuaranteeBroken(2, why, (events or [stay.joined])[-1])


def _judge_consumer_closed(client: HarnessClient, received: ReceivedFrame, replay: Replay) -> None:
    """A consumer's owner gets ``consumer_closed`` before the list changes."""
    data = received.frame["data"]
    consumed = [one for one in client.consumed.values() if one["consumerId"] == data["consumerId"]]
    if data["reason"] == "user_left" and consumed and consumed[0]["userId"] not in replay.people:
        raise GuaranteeBroken(1, "a consumer's end was announced after its sender's leave", received)


def _during(client: HarnessClient, stay: Stay) -> Iterator[ReceivedFrame]:
    for received in client.transcript:
        if received.order > stay.joined.order and (stay.left is None or received.order < stay.left.order):
            yield received


# 4. Bounded.


def judge_bounds(world: World) -> None:
    """Leaving the list and closing a connection take no longer than their limits."""
    bound = world.config.exit_timeout + _SLACK
    for entry in world.trace.of("begin: take off list"):
        if entry.detail["seconds"] > bound:
            raise GuaranteeBroken(
                4, f"leaving took {entry.detail['seconds']:.3f} s, which is more than {bound} s", entry
            )
    ends = {entry.detail["socket"]: entry.at for entry in reversed(world.trace.of("begin: end"))}
    for entry in world.trace.of("served"):
        seconds = entry.at - ends.get(entry.client, entry.at)
        if seconds > bound + 2 * world.config.goodbye_timeout:
            raise GuaranteeBroken(4, f"a connection took {seconds:.3f} s to end", entry)


# 5. Isolation.


def judge_isolation(world: World) -> None:
    """A client that was not made to end is still connected, and has received all media without a gap."""
    for client in world.clients.values():
        if client.name in world.may_end or client.name in world.faults.affected:
            continue
        is_in = bool(client.stays) and client.stays[-1].left is None
        if client.over.is_set() and (is_in or client.close_code != CloseCode.JOIN_TIMEOUT):
            last = client.transcript[-1] if client.transcript else ""
            why = f"the connection of {client.name} ended ({client.close_code}), but the test did not cause its end"
            raise GuaranteeBroken(5, why, last)
        _judge_media(world, client)


def _judge_media(world: World, client: HarnessClient) -> None:
    if world.conditions.is_lossy:
        return
    for endpoint in client.endpoints.values():
        for ssrc, stream in endpoint.streams.items():
            if stream.strange or stream.repeated:
                raise GuaranteeBroken(
                    5, f"{client.name} got repeated packets or packets of another stream with SSRC {ssrc}", stream
                )
            if stream.gaps and stream.producer not in world.interrupted:
                raise GuaranteeBroken(5, f"{client.name} missed packets with SSRC {ssrc}", stream)


# The gateway's lists.


def judge_presence(world: World) -> None:
    """The gateway's lists agree with the model."""
    channels = world.gateway.channels.channels
    for name in dict.fromkeys([*channels, *(stay.channel for one in world.clients.values() for stay in one.stays)]):
        listed = list(channels[name].members) if name in channels else []
        expected = world.present_in(name)
        if listed != expected:
            changes = (*world.trace.of("begin: put on list"), *world.trace.of("begin: take off list"))
            last = max((one for one in changes if one.detail["channel"] == name), key=lambda one: one.order)
            raise GuaranteeBroken(2, f"{name} lists {listed}, but {expected} are in the channel", last)
