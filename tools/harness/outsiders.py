"""What everybody outside the channels learns: the journal's entries, and the changes that the feed tells a watcher."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attrs import define, field

from gateway.presence.feed import Subscription
from gateway.presence.journal import Entry
from tools.harness.broken import GuaranteeBroken

if TYPE_CHECKING:
    from gateway.gateway import Gateway
    from tools.harness.world import World


@define(eq=False)
class Outsiders:
    """Two readers of everything: one of the journal itself, and one who watches all channels.

    Both keep the texts, since the entries themselves would count as objects that a client has left behind.
    """

    entries: list[tuple[str, str, tuple[int, int], str]] = field(factory=list)
    told: list[str] = field(factory=list)
    fell_behind: bool = False

    @classmethod
    def of(cls, gateway: Gateway) -> Outsiders:
        outsiders = cls()
        gateway.journal.followers.append(outsiders._note)
        watcher = Subscription(outsiders._receive, outsiders._fall_behind)
        gateway.feed.follow(watcher, (), "", gateway.journal.number)
        return outsiders

    def _note(self, entry: Entry, _: Iterable[object]) -> None:
        text = "" if entry.frame is None else entry.data
        self.entries.append((entry.channel_id, entry.type, entry.position, text))

    def _receive(self, entry: Entry) -> None:
        self.told.append(entry.data)

    def _fall_behind(self) -> None:
        self.fell_behind = True


def judge_outsiders(world: World) -> None:
    """In each epoch of a channel, revisions rise by one, each join has one leave, and the lists in the end are true.

    Whoever watches gets the same changes in the same order. A move is a leave, and a join right after it.
    """
    outsiders = world.outsiders
    changes = [text for *_, text in outsiders.entries if text]
    if outsiders.told != changes:
        pairs = enumerate(zip(outsiders.told, changes, strict=False))
        place = next((at for at, (told, was) in pairs if told != was), "the end")
        why = f"a watcher was told {len(outsiders.told)} changes of {len(changes)}, or not in order"
        raise GuaranteeBroken(3, why, f"the first other change is {place}")
    lists: dict[str, dict[str, Any]] = {}
    positions: dict[str, tuple[int, int]] = {}
    _judge_moves(outsiders)
    for channel, kind, position, text in outsiders.entries:
        _judge_position(channel, kind, position, positions.get(channel), lists.get(channel))
        positions[channel] = position
        if kind == "channel_opened":
            lists[channel] = {}
        elif kind == "channel_closed":
            del lists[channel]
        else:
            _apply(lists[channel], json.loads(text))
    for channel in {*lists, *world.gateway.channels.channels}:
        expected, shown = world.present_in(channel), list(lists.get(channel, {}))
        if shown != expected:
            raise GuaranteeBroken(2, f"the journal lists {shown} in {channel}, but {expected} are there")


def _judge_moves(outsiders: Outsiders) -> None:
    arrival: tuple[str, str, str] | None = None
    for channel, kind, _, text in [*outsiders.entries, ("", "the end", (0, 0), "")]:
        change = json.loads(text) if text else {}
        if arrival not in (None, (channel, kind, change.get("userId"))):
            raise GuaranteeBroken(2, f"a move is no single step: {kind} of {channel} came before {arrival}", change)
        arrival = (change["to"], "user_joined", change["userId"]) if change.get("reason") == "moved" else None


def _judge_position(
    channel: str, kind: str, position: tuple[int, int], before: tuple[int, int] | None, listed: dict[str, Any] | None
) -> None:
    line = f"{kind} of {channel} at {position}, after {before}"
    if kind == "channel_opened":
        if listed is not None or position[1] != 0 or (before is not None and position[0] <= before[0]):
            raise GuaranteeBroken(3, "a channel opened in an epoch that is not new", line)
    elif listed is None or before is None or position[0] != before[0]:
        raise GuaranteeBroken(3, "a channel changed that was not open", line)
    elif kind == "channel_closed":
        if listed or position != before:
            raise GuaranteeBroken(2, f"a channel closed while it listed {list(listed)}", line)
    elif position[1] != before[1] + 1:
        raise GuaranteeBroken(3, "the journal has a gap", line)


def _apply(listed: dict[str, Any], change: dict[str, Any]) -> None:
    user, kind = change["userId"], change["type"]
    if (kind == "user_joined") == (user in listed):
        raise GuaranteeBroken(2, f"the journal has a {kind} of {user}, and lists {list(listed)}", change)
    listed[user] = change["participant"]
    if kind == "user_left":
        del listed[user]
    if change["count"] != len(listed):
        raise GuaranteeBroken(3, f"the journal lists {list(listed)}, but the count says {change['count']}", change)
