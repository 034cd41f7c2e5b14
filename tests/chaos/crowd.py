"""The client processes of a test, what it has done to them, and what they say."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import IO, Literal

import trio
from attrs import define, field

from tests.chaos.client_forker import Command
from tests.chaos.network import LOOPBACK, Network
from tests.chaos.reports import ROOM, Report

_ROOT = Path(__file__).parents[2]
_LAST_DEEDS = 25


@define
class Someone:
    """One user and the process that is this user now.  ``place`` is an index of the network's, None for home."""

    user: str
    place: int | None
    life: int = 0
    state: Literal["running", "stopped", "dead"] = "dead"
    said: Report | None = None
    fate: str = "never started"

    @property
    def process(self) -> str:
        return f"{self.user}.{self.life}"


@define
class Crowd:
    """Who is in which state: the truth of a test, and its deeds, each with its time.

    ``lists`` are all lists that anybody saw, by revision.  ``watch`` is called with every report.
    """

    url: str
    network: Network
    commands: IO[bytes]
    errors: Path
    everybody: dict[str, Someone] = field(factory=dict)
    cut_off: set[int] = field(factory=set)
    lists: dict[int, tuple[str, ...]] = field(factory=dict)
    fault: str | None = None
    reports: int = 0
    began: float = field(factory=time.monotonic)
    deeds: deque[str] = field(factory=lambda: deque(maxlen=_LAST_DEEDS))
    count: Counter[str] = field(factory=Counter)
    last_deed: float = field(factory=time.monotonic)
    _heard: trio.Event = field(factory=trio.Event)

    # What is done to them.

    def start(self, someone: Someone) -> None:
        """A new process for this user, whose last one is dead."""
        assert someone.state == "dead"
        someone.life += 1
        someone.said = None
        place = "" if someone.place is None else self.network.places[someone.place]
        self._command(Command(someone.process, someone.user, self.url, place))
        self._did(someone, "running", "started")

    def kill(self, someone: Someone) -> None:
        self._send(someone, signal.SIGKILL)
        self._did(someone, "dead", "killed")

    def stop(self, someone: Someone) -> None:
        self._send(someone, signal.SIGSTOP)
        self._did(someone, "stopped", "stopped")

    def wake(self, someone: Someone) -> None:
        self._send(someone, signal.SIGCONT)
        self._did(someone, "running", "woken")

    def cut(self, place: int) -> None:
        """A partition: this place and the gateway do not reach each other any more."""
        self.network.cut(place)
        self.cut_off.add(place)
        self._note("cut off", f"place {place}")

    def heal(self, place: int) -> None:
        self.network.heal(place)
        self.cut_off.discard(place)
        self._note("healed", f"place {place}")

    def _did(self, someone: Someone, state: Literal["running", "stopped", "dead"], what: str) -> None:
        someone.state = state
        self._note(what, someone.process)
        someone.fate = f"{what} at {self.last_deed - self.began:.2f} s"

    def _note(self, deed: str, whom: str) -> None:
        self.last_deed = time.monotonic()
        self.deeds.append(f"{self.last_deed - self.began:6.2f} s  {whom} {deed}")
        self.count[deed] += 1

    def _send(self, someone: Someone, number: int) -> None:
        self._command(Command(someone.process, signal=number))

    def _command(self, command: Command) -> None:
        self.commands.write(command.line())
        self.commands.flush()

    # What they are.

    def present(self) -> dict[str, Someone]:
        """Who must be listed once all has settled: those who live, run and are reachable."""
        return {
            someone.user: someone
            for someone in self.everybody.values()
            if someone.state == "running" and someone.place not in self.cut_off
        }

    # What they say.

    async def listen(self, pipe: trio.abc.ReceiveStream) -> None:
        """Take in reports until cancelled."""
        unread = b""
        while True:
            whole, _, unread = (unread + await pipe.receive_some(65536)).rpartition(b"\n")
            for line in whole.splitlines():
                self._take_in(Report.of(line))
            self._heard.set()

    def _take_in(self, report: Report) -> None:
        self.reports += 1
        someone = self.everybody[report.process.partition(".")[0]]
        if report.is_fault:
            self.fault = self.fault or f"{report.process}: {report.word}"
        elif report.process == someone.process:  # and not the last word of one who is dead
            someone.said = report
        if report.revision >= 0:
            seen = self.lists.setdefault(report.revision, report.users)
            if seen != report.users:
                self.fault = self.fault or (
                    f"at revision {report.revision} {report.process} sees {report.users}, another one {seen}"
                )

    async def until(self, holds: Callable[[], bool], deadline: float, describe: Callable[[], str]) -> None:
        """Wait for what the reports will say, until ``deadline`` (of ``time.monotonic()``).

        Fails then, or as soon as a client has seen a promise broken, with the story so far.
        """
        while self.fault is None and not holds():
            self._heard = trio.Event()
            with trio.move_on_after(deadline - time.monotonic()):
                await self._heard.wait()
            assert time.monotonic() < deadline or holds(), self.story(describe())
        assert self.fault is None, self.story(self.fault)

    def story(self, what: str) -> str:
        """A failure in words: what is wrong, what should be, what was done last, what clients wrote to stderr."""
        absent = [
            f"{someone.process} {someone.fate}" + (", cut off" if someone.place in self.cut_off else "")
            for someone in self.everybody.values()
            if someone.user not in self.present()
        ]
        return "\n".join(
            [
                what,
                f"now it is {time.monotonic() - self.began:.2f} s",
                f"should be there: {' '.join(self.present())}",
                f"should not: {', '.join(absent) or 'nobody'}",
                "last deeds:",
                *self.deeds,
                self.errors.read_text()[-4000:],
            ]
        )


@asynccontextmanager
async def open_crowd(url: str, folder: Path, network: Network = LOOPBACK) -> AsyncIterator[Crowd]:
    """Nobody yet.  When the block is left all processes are killed, stopped ones as well."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl(writing, F_SETPIPE_SZ, ROOM)
    errors = folder / "clients"
    try:
        # The pipe outlives those who write to it, or the last of them would fail.
        async with trio.lowlevel.FdStream(reading) as pipe, trio.open_nursery() as nursery:
            with _run_zygote(writing, errors) as commands:
                crowd = Crowd(url, network, commands, errors)
                nursery.start_soon(crowd.listen, pipe)
                yield crowd
            nursery.cancel_scope.cancel()
    finally:
        os.close(writing)


@contextmanager
def _run_zygote(reports: int, errors: Path) -> Iterator[IO[bytes]]:
    command = [sys.executable, "-m", "tests.chaos.client_forker", str(reports)]
    with (
        errors.open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, pass_fds=[reports], cwd=_ROOT) as zygote,
    ):
        assert zygote.stdin is not None
        try:
            yield zygote.stdin
        finally:
            try:
                zygote.stdin.close()
                assert zygote.wait(10) == 0, errors.read_text()
            finally:
                zygote.kill()  # it may have ended by now; its children end with it
