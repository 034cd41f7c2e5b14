"""A worker process: the conductor starts ``python -m tools.loadtest.worker`` and controls it over pipes."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import Final

import trio
from attrs import define, field

from tools.light import Identity, Poller
from tools.loadtest import messages
from tools.loadtest.member import LoadMember, SharedState
from tools.loadtest.messages import (
    Batch,
    Begin,
    Churn,
    Finish,
    Finished,
    MessageReader,
    Ready,
    SentPackets,
    Settle,
    Settled,
    StopSending,
)
from tools.loadtest.own_load import LagMeter
from tools.loadtest.tally import Tally

#: Seconds between two batches.
INTERVAL: Final = 0.25
#: Seconds after which a conductor that takes no batch counts as gone.
CONDUCTOR_SECONDS: Final = 30.0
#: Seconds in which the last packets arrive after the senders stop.
DRAIN: Final = 0.5
#: Longest wait for all clients to leave, in seconds.
FINISH_SECONDS: Final = 15.0


@define(eq=False)
class Worker:
    """Runs light clients.  ``commands`` and ``reports`` are the pipes from and to the conductor."""

    commands: MessageReader
    reports: trio.abc.SendStream
    lag: LagMeter = field(factory=LagMeter)
    poller: Poller = field(factory=Poller)
    _members: dict[int, LoadMember] = field(factory=dict)
    _shared: SharedState | None = None
    _writing: trio.Lock = field(factory=trio.Lock)
    _lives: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Run until the conductor sends :class:`Finish`, or ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.poller.run)
            nursery.start_soon(self.lag.run)
            await self._report(Ready())
            while (command := await self.commands.receive()) is not None:
                await self._obey(command, nursery)
                if isinstance(command, Finish):
                    break
            nursery.cancel_scope.cancel()

    async def _obey(self, command: messages.ConductorMessage, nursery: trio.Nursery) -> None:
        match command:
            case Begin():
                self._begin(command, nursery)
            case Churn(slot=slot, kind=kind):
                member = self._members[slot]
                if kind == "move":
                    member.move()
                else:
                    member.leave(kind)
            case StopSending():
                await self._stop_sending()
            case Settle(sent=sent):
                for member in self._members.values():
                    member.settle(sent)
                await self._send_batch()
                await self._report(Settled())
            case Finish():
                await self._finish()

    def _begin(self, begin: Begin, nursery: trio.Nursery) -> None:
        identity = Identity.new()
        rng = random.Random()
        self._shared = SharedState(begin.plan, begin.media, identity, self.poller, Tally(begin.plan.kinds), rng)
        nursery.start_soon(self._send_batches)
        nursery.start_soon(self._let_live, begin)

    async def _let_live(self, begin: Begin) -> None:
        assert self._shared is not None
        async with trio.open_nursery() as lives:
            for slot in begin.slots:
                member = self._members[slot.number] = LoadMember(slot, self._shared)
                lives.start_soon(member.live, begin.start_at + slot.number / begin.plan.ramp)
        self._lives.set()

    async def _stop_sending(self) -> None:
        assert self._shared is not None
        self._shared.sending = False
        sent: dict[int, int] = {}
        for member in self._members.values():
            sent |= member.stop_sending()
        await trio.sleep(DRAIN)
        self.poller.poll()
        await self._report(SentPackets(sent))

    async def _finish(self) -> None:
        shared = self._shared
        if shared is not None:
            shared.finish.set()
            for member in self._members.values():
                member.leave("leave")
            with trio.move_on_after(FINISH_SECONDS):
                await self._lives.wait()
            await self._send_batch()
        await self._report(Finished())

    async def _send_batches(self) -> None:
        while True:
            await trio.sleep(INTERVAL)
            await self._send_batch()

    async def _send_batch(self) -> None:
        assert self._shared is not None
        tally = self._shared.tally
        facts = tally.facts.copy()
        tally.facts.clear()
        await self._report(Batch(time.monotonic(), facts, tally.snapshot(self.lag.take())))

    async def _report(self, report: messages.WorkerMessage) -> None:
        # A task makes its message and asks for the lock in one step, and the lock is fair.  So messages keep the order
        # in which they were made.
        async with self._writing:
            with trio.fail_after(CONDUCTOR_SECONDS):
                await messages.send(self.reports, report)


async def _work() -> None:
    commands, reports = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not garble the messages
    async with trio.lowlevel.FdStream(commands) as read, trio.lowlevel.FdStream(reports) as write:
        try:
            await Worker(MessageReader(read), write).run()
        except* (trio.BrokenResourceError, trio.TooSlowError):
            pass  # the conductor has ended or hangs


def main() -> None:
    # The conductor acts on Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trio.run(_work)


if __name__ == "__main__":
    main()
