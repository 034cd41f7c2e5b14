"""Unused fields of media objects cause no refusal. Used fields must not contradict each other."""

import json
from typing import Any

import pytest
from trio.testing import MockClock

from tests.conformance.whole_gateway import Gate, dtls_parameters, open_gate
from tests.session.example_media import CAPABILITIES, OPUS_CODEC, VP8_CODEC, opus, stream, vp8
from tests.session.memory_gateway import RawClient, receive_transport, send_transport
from tools.light.transport import Identity

MID = {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1}
ORIENTATION = "urn:3gpp:video-orientation"
RED = {"mimeType": "audio/red", "payloadType": 63, "clockRate": 48000, "channels": 2}


def h264(**parameters: Any) -> dict[str, Any]:
    return {
        "mimeType": "video/H264",
        "payloadType": 105,
        "clockRate": 90000,
        "parameters": {key.replace("_", "-"): value for key, value in parameters.items()},
    }


async def attempt(client: RawClient, parameters: Any, kind: str | None = None) -> Any:
    """Return the answer to a ``produce`` of these parameters."""
    kind = kind or parameters["codecs"][0]["mimeType"].partition("/")[0].lower()
    asked = {"kind": kind, "rtpParameters": parameters, "source": "other"}
    return await client.ask("produce", transportId=await send_transport(client), **asked)


async def consumed(gate: Gate, parameters: Any, capabilities: Any = None) -> Any:
    """Return the parameters of a consumer of this stream, with these capabilities or the router's own."""
    (ada,) = await gate.joined("ada")
    ben = await gate.connect()
    router = (await ben.join("ben"))["routerRtpCapabilities"]
    answer = await attempt(ada, parameters)
    assert answer["type"] == "ok", answer
    receiving = await ben.ok("create_transport", direction="receive", rtpCapabilities=capabilities or router)
    received = await ben.ok(
        "consume", transportId=receiving["transportId"], producerId=answer["data"]["producerId"], paused=False
    )
    return received["rtpParameters"]


# The forms of numbers.


@pytest.mark.parametrize("rate", ["333333.33", "500000.0", "5e5"])
async def test_a_bitrate_may_have_a_fraction(autojump_clock: MockClock, rate: str) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        parameters = {**opus(), "encodings": [{"ssrc": 1, "maxBitrate": json.loads(rate)}]}
        assert (await attempt(ada, parameters))["type"] == "ok"


async def test_whole_numbers_may_have_a_fraction_of_zero_everywhere(autojump_clock: MockClock) -> None:
    def with_fractions(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_fractions(part) for key, part in value.items()}
        if isinstance(value, list):
            return [with_fractions(part) for part in value]
        return float(value) if type(value) is int else value

    parameters = {**vp8(), "headerExtensions": [MID]}
    async with open_gate() as gate:
        plain = await consumed(gate, parameters, CAPABILITIES)
    async with open_gate() as gate:
        assert await consumed(gate, with_fractions(parameters), with_fractions(CAPABILITIES)) == plain


# Codecs.


@pytest.mark.parametrize("channels", [{}, {"channels": None}, {"channels": 2}, {"channels": 2.0}])
async def test_opus_has_two_channels_by_default(autojump_clock: MockClock, channels: dict[str, Any]) -> None:
    bare = {"mimeType": "audio/opus", "clockRate": 48000, **channels}
    capabilities = {"codecs": [{"kind": "audio", "preferredPayloadType": 100, **bare}]}
    async with open_gate() as gate:
        (codec,) = (await consumed(gate, stream({**bare, "payloadType": 111}, 5), capabilities))["codecs"]
        assert codec["channels"] == 2


