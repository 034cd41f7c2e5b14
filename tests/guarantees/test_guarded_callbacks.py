"""Code that runs on behalf of another client.  An error in it ends that client, not the caller and not the server."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

import sfu
from sfu.dataplane.interface import Path
from tests.wire.binding import request, success
from tools.harness import World, run_scenario
from tools.harness.steps import name_of_peer
from tools.harness.ways import removed, sent_dtls_alert
from tools.light.wire.rtcp import PictureLossIndication, encode

SEEDS = range(6)


def test_a_consumer_that_cannot_be_closed_ends_its_owner_but_not_the_producers_owner() -> None:
    async def scenario(world: World) -> None:
        _ada, ben, eve = await world.call("ada", "ben", "eve")
        world.faults.raises("close consumer", "ada")
        await eve.ask("close", producerId=next(iter(eve.producers)))
        leave = await ben.event("voice_state", type="user_left", userId="ada")
        assert leave["reason"] == "failed"
        await world.settle()
        assert world.present_in("lobby") == ["ben", "eve"]

    run_scenario(scenario)


@pytest.mark.parametrize(
    "method", [(sfu.Transport, "receive_dtls"), (sfu.Transport, "on_path_selected"), (sfu.Consumer, "on_picture_loss")]
)
def test_a_bug_while_handling_a_datagram_ends_the_client_that_sent_it(
    method: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = method

    async def scenario(world: World) -> None:
        ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        original: Callable[..., None] = getattr(owner, name)

        def break_down(media: sfu.Transport | sfu.Consumer, *arguments: Any) -> None:
            if name_of_peer(media) == "ada":
                raise RuntimeError("made to fail")
            original(media, *arguments)

        directory = world.router.directory
        elsewhere = Path("198.51.100.99", 9)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, break_down)
            world.expect_end("ada")
            if name == "receive_dtls":
                ada.endpoints["send"].transport.close()
                ada.endpoints["send"].flush()
            elif name == "on_picture_loss":
                consumer = next(each for each in directory.consumers.values() if name_of_peer(each) == "ada")
                ada.endpoints["receive"].transport.send_rtcp(encode([PictureLossIndication(1, consumer.ssrc)]))
                ada.endpoints["receive"].flush()
            else:
                moved = next(each for each in directory.transports.values() if name_of_peer(each) == "ada")
                ice, password = moved.ice_parameters, ada.endpoints[moved.direction].transport.ice_credentials.password

                def answer(datagram: bytes) -> None:
                    if datagram.startswith(b"\0\1"):
                        world.plane.deliver(success(datagram, password), elsewhere)

                world.network.connect(elsewhere, world.conditions, bytes, answer)
                world.plane.deliver(request(f"{ice.username_fragment}:them", ice.password, nominate=True), elsewhere)
            leave = await ben.event("voice_state", type="user_left", userId="ada")
            world.network.disconnect(elsewhere)
        assert leave["reason"] == "failed"
        assert world.router.context.slow_path_errors == 0

    run_scenario(scenario)


def test_a_bug_in_the_dispatcher_is_logged_and_counted_and_the_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        await world.call("ada", "ben")
        original = sfu.Router._dispatch
        failures = iter([RuntimeError("made to fail")])

        def break_down(router: sfu.Router, *arguments: Any) -> None:
            if (failure := next(failures, None)) is not None:
                raise failure
            original(router, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(sfu.Router, "_dispatch", break_down)
            await trio.sleep(3)
        assert world.router.context.slow_path_errors == 1
        assert "an event from the network could not be handled" in [line["event"] for line in world.log]

    run_scenario(scenario)


def test_a_dtls_alert_closes_the_transport_at_once() -> None:
    async def scenario(world: World) -> None:
        ada, _ben = await world.call("ada", "ben")
        sending = ada.transports["send"]
        begun = trio.current_time()
        sent_dtls_alert(world, "ada")
        await ada.event("transport_state", transportId=sending, state="closed")
        assert trio.current_time() - begun < 0.1

    run_scenario(scenario)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_connection_that_breaks_during_its_goodbye_ends_at_once(seed: int) -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        ada = world.client("ada", capacity=1024)
        await ada.connect()
        await ada.join()
        ada.stream.stop_reading()
        for _ in range(5):
            await ben.ask("message", data="x" * 1000)
        removed(world, "ada")
        await trio.sleep(0.25)
        assert "ada" in world.serving  # queued messages go before the goodbye, and they do not get through
        ada.stream.reset()
        await trio.sleep(0.25)
        assert "ada" not in world.serving

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_replacing_the_only_member_keeps_the_same_channel(seed: int) -> None:
    async def scenario(world: World) -> None:
        world.faults.hangs("say goodbye on transport", times=10)
        await world.call("ada")
        channel = world.gateway.channels.channels["lobby"]
        world.expect_end("ada")
        (newer,) = await world.joined("ada#2")
        assert world.gateway.channels.channels["lobby"] is channel
        assert newer.stays[0].revision == channel.revision

    run_scenario(scenario, seed=seed)
