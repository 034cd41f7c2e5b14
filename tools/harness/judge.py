"""Whether a run kept what docs/protocol.md promises, from what its clients saw and from what was noted.

A plain model, made of nothing but what clients did and were answered, says who was where.  The first line that breaks
a guarantee is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import define

from protocol.errors import CloseCode
from tools.harness.client import Client, Heard, Stay
from tools.harness.trace import Entry

if TYPE_CHECKING:
    from tools.harness.world import World

#: Virtual seconds of which nobody need account for: latency of the network, and steps in the same instant.
_SLACK = 0.001


class GuaranteeBroken(AssertionError):
    """``guarantee`` is its number in docs/protocol.md, ``line`` the first line that breaks it."""

    def __init__(self, guarantee: int, why: str, line: object = "") -> None:
        super().__init__(f"guarantee {guarantee} is broken: {why}\n  {line}".rstrip())
        self.guarantee = guarantee
        self.why = why
        self.line = line


def judge(world: World) -> None:
    """Raises :exc:`GuaranteeBroken`.  For when everything that was brought about has come to its end."""
    judge_order(world)
    for client in world.clients.values():
        judge_strays(client)
        for stay in client.stays:
            judge_stay(world, client, stay)
    judge_bounds(world)
    judge_isolation(world)
    judge_presence(world)


# 1. Order.


def judge_order(world: World) -> None:
    """Consumers, producers, transports, off the packet path; off the list; the others told."""
    entries = world.trace.entries
    for place, entry in enumerate(entries):
        if entry.what == "begin: take off list":
            if entry.detail["media"]:
                raise GuaranteeBroken(1, "taken off the list while its media was still there", entry)
            _judge_telling(entries[:place], entry)
            _judge_silence_of(world, entry)
        elif entry.what == "begin: close peer":
            _judge_closing(entries[place:], entry)


def _judge_closing(entries: list[Entry], begin: Entry) -> None:
    """Within the one pass, a peer's own consumers go before its producers, those before its transports, and only then
    the owners of others' consumers are told."""
    order = ["close consumer", "close producer", "close transport", "say consumer closed"]
    reached = 0
    for entry in entries:
        if entry.whom == begin.whom and entry.what == "close peer":
            return
        if entry.what in order and (entry.whom == begin.whom or entry.what == order[-1]):
            if order.index(entry.what) < reached:
                raise GuaranteeBroken(1, f"{entry.what} after {order[reached]}", entry)
            reached = order.index(entry.what)


def _judge_telling(before: list[Entry], removal: Entry) -> None:
    """Nobody is told of a leave before the list has changed."""
    leaver, channel = removal.detail["user"], removal.detail["channel"]
    for entry in reversed(before):
        if entry.what == "begin: put on list" and entry.whom == removal.whom and entry.detail["channel"] == channel:
            return  # what was told before this stay was about another one
        if entry.what == "tell" and _tells_of(entry.detail["text"], leaver, channel):
            raise GuaranteeBroken(1, "told of a leave before the list has changed", entry)


def _tells_of(text: str, user: str, channel: str) -> bool:
    head = text[:200]
    return '"type":"user_left"' in head and f'"userId":"{user}"' in head and f'"channelId":"{channel}"' in head


def _judge_silence_of(world: World, removal: Entry) -> None:
    """No packet from or to that session after it was taken off."""
    session = removal.detail["peer"]
    for entry in world.trace.of("consume"):
        last = world.trace.forwarded.get((entry.whom, entry.detail["ssrc"]), 0)
        if session in (entry.detail["peer"], entry.detail["source"]) and last > removal.order:
            raise GuaranteeBroken(1, f"a packet of or to it was forwarded later, in place {last}", removal)


# 2 and 3. Exactly once, and revision: what one client was told during one stay.


@define
class Replay:
    """The list as a client keeps it, from nothing but what it was sent."""

    user: str
    revision: int
    people: dict[str, Any]

    def take(self, heard: Heard) -> None:
        """One ``voice_state``."""
        data = heard.frame["data"]
        about, kind = data["userId"], data["type"]
        if data["revision"] != self.revision + 1:
            raise GuaranteeBroken(3, f"revision {data['revision']} came after {self.revision}", heard)
        self.revision += 1
        if kind == "user_joined" and about in self.people:
            raise GuaranteeBroken(2, f"{about} joined and is listed already", heard)
        if kind != "user_joined" and about not in self.people:
            raise GuaranteeBroken(2, f"{kind} of {about}, who is not listed", heard)
        if about == self.user and kind != "user_updated":
            raise GuaranteeBroken(2, f"its own {kind}", heard)
        self.people[about] = data["participant"]
        if kind == "user_left":
            del self.people[about]
        self._compare(heard, data)

    def _compare(self, heard: Heard, data: Any) -> None:
        if data["count"] != len(self.people):
            raise GuaranteeBroken(3, f"there are {len(self.people)}, and the count says {data['count']}", heard)
        listed = data.get("participants")
        if listed is not None and listed != list(self.people.values()):
            raise GuaranteeBroken(3, "the whole list is not what the changes make of it", heard)


