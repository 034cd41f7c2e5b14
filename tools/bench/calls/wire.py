"""The emulated network of a run: namespaces whose only interface ends in the switch."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import trio
from attrs import asdict, define, frozen

from tools.bench import BenchError
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.switch import LATE_LIMITS, Way, address_of
from tools.bench.network import NoNetwork
from tools.loadtest.child import ChildProcess, open_child
from tools.namespaces import configure, enter, new_namespaces, path, this_namespace, why_not

SENDER, RECEIVER, SERVER = range(3)
ENDS: Final = ("sender", "receiver", "server")
INTERFACE: Final = "eth0"
_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_TAP_WITHOUT_HEADER: Final = 0x1002
_IPV4, _AWAY_IPV4 = "10.90.0.", "10.91.0."
_IPV6, _AWAY_IPV6 = "fd90::", "fd91::"
_ANSWER_SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 65536


class NoSwitch(BenchError):
    """The switch ended or does not answer.  The text has the end of its log."""


def why_not_here() -> str | None:
    """Why this machine cannot emulate a network, or None if it can."""
    if (reason := why_not()) is not None:
        return reason
    try:
        with new_namespaces(1):
            os.close(_open_tap())
    except OSError as error:
        return f"no emulated network here, since there are no TAP devices: {error}"
    return None


def ipv4(end: int, is_away: bool = False) -> str:
    """An end's address.  If it ``is_away``, it is in another network, at the same port of the switch."""
    return f"{_AWAY_IPV4 if is_away else _IPV4}{end + 1}"


def ipv6(end: int, is_away: bool = False) -> str:
    return f"{_AWAY_IPV6 if is_away else _IPV6}{end + 1}"


@frozen
class Namespace:
    """One end of the network: a namespace with one interface."""

    descriptor: int
    end: int

    @property
    def ipv4(self) -> str:
        return ipv4(self.end)

    @property
    def ipv6(self) -> str:
        return ipv6(self.end)

    @property
    def prefix(self) -> tuple[str, ...]:
        """The beginning of a command that runs the rest of it in this namespace."""
        return ("nsenter", f"--net={path(self.descriptor)}", "--")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move this thread into the namespace.  The block must not wait: other tasks would run there, too."""
        before = this_namespace()
        try:
            enter(self.descriptor)
            yield
        finally:
            enter(before)
            os.close(before)

    def set_addresses(self, *, home: bool, away: bool) -> None:
        """Give the interface its usual addresses (``home``), those in another network (``away``), or both."""
        with self.entered():
            _set_addresses(self.end, home=home, away=away)

    def kill(self) -> None:
        """End all processes in this namespace, except this one."""
        self._signal(signal.SIGKILL)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Stop all processes in this namespace, as a laptop does that sleeps.  They go on after the block."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        wanted = os.fstat(self.descriptor)
        for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda one: int(one.name)):
            with suppress(OSError):  # the process has ended meanwhile
                found = (folder / "ns" / "net").stat()
                if (found.st_ino, found.st_dev) == (wanted.st_ino, wanted.st_dev) and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), number)


@frozen
class Lateness:
    """How late frames left the switch, from its histogram."""

    counts: Sequence[int]

    def quantile(self, share: float) -> float:
        """The limit in seconds within which this share of all frames left.  0 if there were none."""
        left = share * sum(self.counts)
        for limit, count in zip(LATE_LIMITS, self.counts, strict=True):
            left -= count
            if left <= 0:
                return limit if sum(self.counts) else 0.0
        return LATE_LIMITS[-1]

    def since(self, before: Lateness) -> Lateness:
        return Lateness([later - earlier for earlier, later in zip(before.counts, self.counts, strict=True)])


@frozen
class SwitchCounts:
    """What the switch has counted so far: the counts of each direction, by way and port."""

    directions: Mapping[str, Sequence[Mapping[str, int]]]
    lateness: Lateness
    too_many: int

    def of(self, way: Way, end: int, name: str) -> int:
        return self.directions[way][end][name]


@define(eq=False)
class SwitchProcess(ChildProcess):
    """The running switch."""

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Send a request and return its answer.  Raises :exc:`NoSwitch`."""
        assert self.process.stdin is not None
        try:
            with trio.fail_after(_ANSWER_SECONDS):
                await self.process.stdin.send_all(json.dumps(request).encode() + b"\n")
                return await self.answer()
        except (trio.TooSlowError, trio.BrokenResourceError, ValueError) as error:
            raise NoSwitch(f"the switch does not answer; the end of its log:\n{self.last_lines()}") from error

    async def answer(self) -> Any:
        assert self.process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            line += await self.process.stdout.receive_some(_ANSWER_BYTES) or b"the switch ended\n"
        return json.loads(line)


