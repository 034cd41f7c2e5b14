"""Conducts a run: starts its processes, tells them what to do and when, and ends them, also after a failure."""

from __future__ import annotations

import math
import random
import signal
import time
from collections.abc import Callable
from typing import Final, Literal, TypeVar

import trio
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light.encoders import encode_audio, encode_simulcast, encode_video
from tools.light.media_loop import MediaLoop
from tools.loadtest.full_clients import JOIN_SECONDS, FullClientProcess, open_full_clients
from tools.loadtest.gateway_figures import GatewayFigures, GatewayWatch, NoFiguresError
from tools.loadtest.messages import (
    Batch,
    Begin,
    Churn,
    ConductorMessage,
    EndedFact,
    Fact,
    Finish,
    Finished,
    JoinedFact,
    LeavingFact,
    Media,
    Ready,
    SentPackets,
    Settle,
    Settled,
    StopSending,
    WorkerMessage,
)
from tools.loadtest.own_load import LagMeter
from tools.loadtest.plan import Plan, Slot
from tools.loadtest.processes import ProcessEnded, WorkerProcess, open_workers
from tools.loadtest.totals import SecondFigures, Totals
from tools.loadtest.truth import Truth

A = TypeVar("A", bound=WorkerMessage)
Phase = Literal["starting", "joining", "measuring", "settling", "ending", "done"]

START_SECONDS: Final = 30.0
#: Seconds for the last clients to join, beyond the ramp.
JOINING_SECONDS: Final = 20.0
#: Seconds between the last join and measuring, so that first packets and key frames are over.
CALM: Final = 0.7
#: Seconds from the end of churn until all clients are back.
BACK_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
#: Seconds in which repeated signals count as one.
SAME_SIGNAL: Final = 0.3
#: Seconds that the gateway gets for its goodbyes, before the tool reads its figures for the last time.
GOODBYE_SECONDS: Final = 0.3


class Aborted(Exception):
    """A second signal ended the run at once."""


