"""The client processes of a test, the actions on them, and their reports."""

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
_LAST_ACTIONS = 25


@define
class ClientProcess:
    """One user, and the process that plays this user now.

    ``place`` is an index of the network's places, or None for the gateway's own.  ``life`` counts the processes.
    """

    user: str
    place: int | None
    life: int = 0
    state: Literal["running", "stopped", "dead"] = "dead"
    report: Report | None = None
    last_change: str = "never started"

    @property
    def process(self) -> str:
        return f"{self.user}.{self.life}"


@define
class Crowd:
    """All client processes and their states, which decide what is correct.

    ``lists`` has every list that a client has seen, by revision.  ``fault`` is the first broken promise or failure.
    """

    url: str
    network: Network
    commands: IO[bytes]
    errors: Path
    clients: dict[str, ClientProcess] = field(factory=dict)
    cut_off: set[int] = field(factory=set)
    lists: dict[int, tuple[str, ...]] = field(factory=dict)
    fault: str | None = None
    reports: int = 0
    began: float = field(factory=time.monotonic)
    actions: deque[str] = field(factory=lambda: deque(maxlen=_LAST_ACTIONS))
    count: Counter[str] = field(factory=Counter)
    last_action: float = field(factory=time.monotonic)
    _heard: trio.Event = field(factory=trio.Event)

    # Actions on the processes.

    def start(self, client: ClientProcess) -> None:
        """Start a new process for this user.  The last one must be dead."""
        assert client.state == "dead"
        client.life += 1
        client.report = None
        place = "" if client.place is None else self.network.places[client.place]
        self._command(Command(client.process, client.user, self.url, place))
        self._did(client, "running", "started")

    def kill(self, client: ClientProcess) -> None:
        self._send(client, signal.SIGKILL)
        self._did(client, "dead", "killed")

    def stop(self, client: ClientProcess) -> None:
        self._send(client, signal.SIGSTOP)
        self._did(client, "stopped", "stopped")

    def wake(self, client: ClientProcess) -> None:
        self._send(client, signal.SIGCONT)
        self._did(client, "running", "woken")

    def cut(self, place: int) -> None:
        """Cut the network between this place and the gateway."""
        self.network.cut(place)
        self.cut_off.add(place)
        self._note("cut off", f"place {place}")

    def heal(self, place: int) -> None:
        self.network.heal(place)
        self.cut_off.discard(place)
        self._note("healed", f"place {place}")

    def _did(self, client: ClientProcess, state: Literal["running", "stopped", "dead"], what: str) -> None:
        client.state = state
        self._note(what, client.process)
        client.last_change = f"{what} at {self.last_action - self.began:.2f} s"

    def _note(self, action: str, whom: str) -> None:
        self.last_action = time.monotonic()
        self.actions.append(f"{self.last_action - self.began:6.2f} s  {whom} {action}")
        self.count[action] += 1

    def _send(self, client: ClientProcess, number: int) -> None:
        self._command(Command(client.process, signal=number))

    def _command(self, command: Command) -> None:
        self.commands.write(command.line())
        self.commands.flush()

    # The correct state.

    def present(self) -> dict[str, ClientProcess]:
        """The clients that have to be listed in the end: those that run and are reachable, by user."""
        return {
            client.user: client
            for client in self.clients.values()
            if client.state == "running" and client.place not in self.cut_off
        }

    # Reports of the processes.

    async def listen(self, pipe: trio.abc.ReceiveStream) -> None:
        """Read reports until cancelled."""
        unread = b""
        while True:
            whole, _, unread = (unread + await pipe.receive_some(65536)).rpartition(b"\n")
            for line in whole.splitlines():
                self._take_in(Report.of(line))
            self._heard.set()

    def _take_in(self, report: Report) -> None:
        self.reports += 1
        client = self.clients[report.process.partition(".")[0]]
        if report.is_fault:
            self.fault = self.fault or f"{report.process}: {report.reason}"
        elif report.process == client.process:  # ignore late reports of dead processes
            client.report = report
        if report.revision >= 0:
            seen = self.lists.setdefault(report.revision, report.users)
            if seen != report.users:
                self.fault = self.fault or (
                    f"at revision {report.revision} {report.process} sees {report.users}, but another client {seen}"
                )

    async def until(self, holds: Callable[[], bool], deadline: float, reason: Callable[[], str]) -> None:
        """Wait until ``holds`` is true.

        Fails at ``deadline`` (a time of ``time.monotonic()``) or as soon as a client has seen a broken promise.
        """
        while self.fault is None and not holds():
            self._heard = trio.Event()
            with trio.move_on_after(deadline - time.monotonic()):
                await self._heard.wait()
            assert time.monotonic() < deadline or holds(), self.failure_message(reason())
        assert self.fault is None, self.failure_message(self.fault)

    def failure_message(self, what: str) -> str:
        """A failure in words: the problem, the correct state, the last actions, and the clients' error output."""
        absent = [
            f"{client.process} {client.last_change}" + (", cut off" if client.place in self.cut_off else "")
            for client in self.clients.values()
            if client.user not in self.present()
        ]
        return "\n".join(
            [
                what,
                f"the time is {time.monotonic() - self.began:.2f} s",
                f"should be there: {' '.join(self.present())}",
                f"should not: {', '.join(absent) or 'nobody'}",
                "last actions:",
                *self.actions,
                self.errors.read_text()[-4000:],
            ]
        )


@asynccontextmanager
async def open_crowd(url: str, folder: Path, network: Network = LOOPBACK) -> AsyncIterator[Crowd]:
    """A crowd without clients.  At the end of the block all processes are killed, including stopped ones."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl(writing, F_SETPIPE_SZ, ROOM)
    errors = folder / "clients"
    try:
        # The pipe has to outlive the processes that write to it.
        async with trio.lowlevel.FdStream(reading) as pipe, trio.open_nursery() as nursery:
            with _run_forker(writing, errors) as commands:
                crowd = Crowd(url, network, commands, errors)
                nursery.start_soon(crowd.listen, pipe)
                yield crowd
            nursery.cancel_scope.cancel()
    finally:
        os.close(writing)


@contextmanager
def _run_forker(reports: int, errors: Path) -> Iterator[IO[bytes]]:
    command = [sys.executable, "-m", "tests.chaos.client_forker", str(reports)]
    with (
        errors.open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, pass_fds=[reports], cwd=_ROOT) as forker,
    ):
        assert forker.stdin is not None
        try:
            yield forker.stdin
        finally:
            try:
                forker.stdin.close()
                assert forker.wait(10) == 0, errors.read_text()
            finally:
                forker.kill()  # unless it has ended, and its children with it