@define(eq=False)
class Wire:
    """A network of three ends: a sender, a receiver and a server.  :func:`open_wire` makes it."""

    ends: Sequence[Namespace]
    _switch: SwitchProcess

    async def set(self, end: int, way: Way, conditions: Conditions) -> None:
        """Set the conditions from or to one end."""
        await self._switch.ask({"set": way, "port": end, "conditions": asdict(conditions)})

    async def clear(self) -> None:
        """Make the whole network perfect."""
        for end in range(len(self.ends)):
            await self.set(end, "from", Conditions())
            await self.set(end, "to", Conditions())

    async def capture(self, file: Path | None) -> None:
        """Write all frames that reach the switch into a file, up to the next call.  None only ends this."""
        await self._switch.ask({"capture": file and str(file)})

    async def waits(self, end: int, way: Way) -> list[tuple[float, float]]:
        """Return how long frames waited for the rate of this direction since the last call.

        Each entry has a time on the machine's monotonic clock, and the longest wait in the tenth of a second from then
        on.  Both are in seconds.
        """
        return [(at, wait) for at, wait in await self._switch.ask({"waits": way, "port": end})]

    async def counts(self) -> SwitchCounts:
        found = await self._switch.ask({"counts": True})
        directions = {way: found[way] for way in ("from", "to")}
        return SwitchCounts(directions, Lateness(found["late"]), found["too_many"])


@contextmanager
def open_ends() -> Iterator[tuple[list[Namespace], list[int]]]:
    """Make the namespaces, and yield them with the devices that end in the switch.  This thread is in the server's.

    Raises :exc:`NoNetwork`.
    """
    if (reason := why_not_here()) is not None:
        raise NoNetwork(f"{reason}; the bench needs root on Linux, with iproute2")
    with new_namespaces(len(ENDS)) as descriptors:
        devices: list[int] = []
        try:
            for end, descriptor in enumerate(descriptors):
                enter(descriptor)
                devices.append(_plug(end))
            yield [Namespace(one, end) for end, one in enumerate(descriptors)], devices
        finally:
            for device in devices:
                os.close(device)


@asynccontextmanager
async def open_wire(ends: Sequence[Namespace], devices: Sequence[int], seed: int) -> AsyncIterator[Wire]:
    """Run the switch for as long as the block runs."""
    command = (sys.executable, "-m", "tools.bench.calls.switch_process", str(seed), *map(str, devices))
    pipe = subprocess.PIPE
    async with open_child(SwitchProcess, "switch", command, stdin=pipe, stdout=pipe, pass_fds=devices) as switch:
        with trio.fail_after(_ANSWER_SECONDS):
            await switch.answer()
        yield Wire(ends, switch)


def _open_tap() -> int:
    """Make an interface in this namespace, and return the descriptor at its other end.  Raises ``OSError``."""
    device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", INTERFACE.encode(), _TAP_WITHOUT_HEADER))
    except OSError:
        os.close(device)
        raise
    return device


def _plug(end: int) -> int:
    """Make this namespace's interface.  Return the descriptor at its other end."""
    device = _open_tap()
    configure("ip", "link", "set", "lo", "up")
    configure("ip", "link", "set", INTERFACE, "address", address_of(end).hex(":"))
    configure("ip", "link", "set", INTERFACE, "up")
    _set_addresses(end, home=True, away=False)
    return device


def _set_addresses(end: int, *, home: bool, away: bool) -> None:
    """Set the addresses of this namespace's interface.

    Every end has routes to both networks, and knows the others' Ethernet addresses.  So nothing asks for them, and a
    loss never costs an address.  The kernel forgets both with the last address of this end.
    """
    for is_away, wanted in sorted(((False, home), (True, away)), key=lambda one: one[1]):
        for address in (f"{ipv4(end, is_away)}/24", f"{ipv6(end, is_away)}/64"):
            nodad = ("nodad",) if wanted and ":" in address else ()
            with nullcontext() if wanted else suppress(subprocess.CalledProcessError):  # it may be gone already
                configure("ip", "address", "replace" if wanted else "delete", address, "dev", INTERFACE, *nodad)
    for is_away in (False, True):
        for network in (f"{_AWAY_IPV4 if is_away else _IPV4}0/24", f"{_AWAY_IPV6 if is_away else _IPV6}/64"):
            # The kernel's own route, which an address brings along, comes first.
            configure("ip", "route", "replace", network, "dev", INTERFACE, "metric", "500")
        for other in range(len(ENDS)):
            for address in (ipv4(other, is_away), ipv6(other, is_away)) if other != end else ():
                lladdr = address_of(other).hex(":")
                configure("ip", "neighbour", "replace", address, "lladdr", lladdr, "dev", INTERFACE)
