"""A whole soak: a gateway, a call at 70 % of its core, and one attack after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from sfu.addresses import interface_address, machine_addresses
from tools.bench import BenchError
from tools.bench.command import Progress
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway
from tools.soak.capacity import LOAD, Cost, speakers_for
from tools.soak.load import RAMP, Call, Cores, Phase, measure, pinned
from tools.soak.report import Soak
from tools.soak.target import Target

TOKEN: Final = "soak-of-trio-sfu"
LOOPBACK: Final = "127.0.0.1"
#: Seconds that a phase takes beside joining and measuring: two processes start, and everybody leaves.
OVERHEAD: Final = 5.0
#: Seconds of measuring while the capacity is sought.
SEARCH_SECONDS: Final = 5.0
SHORTEST: Final = 3.0


async def soak(seconds: float, members: int, attacks: Sequence[str], speakers: int | None, progress: Progress) -> Soak:
    """Let each attack take place once. Without ``speakers``, first find out how many use 70 % of the gateway's core."""
    began, cores = time.monotonic(), Cores.of_machine()
    outside = _own_address()
    # Loopback has no account of its own, so attackers come from an address of the machine if it has one.
    options = ("--host", "0.0.0.0", "--media-host", *dict.fromkeys((LOOPBACK, outside)), "--planes", "1")
    module = ("gateway", *ARGUMENTS, *options, "--join-token", TOKEN)
    async with running_gateway(module, prefix=pinned(cores.gateway)) as gateway:
        target = target_of(gateway, outside)
        if speakers is None:
            progress("how much does the gateway carry?")
            speakers = await speakers_for(LOAD, members, partial(_cost, gateway, target, cores, members))
        phases: list[Phase] = []
        memory: list[tuple[float, int]] = []
        order = [None, *(step for attack in attacks for step in (attack, None))]
        left = seconds - (time.monotonic() - began)
        each = max(SHORTEST, left / len(order) - members / RAMP - OVERHEAD)
        call = Call(members, speakers, round(each, 1))
        for attack in order:
            progress(f"attack: {attack or 'none'}")
            phases.append(await measure(gateway, target, call, cores, attack))
            memory.append((time.monotonic() - began, gateway.memory()))
    return Soak(call, cores, phases, memory, time.monotonic() - began)


async def _cost(gateway: GatewayProcess, target: Target, cores: Cores, members: int, speakers: int) -> Cost:
    phase = await measure(gateway, target, Call(members, speakers, SEARCH_SECONDS), cores)
    if phase.cost is None:
        raise BenchError(f"the load test measured nothing: {'; '.join(phase.doubts)}")
    return phase.cost


def _own_address() -> str:
    found = interface_address(machine_addresses())
    return LOOPBACK if found is None else found


def target_of(gateway: GatewayProcess, outside: str) -> Target:
    """Find the gateway's ports. Its log names them."""
    [*_, entry] = gateway.events("listening")
    media_port = int(str(entry["media"]).rpartition(":")[2])
    port = gateway.socket[1]
    gateway.url = f"http://{LOOPBACK}:{port}"
    return Target(outside, port, outside, media_port, TOKEN)
