"""The gateway acts on a closed connection at once, and on a silent one within ten seconds."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from sfu.dataplane.interface import Path
from tools.harness import DEADLY, HarnessClient, Way, World, run_scenario
from tools.harness.ways import replaced, sent_no_pong, silent, stopped_reading
from tools.light.wire.demux import Protocol, classify

SECONDS = 10
WITH_MEDIA = 20
SEEN_LATER = {silent.name, sent_no_pong.name, stopped_reading.name, replaced.name}
AT_ONCE = [way for name, way in DEADLY.items() if name not in SEEN_LATER]


@pytest.mark.parametrize("way", AT_ONCE, ids=str)
def test_a_visible_end_is_announced_in_the_same_instant(way: Way) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.call("ada", "ben")
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        assert trio.current_time() == begun

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
@pytest.mark.parametrize("way", [silent, sent_no_pong], ids=str)
def test_a_silent_client_is_gone_well_within_ten_seconds(way: Way, after: float) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.joined("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        # Leave room for a busy machine.
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)


# For a while, media is a sign of life too.


def cut(world: World, client: HarnessClient) -> None:
    """Cut the network of a client, for UDP and TCP, in both directions."""
    client.stream.stop()
    client.cut_media()
    world.interrupted.update(producer for one in world.clients.values() for producer in one.producers)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
def test_a_client_with_a_silent_websocket_and_silent_media_is_gone_within_ten_seconds(after: float) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        world.expect_end("ada")
        cut(world, ada)
        await ben.event("voice_state", type="user_left", userId="ada")
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
def test_a_client_whose_media_is_back_after_a_gap_stays_until_its_websocket_is_back(after: float) -> None:
    """UDP is back at once, but TCP sends lost data again only when its timer is due."""

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
def test_media_keeps_a_client_with_a_silent_websocket_only_for_a_while(after: float) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        world.expect_end("ada")
        ada.stream.stop()
        await ben.event("voice_state", type="user_left", userId="ada")
        assert WITH_MEDIA - 6 <= trio.current_time() - begun <= WITH_MEDIA

    run_scenario(scenario)


async def repeat_media(world: World, client: HarnessClient, sent: list[tuple[bytes, Path]]) -> None:
    while True:
        for datagram, path in sent:
            world.plane.deliver(datagram, path)
        await trio.sleep(0.5)


async def forge_media(world: World, client: HarnessClient, sent: list[tuple[bytes, Path]]) -> None:
    while True:
        for datagram, path in sent:
            if classify(datagram) is Protocol.RTP:
                newer = (int.from_bytes(datagram[2:4]) + 1000) % 2**16
                world.plane.deliver(datagram[:2] + newer.to_bytes(2) + datagram[4:], path)
        await trio.sleep(0.5)


@pytest.mark.parametrize("imitate", [repeat_media, forge_media])
def test_repeated_or_forged_media_does_not_keep_a_client_that_is_gone(
    imitate: Callable[[World, HarnessClient, list[tuple[bytes, Path]]], Awaitable[None]],
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
        world.expect_end("ada")
        cut(world, ada)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(imitate, world, ada, sent)
            await ben.event("voice_state", type="user_left", userId="ada")
            nursery.cancel_scope.cancel()
        assert len(sent) > 50
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)