def judge_strays(client: Client) -> None:
    """Nobody is told of a list before the snapshot of it, or after having left."""
    told = {heard.order: heard for heard in client.transcript if heard.frame["type"] == "voice_state"}
    for stay in client.stays:
        for heard in _during(client, stay):
            told.pop(heard.order, None)
    for heard in told.values():
        raise GuaranteeBroken(3, f"{client.name} was told of a change outside of any stay", heard)


def judge_stay(world: World, client: Client, stay: Stay) -> None:
    """Replays the stay, and compares its end with who is there."""
    joined = stay.joined.frame["data"]
    people = {one["userId"]: one for one in joined["participants"]}
    if len(people) != len(joined["participants"]):
        raise GuaranteeBroken(2, "somebody is listed twice", stay.joined)
    if list(people)[-1:] != [stay.user]:
        raise GuaranteeBroken(2, "who joins is the last on the list", stay.joined)
    replay = Replay(stay.user, joined["revision"], people)
    for heard in _during(client, stay):
        if heard.frame["type"] == "voice_state" and heard.frame["data"]["channelId"] == stay.channel:
            replay.take(heard)
        elif heard.frame["type"] == "consumer_closed":
            _judge_consumer_closed(client, heard, replay)
    if client.present is stay and client.name not in world.dead:
        expected = world.present_in(stay.channel)
        if list(replay.people) != expected:
            shown = list(replay.people)
            told = [heard for heard in _during(client, stay) if heard.frame["type"] == "voice_state"]
            why = f"in the end {client.name} is shown {shown}, and here are {expected}"
            raise GuaranteeBroken(2, why, (told or [stay.joined])[-1])


def _judge_consumer_closed(client: Client, heard: Heard, replay: Replay) -> None:
    """The owner of a consumer hears of it before the list changes."""
    data = heard.frame["data"]
    consumed = [one for one in client.consumed.values() if one["consumerId"] == data["consumerId"]]
    if data["reason"] == "user_left" and consumed and consumed[0]["userId"] not in replay.people:
        raise GuaranteeBroken(1, "told of a consumer's end after its sender's leave", heard)


def _during(client: Client, stay: Stay) -> Iterator[Heard]:
    for heard in client.transcript:
        if heard.order > stay.joined.order and (stay.left is None or heard.order < stay.left.order):
            yield heard


# 4. Bounded.


def judge_bounds(world: World) -> None:
    """From an end that was seen to the list: at most the bound of a session's exit."""
    bound = world.config.exit_timeout + _SLACK
    for entry in world.trace.of("begin: take off list"):
        if entry.detail["seconds"] > bound:
            raise GuaranteeBroken(4, f"leaving took {entry.detail['seconds']:.3f} s, more than {bound} s", entry)
    ends = {entry.whom: entry.at for entry in reversed(world.trace.of("begin: end"))}
    for entry in world.trace.of("served"):
        seconds = entry.at - ends.get(entry.whom, entry.at)
        if seconds > bound + 2 * world.config.goodbye_timeout:
            raise GuaranteeBroken(4, f"a connection took {seconds:.3f} s to end", entry)


# 5. Isolation.


def judge_isolation(world: World) -> None:
    """Whoever was not brought to an end is well, and has had everybody else's media without a gap."""
    for client in world.clients.values():
        if client.name in world.excused or client.name in world.faults.struck:
            continue
        is_in = bool(client.stays) and client.stays[-1].left is None
        if client.over.is_set() and (is_in or client.close_code != CloseCode.JOIN_TIMEOUT):
            last = client.transcript[-1] if client.transcript else ""
            raise GuaranteeBroken(5, f"{client.name} was closed ({client.close_code}), with no fault of its own", last)
        _judge_media(world, client)


def _judge_media(world: World, client: Client) -> None:
    if world.conditions.is_lossy:
        return
    for endpoint in client.endpoints.values():
        for ssrc, stream in endpoint.streams.items():
            if stream.strange or stream.repeated:
                raise GuaranteeBroken(5, f"{client.name} got packets of another stream, or again, as {ssrc}", stream)
            if stream.gaps and stream.producer not in world.interrupted:
                raise GuaranteeBroken(5, f"{client.name} missed packets of {ssrc}", stream)


# And the list itself.


def judge_presence(world: World) -> None:
    """The gateway's lists are who the model says is there."""
    channels = world.gateway.channels.channels
    for name in dict.fromkeys([*channels, *(stay.channel for one in world.clients.values() for stay in one.stays)]):
        listed = list(channels[name].members) if name in channels else []
        expected = world.present_in(name)
        if listed != expected:
            changes = (*world.trace.of("begin: put on list"), *world.trace.of("begin: take off list"))
            last = max((one for one in changes if one.detail["channel"] == name), key=lambda one: one.order)
            raise GuaranteeBroken(2, f"in {name} are listed {listed}, and here are {expected}", last)
