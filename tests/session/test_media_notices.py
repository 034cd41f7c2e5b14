"""Events of a session and its channel when media ends without a request."""

import pytest
import trio
from trio.testing import MockClock

import sfu
from gateway.session.observer import MemberObserver
from tests.session.example_media import DTLS_PARAMETERS
from tests.session.memory_gateway import RawClient, Rig, camera, microphone, open_rig, receive_transport, send_transport


def peer_of(rig: Rig, user: str) -> sfu.Peer:
    peer = rig.gateway.channels.channels["lobby"].members[user].peer
    assert peer is not None
    return peer


async def call(rig: Rig) -> tuple[RawClient, RawClient, str, str]:
    """Ada sends two streams, and Ben receives the first. Return Ada's transport and Ben's consumer."""
    ada, ben = await rig.joined("ada", "ben")
    sending = await send_transport(ada)
    voice = await microphone(ada, sending)
    await camera(ada, sending)
    heard = (await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice))["consumerId"]
    await ada.take_all()
    await ben.take_all()
    return ada, ben, sending, heard


async def test_a_handshake_that_times_out_closes_the_transport_as_failed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, sending, heard = await call(rig)
        await ada.ok("connect_transport", transportId=sending, dtlsParameters=DTLS_PARAMETERS)
        begun = trio.current_time()
        await ada.event("producer_layers")  # nobody watches
        change = await ada.voice_state("user_updated")
        assert trio.current_time() - begun == pytest.approx(10)
        assert change["participant"]["producers"] == []
        assert await ada.event("transport_state") == {"transportId": sending, "state": "failed"}
        assert await ada.event("transport_state") == {"transportId": sending, "state": "closed"}
        assert await ben.event("consumer_closed") == {"consumerId": heard, "reason": "producer_closed"}
        # Two producers closed in one step make one change of the list.
        (received,) = await ben.take_all()
        assert received["data"]["revision"] == change["revision"]
        assert received["data"]["participants"][0]["producers"] == []


async def test_after_a_transport_has_failed_another_of_its_direction_may_be_made(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben, sending, _heard = await call(rig)
        peer_of(rig, "ada").transports[sending].fail("for this test")
        assert await ada.error("close", transportId=sending) == "not_found"
        await microphone(ada, await send_transport(ada))


async def test_consumers_on_a_failed_transport_are_closed_before_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        _ada, ben, _sending, heard = await call(rig)
        (receiving,) = peer_of(rig, "ben").transports.values()
        receiving.fail("for this test")
        assert [frame["data"] for frame in await ben.take_all()] == [
            {"consumerId": heard, "reason": "failed"},
            {"transportId": receiving.id, "state": "failed"},
            {"transportId": receiving.id, "state": "closed"},
        ]


async def test_a_producer_that_is_closed_takes_its_consumers_with_it_before_the_list_changes(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        ada, ben, _sending, heard = await call(rig)
        (voice, _picture) = peer_of(rig, "ada").producers
        await ada.ok("close", producerId=voice)
        closed, change = await ben.take_all()
        assert closed["data"] == {"consumerId": heard, "reason": "producer_closed"}
        assert [entry["kind"] for entry in change["data"]["participant"]["producers"]] == ["video"]


async def test_an_exception_in_notifying_a_member_of_a_closed_producer_ends_only_that_member(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        ada, ben, _sending, _heard = await call(rig)

        def break_down(observer: MemberObserver, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(MemberObserver, "consumer_closed", break_down)
        (voice, _picture) = peer_of(rig, "ada").producers
        await ada.ok("close", producerId=voice)
        assert await ben.wait_closed() == 4500
        assert (await ada.voice_state("user_updated"))["userId"] == "ada"
        assert (await ada.voice_state("user_left"))["reason"] == "failed"
        assert [line["user"] for line in rig.log if line["event"] == "session failed"] == ["ben"]


async def test_an_exception_in_a_transports_own_task_ends_its_session_with_its_media_first(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(_: sfu.Transport) -> None:
        await trio.sleep(1)
        raise RuntimeError("a bug in a transport")

    async with open_rig() as rig:
        ada, ben, *_ = await call(rig)
        monkeypatch.setattr(sfu.Transport, "run", break_down)
        await receive_transport(ada)
        assert await ada.wait_closed() == 4500
        assert (await ben.event("consumer_closed"))["reason"] == "user_left"
        assert (await ben.voice_state("user_left"))["reason"] == "failed"
        events = [line["event"] for line in rig.lines("ada")]
        assert events[-5:] == [
            "client disconnected",
            "media closed",
            "removed from channel",
            "members notified",
            "session failed",
        ]
        (logged,) = [line for line in rig.log if line["event"] == "session failed"]
        assert "a bug in a transport" in repr(logged["exc_info"])
        assert ben.closed is None