@define(eq=False)
class Conductor:
    """Runs a plan.  Afterwards ``truth`` and ``totals`` have the results.  ``error`` says why a run broke off.

    ``figures`` has the gateway's own figures at four moments: before the first client, when measuring began and ended,
    and after the last client left.  ``look`` gets the figures of the newest second, once a second.
    """

    plan: Plan
    watch: GatewayWatch
    look: Callable[[Conductor, SecondFigures], object]
    truth: Truth = field(factory=Truth)
    totals: Totals = field(init=False)
    phase: Phase = "starting"
    phase_began: float = field(factory=time.monotonic)
    error: str | None = None
    interrupted: bool = False
    measured_seconds: float = 0.0
    figures: dict[Literal["before", "began", "ended", "after"], GatewayFigures] = field(factory=dict)
    no_figures: str | None = None
    media: Media = field(factory=dict)
    full: list[FullClientProcess] = field(factory=list)
    _begun: bool = False
    _slots: tuple[Slot, ...] = ()
    _by_user: dict[str, Slot] = field(factory=dict)
    #: Numbers of the slots whose client is in its channel.
    _here: set[int] = field(factory=set)
    #: By worker, the time up to which its facts are known.
    _complete: dict[int, float] = field(factory=dict)
    #: By worker, its messages other than batches.
    _answers: dict[int, list[WorkerMessage]] = field(factory=dict)
    _changed: trio.Event = field(factory=trio.Event)
    _main: trio.CancelScope = field(factory=trio.CancelScope)
    _lag: LagMeter = field(factory=LagMeter)
    _rng: random.Random = field(factory=random.Random)

    def __attrs_post_init__(self) -> None:
        self.totals = Totals(self.plan.kinds, self.plan.processes)
        self._slots = self.plan.slots()
        self._by_user = {slot.user_id: slot for slot in self._slots}
        self._rng = random.Random(self.plan.seed)

    async def run(self) -> None:
        """Do the whole run.  Raises :exc:`Aborted` and :exc:`ProcessEnded`.  ``error`` gets every other failure."""
        self.media = {kind: self._encode(kind) for kind in self.plan.kinds}
        await self._take_figures("before")
        async with open_full_clients(self.plan) as self.full, open_workers(self.plan.processes) as workers:
            self.truth.outsiders |= {client.user_id for client in self.full}
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._heed_signals)
                nursery.start_soon(self._lag.run)
                for worker in workers:
                    nursery.start_soon(self._listen, worker)
                with self._main:
                    await self._go_through(workers, nursery)
                await self._wind_down(workers)
                nursery.cancel_scope.cancel()
        self._enter("done")

    def _encode(self, kind: MediaKind) -> tuple[MediaLoop, ...]:
        if kind == "audio":
            return (encode_audio(),)
        bitrate, fps = self.plan.bitrate, self.plan.fps
        return encode_simulcast(bitrate, fps) if self.plan.simulcast else (encode_video(bitrate, fps),)

    def bitrate(self, kind: MediaKind) -> float:
        """Bits a second of one sent stream in all its encodings, once they are made."""
        return sum(loop.bitrate for loop in self.media[kind])

    def _enter(self, phase: Phase) -> None:
        self.phase, self.phase_began = phase, time.monotonic()

    def _fail(self, what: str) -> None:
        """Break the run off.  Keep the first reason."""
        if self.error is None and self.phase not in ("ending", "done"):
            self.error = what
            self._main.cancel()

    # The phases of a run.

    async def _go_through(self, workers: list[WorkerProcess], nursery: trio.Nursery) -> None:
        await self._each_answers(workers, Ready, START_SECONDS)
        self._enter("joining")
        self.totals.began_at = time.monotonic()
        start_at = self.totals.began_at + 0.1
        for worker in workers:
            slots = tuple(slot for slot in self._slots if slot.process == worker.number)
            await worker.send(Begin(self.plan, slots, self.media, start_at))
        self._begun = True
        nursery.start_soon(self._close_seconds)
        await self._wait_all_here(len(self._slots) / self.plan.ramp + JOINING_SECONDS)
        await self._wait_full_clients()
        await trio.sleep(CALM)
        await self._measure(workers)
        self._enter("settling")
        await self._wait_all_here(BACK_SECONDS)
        await trio.sleep(CALM)

    async def _measure(self, workers: list[WorkerProcess]) -> None:
        self._enter("measuring")
        await self._take_figures("began")
        began = time.monotonic()
        self.totals.measured = True
        try:
            with trio.move_on_after(self.plan.duration):
                await self._churn(workers)
        finally:
            self.measured_seconds = time.monotonic() - began
            self.totals.measured = False
            with trio.CancelScope(deadline=trio.current_time() + ANSWER_SECONDS, shield=True):
                await self._take_figures("ended")

    async def _churn(self, workers: list[WorkerProcess]) -> None:
        """Let random clients leave or move at the plan's rate, and use the ways to do so in turn."""
        if not self.plan.churn:
            await trio.sleep_forever()
        due, number = trio.current_time(), 0
        while True:
            due += 1 / self.plan.churn
            await trio.sleep_until(due)
            able = [slot for slot in self._slots if slot.churns and slot.number in self._here]
            if not able:
                continue
            slot = self._rng.choice(able)
            kind = self.plan.churn_kinds[number % len(self.plan.churn_kinds)]
            if kind != "move":
                self._here.discard(slot.number)
            await workers[slot.process].send(Churn(slot.number, kind))
            number += 1

    async def _wait_all_here(self, seconds: float) -> None:
        """Wait until each client has joined or failed, but no longer than ``seconds``."""
        with trio.move_on_after(seconds):
            while len(self._here) + self.totals.sum().failed < len(self._slots):
                await self._changed.wait()

    async def _wait_full_clients(self) -> None:
        for client in self.full:
            with trio.move_on_after(JOIN_SECONDS) as waiting:
                await client.joined.wait()
            if waiting.cancelled_caught or client.failure is not None:
                self._fail(f"{client.user_id} could not take part: {client.failure or 'it took too long'}")
                await trio.lowlevel.checkpoint()

    async def _wind_down(self, workers: list[WorkerProcess]) -> None:
        self._enter("ending")
        broke_off = self.error is not None or not self._begun
        if not broke_off:
            sent: dict[int, int] = {}
            for answer in await self._ask(workers, StopSending(), SentPackets):
                sent |= answer.packets
            await self._ask(workers, Settle(sent), Settled)
            self.truth.judge_at_rest(min(self._complete.values()))
        self.truth.measured_until = time.monotonic()
        if self._begun:
            await self._ask(workers, Finish(), Finished)
        self.truth.finish(everything=not broke_off)
        await trio.sleep(GOODBYE_SECONDS)
        await self._take_figures("after")
        self.totals.close_second(self.truth.total, self._lag.take())

    # Messages of workers.

    async def _listen(self, worker: WorkerProcess) -> None:
        while True:
            report = await worker.listen()
            match report:
                case Batch():
                    self._take(worker.number, report)
                case _:
                    self._answers.setdefault(worker.number, []).append(report)
            self._changed.set()
            self._changed = trio.Event()
            if isinstance(report, Finished):
                return

    def _take(self, worker: int, batch: Batch) -> None:
        self._note_who_is_here(batch.facts)
        self.totals.take(worker, batch.snapshot)
        self.truth.learn(batch.facts)
        self._complete[worker] = batch.at
        if len(self._complete) == self.plan.processes:
            self.truth.judge(min(self._complete.values()))
        self._look_for_disaster()

    def _note_who_is_here(self, facts: list[Fact]) -> None:
        for fact in facts:
            match fact:
                case JoinedFact(user_id=user_id):
                    self._here.add(self._by_user[user_id].number)
                case LeavingFact(user_id=user_id) | EndedFact(user_id=user_id):
                    self._here.discard(self._by_user[user_id].number)

    def _look_for_disaster(self) -> None:
        """Break the run off if no client can join, or if half of the clients are lost."""
        total = self.totals.sum()
        if not total.failed:
            return
        [(what, _)] = total.failures.most_common(1) or [("no reason is known", 0)]
        if not total.joins:
            self._fail(f"nobody could join: {what}")
        elif 2 * total.failed >= len(self._slots):
            self._fail(f"{total.failed} of {len(self._slots)} clients were lost or refused: {what}")

    async def _ask(self, workers: list[WorkerProcess], command: ConductorMessage, answer: type[A]) -> list[A]:
        for worker in workers:
            await worker.send(command)
        return await self._each_answers(workers, answer, ANSWER_SECONDS)

    async def _each_answers(self, workers: list[WorkerProcess], answer: type[A], seconds: float) -> list[A]:
        """Return each worker's answer of this class.  Raises :exc:`ProcessEnded` if a worker takes too long."""
        found: list[A] = []
        for worker in workers:
            with trio.move_on_after(seconds) as waiting:
                found.append(await self._answer_of(worker.number, answer))
            if waiting.cancelled_caught:
                raise ProcessEnded(
                    f"{worker.child.name} did not answer for {seconds:g} s:\n{worker.child.last_lines()}"
                )
        return found

    async def _answer_of(self, worker: int, answer: type[A]) -> A:
        while True:
            for report in self._answers.get(worker, ()):
                if isinstance(report, answer):
                    return report
            await self._changed.wait()

    # Figures of each second.

    async def _close_seconds(self) -> None:
        while True:
            await trio.sleep(1)
            await self._take_figures(None)
            self.look(self, self.totals.close_second(self.truth.total, self._lag.take()))

    async def _take_figures(self, moment: Literal["before", "began", "ended", "after"] | None) -> None:
        if self.watch.metrics is None and self.watch.pid is None:
            return
        try:
            figures = await self.watch.look()
        except NoFiguresError as error:
            self.no_figures = self.no_figures or str(error)
            if moment != "ended" or self.totals.gateway is None:
                return
            figures = self.totals.gateway  # the newest known figures
        self.totals.gateway = figures
        if moment is not None:
            self.figures[moment] = figures

    async def _heed_signals(self) -> None:
        """End the run in order at the first signal, and at once at the second.

        A parent process may pass on a signal that this process has got already.  So signals within
        :data:`SAME_SIGNAL` count as one.
        """
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            first_at = math.inf
            async for _ in signals:
                if self.interrupted and trio.current_time() > first_at + SAME_SIGNAL:
                    raise Aborted
                first_at = min(first_at, trio.current_time())
                self.interrupted = True
                self._main.cancel()
