"""The people in a call: a load test in a process of its own, beside an attacker or not."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, frozen

from tools.bench import BenchError
from tools.loadtest.child import ChildProcess, open_child
from tools.loadtest.gateway_figures import NoFiguresError, resident_bytes
from tools.servers import GatewayProcess
from tools.soak.capacity import Cost
from tools.soak.target import Target

#: Seconds that a load test may take beside joining and measuring.
SPARE_SECONDS: Final = 60.0
#: Clients that join in a second.
RAMP: Final = 50
#: Members that leave in a second, each in the next of three ways, and come back.
CHURN: Final = 2
LOOP_DELAY: Final = "sfu_loop_delay_seconds"
# Seconds between two looks at the gateway. Each costs it ten milliseconds.
_LOOK: Final = 1.5


@frozen
class Call:
    """The call whose quality is measured: so many members, of whom some talk, measured for so many seconds."""

    members: int
    speakers: int
    seconds: float


@frozen
class Cores:
    """The processor cores of the gateway, and those of the people and the attacker. Empty if there is only one."""

    gateway: tuple[int, ...] = ()
    clients: tuple[int, ...] = ()

    @classmethod
    def of_machine(cls) -> Cores:
        first, *others = sorted(os.sched_getaffinity(0))
        return cls((first,), tuple(others[:1])) if others else cls()


def pinned(cores: Sequence[int]) -> tuple[str, ...]:
    """Return the beginning of a command that runs on these cores."""
    return ("taskset", "-c", ",".join(map(str, cores))) if cores else ()


@frozen
class Phase:
    """What people noticed while nobody attacked, or one attack went on.

    ``loss`` is a share and ``leave_p99`` in seconds. Both are None if they could not be measured. ``list_errors`` and
    ``lost`` count errors in the lists, and people whose clients failed. ``gateway_cpu`` is in parts of a core, and
    ``memory`` the greatest resident memory in bytes. ``loop_delay`` is the greatest mean of the seconds, over three
    seconds, by which the gateway's event loop was late. ``done`` is what the attacker did, and ``cost`` that of a
    packet. ``doubts`` say why the tool itself was too slow for good figures.
    """

    attack: str | None
    loss: float | None
    leave_p99: float | None
    list_errors: int
    lost: int
    gateway_cpu: float
    memory: int
    loop_delay: float = 0.0
    done: Mapping[str, int] = {}
    cost: Cost | None = None
    doubts: tuple[str, ...] = ()


async def measure(
    gateway: GatewayProcess, target: Target, call: Call, cores: Cores, attack: str | None = None
) -> Phase:
    """Let a call take place, beside an attack if there is one. Raises :exc:`BenchError` if there is no report."""
    async with AsyncExitStack() as stack:
        attacker = None
        if attack is not None:
            attacker = await stack.enter_async_context(_open_attacker(attack, target, cores))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        report = Path(folder) / "report.json"
        command = _load_command(gateway, target, call, report)
        load = await stack.enter_async_context(
            open_child(ChildProcess, "the load test", (*pinned(cores.clients), *command), stdin=subprocess.DEVNULL)
        )
        seen = await _wait(load, gateway, call.members / RAMP + call.seconds + SPARE_SECONDS)
        if not report.exists():
            raise BenchError(f"the load test wrote no report:\n{load.last_lines()}")
        found = json.loads(report.read_text())
        done = {} if attacker is None else await _stop(attacker)
    return _phase(attack, found, seen, done)


def _open_attacker(kind: str, target: Target, cores: Cores) -> Any:
    address = (target.host, str(target.port), target.media_host, str(target.media_port))
    token = () if target.token is None else (target.token,)
    command = (*pinned(cores.clients), sys.executable, "-m", "tools.soak.attacker", kind, *address, *token)
    return open_child(ChildProcess, "the attacker", command, stdin=subprocess.DEVNULL)


def _load_command(gateway: GatewayProcess, target: Target, call: Call, report: Path) -> list[str]:
    options = {
        "--publishers": call.speakers,
        "--subscribers": call.members - call.speakers,
        "--duration": f"{call.seconds}s",
        "--ramp": f"{RAMP}/s",
        "--churn": f"{CHURN}/s",
        "--pid": gateway.pid,
        "--json": report,
        **({} if target.token is None else {"--token": target.token}),
    }
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "tools.loadtest.command", gateway.url, "--audio", *words]


@define
class Seen:
    """The greatest memory of the gateway, and the greatest delay of its event loop."""

    memory: int = 0
    loop_delay: float = 0.0


async def _wait(load: ChildProcess, gateway: GatewayProcess, seconds: float) -> Seen:
    """Wait until the load test has ended, and look at the gateway meanwhile."""
    seen = Seen()
    with trio.fail_after(seconds):
        while load.process.poll() is None:
            seen.memory = max(seen.memory, resident_bytes(gateway.pid))
            with suppress(NoFiguresError):
                delay = await trio.to_thread.run_sync(gateway.metric, LOOP_DELAY)
                seen.loop_delay = max(seen.loop_delay, delay)
            await trio.sleep(_LOOK)
    return seen


async def _stop(attacker: ChildProcess) -> Mapping[str, int]:
    """End the attacker, and return what it did. An attacker that ended by itself has not attacked."""
    if (status := attacker.process.poll()) is not None:
        raise BenchError(f"the attacker ended with {status}:\n{attacker.last_lines()}")
    await attacker.stop()
    *_, line = attacker.log().decode().splitlines() or [""]
    try:
        done: Mapping[str, int] = json.loads(line)
    except ValueError:
        raise BenchError(f"the attacker did not say what it did:\n{attacker.last_lines()}") from None
    return done


def _phase(attack: str | None, report: Mapping[str, Any], seen: Seen, done: Mapping[str, int]) -> Phase:
    figures, moments = report["figures"], report["gateway"]["figures"]
    began, ended = moments.get("began"), moments.get("ended")
    cpu = 0.0 if began is None or ended is None else (ended["cpu"] - began["cpu"]) / (ended["at"] - began["at"])
    return Phase(
        attack,
        figures["loss"],
        figures["leave_p99"],
        int(figures["roster_errors"]),
        int(figures["failures"]),
        cpu,
        seen.memory,
        seen.loop_delay,
        done,
        _cost(report),
        tuple(doubt for doubt in (report["error"], *report["overrun"]) if doubt is not None),
    )


def _cost(report: Mapping[str, Any]) -> Cost | None:
    """Return the cost of a packet. None if there were none."""
    of_gateway, seconds = report["figures"]["cpu_per_packet"], report["measured_seconds"]
    received = [second["received"] for second in report["series"] if second["received"]]
    if not of_gateway or not received or not seconds:
        return None
    of_clients = sum(process["cpu_mean"] for process in report["own"]) / statistics.median(received)
    return Cost(of_gateway, of_clients)
