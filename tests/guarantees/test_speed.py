"""A closed connection is acted on at once, a silent one within ten seconds."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from sfu.dataplane.interface import Path
from sfu.wire.demux import Protocol, classify
from tools.harness import DEADLY, Client, Way, World, run_scenario
from tools.harness.ways import deaf, read_nothing, replaced, silent

SECONDS = 10
WITH_MEDIA = 20
SEEN_LATER = {silent.name, deaf.name, read_nothing.name, replaced.name}
AT_ONCE = [way for name, way in DEADLY.items() if name not in SEEN_LATER]


@pytest.mark.parametrize("way", AT_ONCE, ids=str)
def test_an_end_that_is_seen_is_told_in_the_same_instant(way: Way) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.call("ada", "ben")
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        assert trio.current_time() == begun

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
@pytest.mark.parametrize("way", [silent, deaf], ids=str)
def test_whoever_falls_silent_at_whatever_moment_is_told_of_well_within_ten_seconds(way: Way, after: float) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.joined("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        # With room for a machine that is busy.
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)


# Media is a sign of life, too, for a while.


def cut(world: World, client: Client) -> None:
    """Nothing passes any more in either direction, on UDP and TCP."""
    client.stream.stop()
    client.cut_media()
    world.interrupted.update(producer for one in world.clients.values() for producer in one.producers)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
def test_whoever_is_silent_on_the_websocket_and_in_media_is_told_of_within_ten_seconds(after: float) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        world.excuse("ada")
        cut(world, ada)
        await ben.event("voice_state", type="user_left", userId="ada")
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
def test_whoever_is_back_in_media_after_a_gap_stays_until_its_websocket_is_back(after: float) -> None:
    """UDP is back at once, and TCP sends again what was lost when its timer is due."""

    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        await trio.sleep(5 + after)
        cut(world, ada)
        await trio.sleep(8)
        for endpoint in ada.endpoints.values():
            endpoint.link.cut = False
        await trio.sleep(3)
        ada.stream.stop(False)
        await ada.request("ping")
        await trio.sleep(SECONDS)
        assert not [one for one in ben.transcript if one.frame.get("data", {}).get("type") == "user_left"]

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
def test_media_keeps_nobody_for_long_whose_websocket_is_silent(after: float) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        world.excuse("ada")
        ada.stream.stop()
        await ben.event("voice_state", type="user_left", userId="ada")
        assert WITH_MEDIA - 6 <= trio.current_time() - begun <= WITH_MEDIA

    run_scenario(scenario)


async def repeat_media(world: World, client: Client, sent: list[tuple[bytes, Path]]) -> None:
    while True:
        for datagram, path in sent:
            world.plane.deliver(datagram, path)
        await trio.sleep(0.5)


async def forge_media(world: World, client: Client, sent: list[tuple[bytes, Path]]) -> None:
    while True:
        for datagram, path in sent:
            if classify(datagram) is Protocol.RTP:
                newer = (int.from_bytes(datagram[2:4]) + 1000) % 2**16
                world.plane.deliver(datagram[:2] + newer.to_bytes(2) + datagram[4:], path)
        await trio.sleep(0.5)


@pytest.mark.parametrize("imitate", [repeat_media, forge_media])
def test_nobody_can_keep_somebody_who_is_gone_with_media_that_is_repeated_or_forged(
    imitate: Callable[[World, Client, list[tuple[bytes, Path]]], Awaitable[None]],
) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        sent: list[tuple[bytes, Path]] = []
        for endpoint in ada.endpoints.values():
            line, deliver = endpoint.link.to_gateway, endpoint.link.to_gateway.deliver

            def record(
                datagram: bytes, path: Path = endpoint.path, deliver: Callable[[bytes], object] = deliver
            ) -> None:
                sent.append((datagram, path))
                deliver(datagram)

            line.deliver = record
        await trio.sleep(7)
        begun = trio.current_time()
        world.excuse("ada")
        cut(world, ada)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(imitate, world, ada, sent)
            await ben.event("voice_state", type="user_left", userId="ada")
            nursery.cancel_scope.cancel()
        assert len(sent) > 50
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)
