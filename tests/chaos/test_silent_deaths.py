"""One process is killed, stopped or cut off: how soon the others are told, and what becomes of it when it is back."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.correctness import settle
from tests.chaos.crowd import Crowd, Someone, open_crowd
from tests.chaos.network import LOOPBACK, Network
from tests.gateway_process import GatewayProcess, run_gateway

AT_ONCE = 1.0
SILENT = 10.0
"""Of the protocol's guarantees (docs/protocol.md): a silent one is acted on within this, by default."""
SCHEDULING = 0.5
"""What a busy machine may add to an interval and a timeout."""
SETTLED_WITHIN = 20.0


@asynccontextmanager
async def three(
    folder: Path, *options: str, network: Network = LOOPBACK
) -> AsyncIterator[tuple[Crowd, GatewayProcess]]:
    """Ada, Ben and Eve with their media, each a process; Eve lives elsewhere where there is such a place."""
    with run_gateway(folder / "log", *network.options, *options) as gateway:
        async with open_crowd(gateway.websocket_url, folder, network) as crowd:
            for user in ("ada", "ben", "eve"):
                place = 0 if user == "eve" and network.places else None
                crowd.everybody[user] = Someone(user, place)
                crowd.start(crowd.everybody[user])
            await settle(crowd, gateway, SETTLED_WITHIN)
            yield crowd, gateway
        gateway.becomes_empty()


async def told_without(crowd: Crowd, user: str, within: float) -> None:
    """Wait until ada and ben have been told that ``user`` is gone, within so many seconds of the last deed."""
    others = [crowd.everybody[name] for name in ("ada", "ben")]

    def gone() -> bool:
        return all(other.said is not None and user not in other.said.users for other in others)

    await crowd.until(gone, crowd.last_deed + within, lambda: f"a ghost: {user} is still listed after {within} s")
    print(f"told after {time.monotonic() - crowd.last_deed:.3f} s")


def listed_with_media(someone: Someone) -> bool:
    return someone.said is not None and someone.said.producers == 1


async def test_a_killed_client_is_gone_from_every_list_at_once(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        crowd.kill(crowd.everybody["eve"])
        await told_without(crowd, "eve", within=AT_ONCE)
        await settle(crowd, gateway, AT_ONCE)
        assert reasons(gateway) == ["disconnected"]


async def test_a_client_that_restarts_at_once_is_listed_once(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        eve = crowd.everybody["eve"]
        for _ in range(5):
            crowd.kill(eve)
            crowd.start(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)


async def test_a_stopped_client_is_gone_when_its_pong_is_late_and_then_rejoins(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        eve = crowd.everybody["eve"]
        crowd.stop(eve)
        await told_without(crowd, "eve", within=SILENT + SCHEDULING)
        await settle(crowd, gateway, SILENT + 2 * SCHEDULING)
        assert reasons(gateway) == ["timed_out"]

        crowd.wake(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)


async def test_a_client_that_was_stopped_for_a_moment_has_not_left_and_catches_up(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        ben, eve = crowd.everybody["ben"], crowd.everybody["eve"]
        crowd.stop(eve)
        crowd.kill(ben)
        crowd.start(ben)
        await crowd.until(lambda: listed_with_media(ben), crowd.last_deed + SETTLED_WITHIN, lambda: f"{ben} is not in")
        crowd.wake(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)
        assert len(reasons(gateway)) == 1, "only ben left"


async def test_a_client_that_is_cut_off_is_gone_when_its_pong_is_late_and_then_rejoins(
    divided: Network, tmp_path: Path
) -> None:
    fast = ("--ping-interval", "1", "--ping-timeout", "2")
    async with three(tmp_path, *fast, network=divided) as (crowd, gateway):
        crowd.cut(0)
        await told_without(crowd, "eve", within=3 + SCHEDULING)
        await settle(crowd, gateway, 3 + 2 * SCHEDULING)
        assert reasons(gateway) == ["timed_out"]

        crowd.heal(0)
        await settle(crowd, gateway, SETTLED_WITHIN)


def reasons(gateway: GatewayProcess) -> list[str]:
    """Why people have left, as the others were told."""
    return [line["reason"] for line in gateway.log() if line["event"] == "removed from channel"]
