"""The readers of the journal outside the channels, and the check that all get the same history."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from gateway.presence.feed import Subscription
from gateway.presence.journal import Entry, Journal
from gateway.presence.webhooks import Receiver
from tools.harness.broken import GuaranteeBroken
from tools.harness.disk import Disk
from tools.harness.event_reader import EventReader
from tools.harness.history import History, Line, is_complete, judge_history
from tools.harness.webhook_program import ANSWERS, WebhookProgram

if TYPE_CHECKING:
    from gateway.gateway import Gateway
    from gateway.server import Server
    from tools.harness.world import World

#: The name of the receiver of webhooks in the log.
RECEIVER: Final = "the harness"
#: Virtual seconds that the readers have in the end, to learn the rest.  Each pause of webhooks is far shorter.
_PATIENCE: Final = 60.0
_POLL_INTERVAL: Final = 0.25
#: The backlog of webhooks in worlds where changes may give way to lists.
_SMALL_BACKLOG: Final = 4
# More than the journal takes for a channel besides its entries.
_CHANNEL_BYTES: Final = 1000


@define(eq=False)
class Outsiders:
    """The readers of everything: one of the journal itself, one who watches all channels, and two other programs.

    ``entries`` has the journal, ``told`` what the watcher was told, and ``histories`` what the programs were told.
    ``is_over`` says that the programs have had the time to learn everything.

    One of the programs reads server-sent events, and the other one receives webhooks.  In a world with an odd seed,
    both get only what is on the :class:`Disk`.  Other worlds have none.  In worlds whose seed is 0 or 1 modulo 4, they
    get nothing but the changes.  In other worlds, they may get lists in place of changes: the backlog of webhooks is
    small, and the reader of events loses its place.

    All keep the texts, since the entries themselves would count as objects that a client has left behind.
    """

    journal: Journal
    entries: list[Line] = field(factory=list)
    told: list[str] = field(factory=list)
    fell_behind: bool = False
    is_over: bool = False
    histories: list[History] = field(factory=list)
    disk: Disk | None = None
    events: EventReader = field(init=False)
    program: WebhookProgram = field(init=False)
    receiver: Receiver = field(init=False)
    _bytes: Counter[str] = field(factory=Counter)
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _ended: trio.Event = field(factory=trio.Event)

    @classmethod
    def of(cls, gateway: Gateway, seed: int) -> Outsiders:
        """Make the readers.  Call this before the gateway runs."""
        outsiders = cls(gateway.journal)
        gateway.journal.followers.append(outsiders._note)
        if seed % 2:
            outsiders.disk = Disk(gateway.journal, gateway.tell_backends_later(), Random(f"{seed} disk"))
        watcher = Subscription(outsiders._receive, outsiders._fall_behind)
        gateway.feed.follow(watcher, (), "", gateway.journal.number)
        return outsiders

    async def run(self, server: Server, seed: int) -> None:
        """Let both programs read until :meth:`finish`."""
        gateway, config, may_skip = server.gateway, server.config, seed % 4 > 1
        events = History("a reader of events", may_repeat=False, reads_journal=True, may_skip=may_skip)
        self.events = EventReader(server, events, loses_place=may_skip)
        webhooks = History("a receiver of webhooks", may_repeat=True, reads_journal=False, may_skip=may_skip)
        self.program = WebhookProgram(gateway.journal, webhooks, config.webhook_timeout, seed % len(ANSWERS))
        backlog = min(config.webhook_backlog, _SMALL_BACKLOG) if may_skip else config.webhook_backlog
        self.histories = [events, webhooks]
        random = Random(f"{seed} webhooks")
        self.receiver = Receiver(
            RECEIVER, self.program.post, gateway.journal, gateway.channels, backlog, lambda: random.uniform(0.5, 1)
        )
        # Without a disk, nobody knows what a former process has delivered, so the receiver begins with a reset.
        self.receiver.begin(gateway.backend_feed, None if self.disk is None else ())
        with self._scope:
            async with trio.open_nursery() as nursery:
                if self.disk is not None:
                    nursery.start_soon(self.disk.run, name="disk")
                nursery.start_soon(self.events.run, name="reader of events")
                nursery.start_soon(self.receiver.run, name="receiver of webhooks")
        gateway.backend_feed.close(self.receiver.subscription)
        self._ended.set()

    async def finish(self, gateway: Gateway) -> None:
        """Let both programs learn the rest, and stop.  The judge notices what is missing."""
        if not self.histories or self.is_over:
            return
        self.events.is_steady = True
        self.program.is_back.set()
        with trio.move_on_after(_PATIENCE) as patience:
            await self.journal.wait_committed(self.journal.number)
            await gateway.backend_feed.wait_told()
            await self.receiver.wait_empty()
            while not is_complete(self.events.history, self.entries):  # noqa: ASYNC110: the reader has no event for this
                await trio.sleep(_POLL_INTERVAL)
        if patience.cancelled_caught and all(is_complete(one, self.entries) for one in self.histories):
            self.program.history.complain("requests still wait for it, long after it took everything")
        await self.events.stop()
        self._scope.cancel()
        await self._ended.wait()
        del self.receiver  # it holds objects of the gateway, which would count as leaks
        self.is_over = True

    def _note(self, entry: Entry, _: Iterable[object]) -> None:
        self._count(entry)
        text = "" if entry.frame is None else entry.data
        self.entries.append(Line(entry.number, entry.channel_id, entry.type, entry.position, text))

    def _count(self, entry: Entry) -> None:
        """Notice when the journal may forget its first entries, so that a reader who comes back needs a list."""
        self._bytes[entry.channel_id] += entry.size
        is_full = self._bytes[entry.channel_id] > self.journal.max_channel_bytes - _CHANNEL_BYTES
        if is_full or self._bytes.total() > self.journal.max_bytes - _CHANNEL_BYTES * len(self._bytes):
            for history in self.histories:
                history.may_skip |= history.reads_journal

    def _receive(self, entry: Entry) -> None:
        self.told.append(entry.data)

    def _fall_behind(self) -> None:
        self.fell_behind = True


def judge_outsiders(world: World) -> None:
    """In each epoch of a channel, revisions rise by one, each join has one leave, and the lists in the end are true.

    Whoever watches gets the same changes in the same order. A move is a leave, and a join right after it.
    """
    outsiders = world.outsiders
    changes = [line.text for line in outsiders.entries if line.text]
    if outsiders.told != changes:
        pairs = enumerate(zip(outsiders.told, changes, strict=False))
        place = next((at for at, (told, was) in pairs if told != was), "the end")
        why = f"a watcher was told {len(outsiders.told)} changes of {len(changes)}, or not in order"
        raise GuaranteeBroken(3, why, f"the first other change is {place}")
    lists: dict[str, dict[str, Any]] = {}
    positions: dict[str, tuple[int, int]] = {}
    _judge_moves(outsiders)
    for line in outsiders.entries:
        channel = line.channel
        _judge_position(line, positions.get(channel), lists.get(channel))
        positions[channel] = line.position
        if line.type == "channel_opened":
            lists[channel] = {}
        elif line.type == "channel_closed":
            del lists[channel]
        else:
            _apply(lists[channel], json.loads(line.text))
    for channel in {*lists, *world.gateway.channels.channels}:
        expected, shown = world.present_in(channel), list(lists.get(channel, {}))
        if shown != expected:
            raise GuaranteeBroken(2, f"the journal lists {shown} in {channel}, but {expected} are there")
    for history in outsiders.histories:
        judge_history(history, outsiders.entries, is_over=outsiders.is_over)


def _judge_moves(outsiders: Outsiders) -> None:
    arrival: tuple[str, str, str] | None = None
    for line in [*outsiders.entries, Line(0, "", "the end", (0, 0), "")]:
        change = json.loads(line.text) if line.text else {}
        if arrival not in (None, (line.channel, line.type, change.get("userId"))):
            why = f"a move is no single step: {line.type} of {line.channel} came before {arrival}"
            raise GuaranteeBroken(2, why, change)
        arrival = (change["to"], "user_joined", change["userId"]) if change.get("reason") == "moved" else None


def _judge_position(line: Line, before: tuple[int, int] | None, listed: dict[str, Any] | None) -> None:
    kind, position = line.type, line.position
    shown = f"{kind} of {line.channel} at {position}, after {before}"
    if kind == "channel_opened":
        if listed is not None or position[1] != 0 or (before is not None and position[0] <= before[0]):
            raise GuaranteeBroken(3, "a channel opened in an epoch that is not new", shown)
    elif listed is None or before is None or position[0] != before[0]:
        raise GuaranteeBroken(3, "a channel changed that was not open", shown)
    elif kind == "channel_closed":
        if listed or position != before:
            raise GuaranteeBroken(2, f"a channel closed while it listed {list(listed)}", shown)
    elif position[1] != before[1] + 1:
        raise GuaranteeBroken(3, "the journal has a gap", shown)


def _apply(listed: dict[str, Any], change: dict[str, Any]) -> None:
    user, kind = change["userId"], change["type"]
    if (kind == "user_joined") == (user in listed):
        raise GuaranteeBroken(2, f"the journal has a {kind} of {user}, and lists {list(listed)}", change)
    listed[user] = change["participant"]
    if kind == "user_left":
        del listed[user]
    if change["count"] != len(listed):
        raise GuaranteeBroken(3, f"the journal lists {list(listed)}, but the count says {change['count']}", change)
