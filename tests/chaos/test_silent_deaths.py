"""One process is killed, stopped or cut off.  The others learn of it in time, and later it rejoins."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.correctness import settle
from tests.chaos.crowd import ClientProcess, Crowd, open_crowd
from tests.chaos.network import LOOPBACK, Network
from tests.gateway_process import GatewayProcess, run_gateway

AT_ONCE = 1.0
SILENT = 10.0
"""By the protocol's guarantees (docs/protocol.md), a silent client is gone within this time by default."""
SCHEDULING = 0.5
"""Time that a busy machine may add to an interval and a timeout."""
SETTLED_WITHIN = 20.0


@asynccontextmanager
async def three(
    folder: Path, *options: str, network: Network = LOOPBACK
) -> AsyncIterator[tuple[Crowd, GatewayProcess]]:
    """Ada, Ben and Eve in a process each, with media.  Eve lives in another place if the network has one."""
    with run_gateway(folder / "log", *network.options, *options) as gateway:
        async with open_crowd(gateway.websocket_url, folder, network) as crowd:
            for user in ("ada", "ben", "eve"):
                place = 0 if user == "eve" and network.places else None
                crowd.clients[user] = ClientProcess(user, place)
                crowd.start(crowd.clients[user])
            await settle(crowd, gateway, SETTLED_WITHIN)
            yield crowd, gateway
        gateway.becomes_empty()


async def others_see_it_gone(crowd: Crowd, user: str, within: float) -> None:
    """Wait until Ada and Ben no longer list ``user``, at most ``within`` seconds after the last action."""
    others = [crowd.clients[name] for name in ("ada", "ben")]

    def gone() -> bool:
        return all(other.report is not None and user not in other.report.users for other in others)

    await crowd.until(gone, crowd.last_action + within, lambda: f"a ghost: {user} is still listed after {within} s")
    print(f"gone after {time.monotonic() - crowd.last_action:.3f} s")


def listed_with_media(client: ClientProcess) -> bool:
    return client.report is not None and client.report.producers == 1


async def test_a_killed_client_is_gone_from_every_list_at_once(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        crowd.kill(crowd.clients["eve"])
        await others_see_it_gone(crowd, "eve", within=AT_ONCE)
        await settle(crowd, gateway, AT_ONCE)
        assert reasons(gateway) == ["disconnected"]


async def test_a_client_that_restarts_at_once_is_listed_once(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        eve = crowd.clients["eve"]
        for _ in range(5):
            crowd.kill(eve)
            crowd.start(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)


async def test_a_stopped_client_is_gone_when_its_pong_is_late_and_then_rejoins(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        eve = crowd.clients["eve"]
        crowd.stop(eve)
        await others_see_it_gone(crowd, "eve", within=SILENT + SCHEDULING)
        await settle(crowd, gateway, SILENT + 2 * SCHEDULING)
        assert reasons(gateway) == ["timed_out"]

        crowd.wake(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)


async def test_a_client_that_was_stopped_for_a_moment_has_not_left_and_catches_up(tmp_path: Path) -> None:
    async with three(tmp_path) as (crowd, gateway):
        ben, eve = crowd.clients["ben"], crowd.clients["eve"]
        crowd.stop(eve)
        crowd.kill(ben)
        crowd.start(ben)
        await crowd.until(
            lambda: listed_with_media(ben), crowd.last_action + SETTLED_WITHIN, lambda: f"{ben} is not in"
        )
        crowd.wake(eve)
        await settle(crowd, gateway, SETTLED_WITHIN)
        assert len(reasons(gateway)) == 1, "only ben left"


async def test_a_client_that_is_cut_off_is_gone_when_its_pong_is_late_and_then_rejoins(
    divided: Network, tmp_path: Path
) -> None:
    fast = ("--ping-interval", "1", "--ping-timeout", "2")
    async with three(tmp_path, *fast, network=divided) as (crowd, gateway):
        crowd.cut(0)
        await others_see_it_gone(crowd, "eve", within=3 + SCHEDULING)
        await settle(crowd, gateway, 3 + 2 * SCHEDULING)
        assert reasons(gateway) == ["timed_out"]

        crowd.heal(0)
        await settle(crowd, gateway, SETTLED_WITHIN)


def reasons(gateway: GatewayProcess) -> list[str]:
    """The reasons of all leaves, as the gateway announced them."""
    return [line["reason"] for line in gateway.log() if line["event"] == "removed from channel"]