async def test_channels_of_video_are_ignored(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        assert (await consumed(gate, stream({**VP8_CODEC, "channels": 0}, 5)))["codecs"]


async def test_opus_of_one_channel_is_unsupported(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        answer = await attempt(ada, stream({**OPUS_CODEC, "channels": 1}, 5))
        assert answer["data"]["code"] == "unsupported"


async def test_further_codecs_cause_no_refusal(autojump_clock: MockClock) -> None:
    def video(name: str, payload_type: int, **parameters: Any) -> dict[str, Any]:
        number = {"payloadType": payload_type, "clockRate": 90000}
        return {"mimeType": f"video/{name}", **number, "parameters": parameters}

    beside = [
        video("rtx", 97, apt=96),
        video("red", 116),
        video("rtx", 118, apt=116),
        video("ulpfec", 117),
        video("flexfec-03", 119, **{"repair-window": "10000000"}),
        video("rtx", 120, apt="96"),
        video("rtx", 121, apt=99),
        video("rtx", 122),
        video("rtx", 123, apt=True),
        video("red", 124, **{"96/96": [True]}),
    ]
    async with open_gate() as gate:
        codec, *_ = (await consumed(gate, {**vp8(), "codecs": [VP8_CODEC, *beside]}))["codecs"]
        assert codec["mimeType"] == "video/VP8"


@pytest.mark.parametrize("codecs", [[RED, OPUS_CODEC], [OPUS_CODEC, RED]])
async def test_opus_in_red_is_consumed_as_opus(autojump_clock: MockClock, codecs: list[dict[str, Any]]) -> None:
    async with open_gate() as gate:
        (codec,) = (await consumed(gate, {**opus(), "codecs": codecs}))["codecs"]
        assert codec["mimeType"] == "audio/opus"


async def test_red_alone_is_unsupported(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        error = (await attempt(ada, {**opus(), "codecs": [RED]}))["data"]
        assert error["code"] == "unsupported"
        assert "RED" in error["message"]


@pytest.mark.parametrize("mode", [{}, {"packetization_mode": 0}, {"packetization_mode": 1}])
@pytest.mark.parametrize("profile", ["42e034", "640c34", "640c1f"])
async def test_h264_is_consumed_at_the_level_of_its_sender(
    autojump_clock: MockClock, mode: dict[str, int], profile: str
) -> None:
    sets = "Z0LgH42NQA==,aM48gA=="
    async with open_gate() as gate:
        sent = h264(profile_level_id=profile, sprop_parameter_sets=sets, **mode)
        codec, *_ = (await consumed(gate, stream(sent, 5)))["codecs"]
        assert codec["parameters"]["profile-level-id"] == profile
        assert codec["parameters"]["sprop-parameter-sets"] == sets
        assert codec["parameters"]["packetization-mode"] == mode.get("packetization_mode", 0)


async def test_a_receiver_without_format_parameters_gets_video(autojump_clock: MockClock) -> None:
    bare = {"mimeType": "video/H264", "clockRate": 90000}
    capabilities = {"codecs": [{"kind": "video", "preferredPayloadType": 105, **bare}]}
    async with open_gate() as gate:
        assert (await consumed(gate, stream({**bare, "payloadType": 105}, 5), capabilities))["codecs"]


@pytest.mark.parametrize("mode", ["L3T3", "L3T3_KEY", "S3T3"])
async def test_the_layers_of_an_svc_encoding_are_offered(autojump_clock: MockClock, mode: str) -> None:
    vp9 = {"mimeType": "video/VP9", "payloadType": 98, "clockRate": 90000}
    async with open_gate() as gate:
        parameters = {**stream(vp9, 5), "encodings": [{"ssrc": 5, "scalabilityMode": mode}]}
        (encoding,) = (await consumed(gate, parameters))["encodings"]
        assert encoding["scalabilityMode"] == mode


# Unused fields.


@pytest.mark.parametrize(
    "change",
    [
        {"headerExtensions": [MID, {**MID, "id": 2}]},
        {"headerExtensions": [{"uri": "urn:a", "id": 7}, {"uri": "urn:b", "id": 7}]},
        {"rtcp": {"cname": "two words"}},
        {"rtcp": {"cname": "café"}},
        {"rtcp": {"cname": "a\r\na=inactive"}},
        {"mid": "m" * 33},
        {"mid": "m" * 256},
        {"mid": "mittelstück"},
        {"mid": ""},
        {"encodings": [{"ssrc": 5, "rid": "r" * 33}]},
        {"encodings": [{"ssrc": 5, "rid": "a b"}]},
        {"encodings": [{"ssrc": 5, "dtx": "yes", "priority": "urgent", "scalabilityMode": 3, "active": 1}]},
        {"encodings": [{"rid": "a"}], "headerExtensions": [MID]},
        {"encodings": [{"ssrc": 5, "rid": "", "rtx": {"ssrc": 0}}], "msid": 5},
        {"encodings": [{"ssrc": 5, "rtx": {"ssrc": 9}}, {"ssrc": 6, "rtx": {"ssrc": 9}}]},
        {"codecs": [OPUS_CODEC, {**OPUS_CODEC, "mimeType": "audio/PCMU", "payloadType": 72}]},
        {"codecs": [{**OPUS_CODEC, "rtcpFeedback": [None, 5, {"type": 5}]}]},
        {"codecs": [OPUS_CODEC, VP8_CODEC]},
    ],
)
async def test_unused_details_of_a_stream_cause_no_refusal(autojump_clock: MockClock, change: dict[str, Any]) -> None:
    async with open_gate() as gate:
        received = await consumed(gate, {**opus(), **change})
        assert received["rtcp"]["cname"].isascii()
        assert " " not in received["rtcp"]["cname"]
        assert received["codecs"][0]["mimeType"] == "audio/opus"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"codecs": [{**OPUS_CODEC, "payloadType": 72}]}, "codecs[0].payloadType"),
        ({"codecs": [OPUS_CODEC, {**OPUS_CODEC, "mimeType": "audio/PCMU"}]}, "codecs[1].payloadType"),
        ({"headerExtensions": [MID, {"uri": "urn:x", "id": 1}]}, "headerExtensions[1].id"),
        ({"encodings": [{}]}, "encodings[0]"),
        ({"encodings": [{}], "mid": "m" * 256, "headerExtensions": [MID]}, "mid"),
        ({"encodings": [{"rid": "a b"}], "headerExtensions": [MID]}, "encodings[0].rid"),
        ({"encodings": [{"rid": "a"}, {"rid": "b"}], "headerExtensions": [MID]}, "encodings[0]"),
        ({"encodings": [{"rid": "a"}]}, "encodings[0]"),
    ],
)
async def test_contradictions_in_used_fields_are_refused(
    autojump_clock: MockClock, change: dict[str, Any], path: str
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        error = (await attempt(ada, {**opus(), **change}, "audio"))["data"]
        assert (error["code"], error["path"]) == ("invalid", f"data.rtpParameters.{path}")


async def test_streams_of_one_user_share_a_generated_cname(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, receiving = await send_transport(ada), await receive_transport(ben)
        cnames = set()
        for number, cname in enumerate((None, "", "two words")):
            parameters = {**opus(1001 + number), "rtcp": {"cname": cname}}
            made = await ada.ok("produce", transportId=sending, kind="audio", rtpParameters=parameters, source="other")
            received = await ben.ok("consume", transportId=receiving, producerId=made["producerId"])
            cnames.add(received["rtpParameters"]["rtcp"]["cname"])
        assert len(cnames) == 1


async def test_unused_details_of_capabilities_cause_no_refusal(autojump_clock: MockClock) -> None:
    opus_codec, vp8_codec = CAPABILITIES["codecs"]
    without_kind = {key: value for key, value in opus_codec.items() if key != "kind"}
    codecs = [
        without_kind,
        {**vp8_codec, "preferredPayloadType": 111},
        {**vp8_codec, "mimeType": "video/rtx", "preferredPayloadType": 72, "parameters": {"apt": "111"}},
        {**vp8_codec, "mimeType": "application/octet-stream", "kind": "application"},
        {**vp8_codec, "mimeType": "video/AV1", "preferredPayloadType": 300, "parameters": {"odd": [True]}},
    ]
    extensions = [
        {"uri": "urn:a", "preferredId": 0},
        {"uri": "urn:b", "preferredId": 300, "kind": ""},
        {"uri": MID["uri"], "preferredId": 1, "direction": "sideways"},
        {"uri": MID["uri"], "preferredId": 1},
    ]
    async with open_gate() as gate:
        received = await consumed(gate, opus(), {"codecs": codecs, "headerExtensions": extensions})
        assert [extension["uri"] for extension in received["headerExtensions"]] == [MID["uri"]]


# Fingerprints.


@pytest.mark.parametrize("algorithm", ["sha-1", "sha-224", "md5", "md2"])
@pytest.mark.parametrize("last", [True, False])
async def test_a_fingerprint_of_an_unknown_hash_is_ignored(
    autojump_clock: MockClock, identity: Identity, algorithm: str, last: bool
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity)
        parameters = dtls_parameters(media)
        unknown = {"algorithm": algorithm, "value": ":".join(["00"] * 20)}
        wrong = {"algorithm": "sha-256", "value": ":".join(["00"] * 32)}
        known = [wrong, *parameters["fingerprints"]]
        parameters["fingerprints"] = [*known, unknown] if last else [unknown, *known]
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=parameters)
        gate.nursery.start_soon(media.run)
        assert (await ada.event("transport_state"))["state"] == "connected"


async def test_weak_fingerprints_alone_are_invalid(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending = await send_transport(ada)
        weak = [{"algorithm": "sha-1", "value": ":".join(["00"] * 20)}]
        error = (await ada.ask("connect_transport", transportId=sending, dtlsParameters={"fingerprints": weak}))["data"]
        assert error["code"] == "invalid"
        assert "sha-256" in error["message"]


# The operator's setting.


@pytest.mark.parametrize("offered", [True, False])
async def test_video_orientation_is_offered_as_the_operator_wishes(autojump_clock: MockClock, offered: bool) -> None:
    parameters = {**vp8(), "headerExtensions": [{"uri": ORIENTATION, "id": 3}]}
    async with open_gate(video_orientation=offered) as gate:
        promised = (await (await gate.connect()).join("reader", channel="library"))["routerRtpCapabilities"]
        assert (ORIENTATION in {one["uri"] for one in promised["headerExtensions"]}) is offered
        everything = {"codecs": CAPABILITIES["codecs"], "headerExtensions": [{"uri": ORIENTATION, "preferredId": 11}]}
        received = await consumed(gate, parameters, everything)
        assert bool(received["headerExtensions"]) is offered
