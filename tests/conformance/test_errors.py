"""Every error code that this gateway sends, and the budget of bad messages.

The protocol also has ``media_failed`` and ``timeout``. This gateway never sends them: no request waits, and every error
of the media side has its own code.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
import trio
from trio.testing import MockClock

from gateway.session import dispatch
from protocol.requests import Ping
from tests.conformance.whole_gateway import closing, open_gate
from tests.session.example_media import CAPABILITIES, DTLS_PARAMETERS, ICE_CREDENTIALS, NOTHING_IN_COMMON, opus
from tests.session.memory_gateway import Frame, RawClient, microphone, receive_transport, send_transport


async def test_a_request_of_an_unknown_type_is_refused(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        frame = await ada.ask("dance", steps=2)
        assert frame["data"]["code"] == "unknown_type"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("leave", {}),
        ("create_transport", {"direction": "send"}),
        ("connect_transport", {"transportId": "t", "dtlsParameters": DTLS_PARAMETERS}),
        ("restart_ice", {"transportId": "t"}),
        ("set_ice_parameters", {"transportId": "t", "iceParameters": ICE_CREDENTIALS}),
        ("produce", {"transportId": "t", "kind": "audio", "rtpParameters": opus(), "source": "other"}),
        ("consume", {"transportId": "t", "producerId": "p", "rtpCapabilities": CAPABILITIES}),
        ("pause", {"producerId": "p"}),
        ("resume", {"consumerId": "c"}),
        ("close", {"transportId": "t"}),
        ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": 0}),
        ("set_priority", {"consumerId": "c", "priority": 2}),
        ("message", {"data": 1}),
        ("stats", {}),
        ("renew_token", {"token": "t"}),
        ("remove_participant", {"userId": "ben"}),
        ("readmit_participant", {"userId": "ben"}),
        ("mute", {"userId": "ben", "source": "camera"}),
        ("unmute", {"userId": "ben", "source": "camera"}),
        ("deafen", {"userId": "ben"}),
        ("undeafen", {"userId": "ben"}),
        ("lock_channel", {}),
        ("unlock_channel", {}),
        ("limit_members", {"maxMembers": 5}),
        ("end_channel", {}),
    ],
)
async def test_requests_that_need_a_channel_are_refused_without_one(
    autojump_clock: MockClock, kind: str, data: dict[str, Any]
) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        assert await client.error(kind, **data) == "not_joined"
        await client.join("ada")
        await client.ok("leave")
        assert await client.error(kind, **data) == "not_joined"


async def test_a_second_join_is_refused_and_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        assert await ada.error("join", channelId="elsewhere", username="Ada") == "already_joined"
        assert await ada.error("join", channelId="lobby", username="Ada", userId="ada") == "already_joined"
        assert await ben.take_all() == []
        assert await ada.ok("ping") == {}


@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_a_missing_or_wrong_token_is_refused(autojump_clock: MockClock, token: str | None) -> None:
    async with open_gate(join_token="right") as gate:
        client = await gate.connect()
        given = {} if token is None else {"token": token}
        assert await client.error("join", channelId="lobby", username="Ada", **given) == "unauthenticated"
        code, _ = await closing(client)
        assert code == 4401


async def test_another_members_object_is_forbidden_and_an_unknown_one_not_found(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending)
        heard = (await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice))["consumerId"]
        for kind in ("pause", "resume", "close"):
            assert await ben.error(kind, producerId=voice) == "forbidden"
            assert await ada.error(kind, consumerId=heard) == "forbidden"
            assert await ada.error(kind, producerId="nobodys") == "not_found"
            assert await ada.error(kind, consumerId="nobodys") == "not_found"
        assert await ben.error("close", transportId=sending) == "forbidden"
        assert await ben.error("close", transportId="nobodys") == "not_found"
        assert await ben.error("restart_ice", transportId=sending) == "forbidden"
        assert await ada.error("set_layers", consumerId=heard, spatial=0, temporal=0) == "forbidden"
        # Ada's objects are unchanged.
        assert (await ada.ok("stats"))["producers"][0]["paused"] is False
        assert (await ben.ok("stats"))["consumers"][0]["paused"] is True


async def test_a_closed_object_is_not_found(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending)
        await ada.ok("close", producerId=voice)
        assert await ada.error("close", producerId=voice) == "not_found"
        assert await ben.error("consume", transportId=await receive_transport(ben), producerId=voice) == "not_found"
        await ada.ok("close", transportId=sending)
        assert await ada.error("restart_ice", transportId=sending) == "not_found"


async def test_a_producer_of_another_channel_is_not_found(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        (ben,) = await gate.joined("ben", channel="elsewhere")
        voice = await microphone(ada, await send_transport(ada))
        assert await ben.error("consume", transportId=await receive_transport(ben), producerId=voice) == "not_found"


async def test_a_request_that_contradicts_the_present_state_is_a_conflict(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending, receiving = await send_transport(ada), await receive_transport(ada)
        for direction in ("send", "receive"):
            assert await ada.error("create_transport", direction=direction) == "conflict"
        await ada.ok("connect_transport", transportId=sending, dtlsParameters=DTLS_PARAMETERS)
        again = await ada.error("connect_transport", transportId=sending, dtlsParameters=DTLS_PARAMETERS)
        assert again == "conflict"
        voice = await microphone(ada, sending)
        asked = {"kind": "audio", "rtpParameters": opus(5), "source": "other"}
        assert await ada.error("produce", transportId=receiving, **asked) == "conflict"
        taken = {"kind": "audio", "rtpParameters": opus(1001), "source": "other"}  # the microphone's SSRC
        assert await ada.error("produce", transportId=sending, **taken) == "conflict"
        consume = {"producerId": voice, "rtpCapabilities": CAPABILITIES}
        assert await ada.error("consume", transportId=sending, **consume) == "conflict"


async def test_a_stream_with_the_codec_of_another_kind_is_invalid(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        asked = {"kind": "video", "rtpParameters": opus(), "source": "camera"}
        error = (await ada.ask("produce", transportId=await send_transport(ada), **asked))["data"]
        assert error["code"] == "invalid"
        assert error["path"].startswith("data.rtpParameters")


async def test_no_codec_in_common_is_unsupported_and_the_client_stays_connected(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, receiving = await send_transport(ada), await receive_transport(ben)
        foreign = opus()
        foreign["codecs"] = [{"mimeType": "audio/PCMU", "payloadType": 0, "clockRate": 8000}]
        offer = {"kind": "audio", "rtpParameters": foreign, "source": "microphone"}
        for _ in range(30):  # this error does not count against the budget of bad messages
            assert await ada.error("produce", transportId=sending, **offer) == "unsupported"
        voice = await microphone(ada, sending)
        wish = {"producerId": voice, "rtpCapabilities": NOTHING_IN_COMMON}
        for _ in range(30):
            assert await ben.error("consume", transportId=receiving, **wish) == "unsupported"
        assert await ada.ok("ping") == await ben.ok("ping") == {}
        await ben.ok("consume", transportId=receiving, producerId=voice)


async def test_the_gateway_refuses_objects_beyond_a_limit(autojump_clock: MockClock) -> None:
    async with open_gate(max_producers=2, max_consumers=2, max_members=2, max_channels=1) as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, receiving = await send_transport(ada), await receive_transport(ben)
        voices = [await microphone(ada, sending, ssrc) for ssrc in (1, 2)]
        asked = {"kind": "audio", "rtpParameters": opus(3), "source": "other"}
        assert await ada.error("produce", transportId=sending, **asked) == "limit_exceeded"
        for voice in voices:
            await ben.ok("consume", transportId=receiving, producerId=voice)
        own = await microphone(ben, await send_transport(ben))
        assert await ben.error("consume", transportId=receiving, producerId=own) == "limit_exceeded"
        third = await gate.connect()
        assert await third.error("join", channelId="lobby", username="Cleo") == "limit_exceeded"
        assert await third.error("join", channelId="elsewhere", username="Cleo") == "limit_exceeded"
        await ben.ok("leave")
        await third.join("cleo")


async def test_too_many_requests_are_refused_and_far_too_many_close_with_4429(autojump_clock: MockClock) -> None:
    async with open_gate(request_rate=1, request_burst=10) as gate:
        ada, ben = await gate.joined("ada", "ben")
        answers = [(await ada.ask("ping")) for _ in range(15)]
        assert [one["type"] for one in answers[:5]] == ["ok"] * 5
        assert answers[-1]["data"]["code"] == "rate_limited"
        for _ in range(10):
            await ada.request("ping")
        code, data = await closing(ada)
        assert code == 4429
        assert data["retryAfterMs"] >= 1000
        assert (await ben.voice_state("user_left"))["reason"] == "failed"


async def test_too_many_messages_are_rate_limited(autojump_clock: MockClock) -> None:
    async with open_gate(message_rate=1, message_burst=3) as gate:
        ada, ben = await gate.joined("ada", "ben")
        codes = [(await ada.ask("message", data=n))["type"] for n in range(4)]
        assert codes == ["ok"] * 3 + ["error"]
        assert await ada.error("message", data=9) == "rate_limited"
        assert len(await ben.take_all()) == 3
        await trio.sleep(2)
        await ada.ok("message", data=10)


async def test_an_internal_error_has_a_reference_to_the_log_and_no_traceback(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> NoReturn:
        raise RuntimeError("a secret detail")

    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        monkeypatch.setitem(dispatch.HANDLERS, Ping, break_down)
        error = (await ada.ask("ping"))["data"]
        assert error["code"] == "internal"
        assert set(error) == {"code", "message", "reference"}
        code, _ = await closing(ada)
        assert code == 4500
        (line,) = [line for line in gate.log if line.get("reference") == error["reference"]]
        assert line["level"] == "error"
        assert b"secret" not in gate.written("ada")
        assert b"Traceback" not in gate.written("ada")
        assert (await ben.voice_state("user_left"))["reason"] == "failed"


# The budget of bad messages.

MALFORMED, INVALID, UNKNOWN = "no request", '{"id": 1, "type": "message", "data": {}}', '{"id": 1, "type": "dance"}'


async def ask(client: RawClient, text: str) -> Frame:
    await client.raw(text)
    return await client.next()


async def test_the_twenty_first_bad_message_in_ten_seconds_closes_with_4400(
    autojump_clock: MockClock,
) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        for number in range(20):
            assert (await ask(ada, (MALFORMED, INVALID, UNKNOWN)[number % 3]))["type"] == "error"
            await trio.sleep(0.45)
        assert await ada.ok("ping") == {}
        await ada.raw(MALFORMED)
        code, _ = await closing(ada)
        assert code == 4400
        assert ada.frames[0]["data"]["code"] == "malformed"  # the last bad message has its answer, too
        assert (await ben.voice_state("user_left"))["reason"] == "failed"


@pytest.mark.parametrize("text", [MALFORMED, INVALID, UNKNOWN])
async def test_each_of_the_three_counted_errors_uses_up_the_budget(autojump_clock: MockClock, text: str) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        for _ in range(21):
            await ada.raw(text)
        assert await ada.wait_closed() == 4400


async def test_the_error_budget_recovers_with_time(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        for _ in range(5):
            for _ in range(20):
                await ask(ada, MALFORMED)
            await trio.sleep(10.1)
        assert await ada.ok("ping") == {}


async def _not_found(client: RawClient) -> str:
    return await client.error("close", producerId="long-gone")


async def _already_joined(client: RawClient) -> str:
    return await client.error("join", channelId="lobby", username="Ada")


async def _conflict(client: RawClient) -> str:
    return await client.error("create_transport", direction="send")


@pytest.mark.parametrize(
    ("cause", "code"), [(_not_found, "not_found"), (_already_joined, "already_joined"), (_conflict, "conflict")]
)
async def test_no_other_error_counts_against_the_budget(
    autojump_clock: MockClock, cause: Callable[[RawClient], Awaitable[str]], code: str
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await send_transport(ada)
        for _ in range(100):
            assert await cause(ada) == code
        assert await ada.ok("ping") == {}
