"""The gateway's media objects: they offer only supported features, and nothing that mediasoup-client cannot handle."""

import random
from typing import Any

import pytest
from trio.testing import MockClock

from tests.conformance.whole_gateway import open_gate
from tests.session.example_media import CAPABILITIES, opus, stream, vp8
from tests.session.memory_gateway import RawClient, receive_transport, send_transport

H264_CODEC = {
    "mimeType": "video/H264",
    "payloadType": 127,
    "clockRate": 90000,
    "parameters": {"packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1},
}


async def produced(client: RawClient, transport: str, parameters: dict[str, Any], source: str = "camera") -> str:
    kind = parameters["codecs"][0]["mimeType"].partition("/")[0].lower()
    made = await client.ok("produce", transportId=transport, kind=kind, rtpParameters=parameters, source=source)
    assert set(made) == {"producerId"}
    return str(made["producerId"])


async def router_capabilities(client: RawClient) -> Any:
    return (await client.join("reader", channel="library"))["routerRtpCapabilities"]


# The router's capabilities.


async def test_the_router_offers_only_capabilities_that_it_supports(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        promised = await router_capabilities(await gate.connect())
        assert set(promised) == {"codecs", "headerExtensions"}
        mimes = [codec["mimeType"] for codec in promised["codecs"]]
        audio, video = {"audio/opus", "audio/red"}, {"video/vp8", "video/vp9", "video/av1", "video/h264", "video/rtx"}
        assert {mime.lower() for mime in mimes} == audio | video
        feedback = {(one["type"], one["parameter"]) for codec in promised["codecs"] for one in codec["rtcpFeedback"]}
        assert feedback == {("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", "")}
        directions = {(one["uri"], one["kind"]): one["direction"] for one in promised["headerExtensions"]}
        wide = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        assert (directions[wide, "audio"], directions[wide, "video"]) == ("recvonly", "sendrecv")
        assert not [uri for uri, _ in directions if "abs-send-time" in uri]
        kinds = {codec["kind"] for codec in promised["codecs"]}
        assert kinds == {"audio", "video"}


async def test_payload_types_of_the_router_are_its_own_and_never_127(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        promised = await router_capabilities(await gate.connect())
        numbers = [codec["preferredPayloadType"] for codec in promised["codecs"]]
        assert len(set(numbers)) == len(numbers)
        assert all(96 <= number <= 126 or number == 63 for number in numbers)


# A consumer's rtpParameters.

CONSUMED = {"consumerId", "producerId", "userId", "kind", "source", "rtpParameters", "producerPaused"}


@pytest.mark.parametrize(
    ("parameters", "source", "stream_id"),
    [
        (opus(), "microphone", "ada"),
        (vp8(), "camera", "ada"),
        (vp8(), "screen", "ada-screen"),
        (opus(), "screen_audio", "ada-screen"),
        (opus(), "other", "ada"),
    ],
)
async def test_the_answer_to_consume_has_every_field(
    autojump_clock: MockClock, parameters: dict[str, Any], source: str, stream_id: str
) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        producer = await produced(ada, await send_transport(ada), parameters, source)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)
        assert set(consumed) == CONSUMED
        assert (consumed["producerId"], consumed["userId"], consumed["source"]) == (producer, "ada", source)
        assert consumed["kind"] == parameters["codecs"][0]["mimeType"].partition("/")[0]
        assert consumed["producerPaused"] is False
        assert consumed["consumerId"] != producer
        media = consumed["rtpParameters"]
        assert media["mid"].isdecimal()
        assert len(media["mid"]) <= 8
        assert media["rtcp"]["cname"]
        (encoding,) = media["encodings"]
        assert 1 <= encoding["ssrc"] < 2**32
        assert encoding["ssrc"] not in (1234, parameters["encodings"][0]["ssrc"])
        assert "rtx" not in encoding
        assert media["msid"] == f"{stream_id} {consumed['consumerId']}"
        assert media["codecs"]
        assert not [codec for codec in media["codecs"] if "rtx" in codec["mimeType"].lower()]


async def test_mids_are_never_used_again_on_a_transport(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        producer = await produced(ada, await send_transport(ada), opus(), "microphone")
        receiving = await receive_transport(ben)
        mids, ssrcs = [], []
        for _ in range(30):
            consumed = await ben.ok("consume", transportId=receiving, producerId=producer)
            mids.append(consumed["rtpParameters"]["mid"])
            ssrcs.append(consumed["rtpParameters"]["encodings"][0]["ssrc"])
            await ben.ok("close", consumerId=consumed["consumerId"])
        assert len(set(mids)) == len(set(ssrcs)) == 30


class Unlucky(random.Random):
    """A source of 32-bit numbers. Every second number is a forbidden one."""

    def getrandbits(self, k: int) -> int:
        drawn = super().getrandbits(k)
        return (1234, 0, drawn, drawn)[drawn % 4] if k == 32 else drawn


async def test_the_ssrc_of_mediasoups_probator_does_not_occur(autojump_clock: MockClock) -> None:
    async with open_gate(rng=Unlucky(1)) as gate:
        ada, ben = await gate.joined("ada", "ben")
        producer = await produced(ada, await send_transport(ada), opus(1234), "microphone")
        receiving = await receive_transport(ben)
        for _ in range(30):
            consumed = await ben.ok("consume", transportId=receiving, producerId=producer)
            assert consumed["rtpParameters"]["encodings"][0]["ssrc"] not in (0, 1234)
            await ben.ok("close", consumerId=consumed["consumerId"])


@pytest.mark.parametrize("codec", [opus()["codecs"][0], vp8()["codecs"][0], H264_CODEC])
async def test_payload_type_127_does_not_occur_whatever_the_clients_prefer(
    autojump_clock: MockClock, codec: dict[str, Any]
) -> None:
    kind = codec["mimeType"].partition("/")[0]
    wished = {key: value for key, value in codec.items() if key != "payloadType"}
    capabilities = {"codecs": [{**wished, "kind": kind, "preferredPayloadType": 127}], "headerExtensions": []}
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        producer = await produced(ada, await send_transport(ada), stream({**codec, "payloadType": 127}, 5))
        receiving = await receive_transport(ben)
        consumed = await ben.ok("consume", transportId=receiving, producerId=producer, rtpCapabilities=capabilities)
        (number,) = [one["payloadType"] for one in consumed["rtpParameters"]["codecs"]]
        assert 96 <= number <= 126


@pytest.mark.parametrize("rtcp", [None, {}, {"cname": ""}, {"cname": None}, {"cname": "her-own"}])
async def test_consumers_always_get_a_cname(autojump_clock: MockClock, rtcp: Any) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        parameters = opus()
        del parameters["rtcp"]
        if rtcp is not None:
            parameters["rtcp"] = rtcp
        producer = await produced(ada, await send_transport(ada), parameters)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)
        assert consumed["rtpParameters"]["rtcp"]["cname"]
        assert len(consumed["rtpParameters"]["encodings"]) == 1


async def test_streams_of_one_user_share_a_cname(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, receiving = await send_transport(ada), await receive_transport(ben)
        cnames = set()
        for parameters in (opus(), vp8()):
            producer = await produced(ada, sending, parameters)
            consumed = await ben.ok("consume", transportId=receiving, producerId=producer)
            cnames.add(consumed["rtpParameters"]["rtcp"]["cname"])
        assert len(cnames) == 1


async def test_simulcast_comes_as_one_encoding(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        parameters = vp8()
        parameters["encodings"] = [{"rid": "lo"}, {"rid": "mid"}, {"rid": "hi"}]
        parameters["headerExtensions"] = [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "id": 3},
        ]
        producer = await produced(ada, await send_transport(ada), parameters)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)
        (encoding,) = consumed["rtpParameters"]["encodings"]
        assert encoding["ssrc"]
        assert "rid" not in encoding


async def test_a_receiver_gets_only_extensions_and_feedback_that_it_offered(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        parameters = vp8()
        parameters["codecs"][0] = {
            **parameters["codecs"][0],
            "rtcpFeedback": [{"type": "nack"}, {"type": "nack", "parameter": "pli"}, {"type": "transport-cc"}],
        }
        parameters["headerExtensions"] = [
            {"uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", "id": 5},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 9},
            {"uri": "urn:example:unheard-of", "id": 12},
        ]
        producer = await produced(ada, await send_transport(ada), parameters)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)
        (codec,) = consumed["rtpParameters"]["codecs"]
        assert codec["rtcpFeedback"] == [{"type": "nack", "parameter": "pli"}]
        assert consumed["rtpParameters"]["headerExtensions"] == []  # CAPABILITIES has none


# The source of the capabilities for consume.


async def test_capabilities_come_from_the_transport_or_the_request_and_must_exist(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        producer = await produced(ada, await send_transport(ada), opus(), "microphone")
        receiving = (await ben.ok("create_transport", direction="receive"))["transportId"]
        error = (await ben.ask("consume", transportId=receiving, producerId=producer))["data"]
        assert (error["code"], error["path"]) == ("invalid", "data.rtpCapabilities")
        await ben.ok("consume", transportId=receiving, producerId=producer, rtpCapabilities=CAPABILITIES)
        await ben.ok("close", transportId=receiving)
        await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)


async def test_a_client_may_send_the_routers_own_capabilities(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        ben = await gate.connect()
        capabilities = (await ben.join("ben"))["routerRtpCapabilities"]
        producer = await produced(ada, await send_transport(ada), vp8())
        created = await ben.ok("create_transport", direction="receive", rtpCapabilities=capabilities)
        consumed = await ben.ok("consume", transportId=created["transportId"], producerId=producer)
        offered = [one["preferredPayloadType"] for one in capabilities["codecs"]]
        assert all(codec["payloadType"] in offered for codec in consumed["rtpParameters"]["codecs"])


# Retransmissions.


async def test_a_receiver_of_nack_and_rtx_gets_retransmissions(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        ben = await gate.connect()
        capabilities = (await ben.join("ben"))["routerRtpCapabilities"]
        sending = await send_transport(ada)
        cameras = [await produced(ada, sending, {**vp8(ssrc), "mid": str(ssrc)}) for ssrc in (7001, 7002)]
        created = await ben.ok("create_transport", direction="receive", rtpCapabilities=capabilities)
        ssrcs = []
        for camera in cameras:
            consumed = await ben.ok("consume", transportId=created["transportId"], producerId=camera)
            codec, rtx = consumed["rtpParameters"]["codecs"]
            assert {"type": "nack", "parameter": ""} in codec["rtcpFeedback"]
            assert (rtx["mimeType"], rtx["parameters"]) == ("video/rtx", {"apt": codec["payloadType"]})
            (encoding,) = consumed["rtpParameters"]["encodings"]
            ssrcs += [encoding["ssrc"], encoding["rtx"]["ssrc"]]
        assert len(set(ssrcs)) == 4


@pytest.mark.parametrize("lacking", ["nack", "rtx", "apt"])
async def test_a_receiver_without_one_of_nack_and_rtx_gets_neither(autojump_clock: MockClock, lacking: str) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        ben = await gate.connect()
        capabilities = (await ben.join("ben"))["routerRtpCapabilities"]
        for codec in capabilities["codecs"]:
            if lacking == "nack":
                codec["rtcpFeedback"] = [one for one in codec["rtcpFeedback"] if one["parameter"]]
            elif lacking == "apt":
                codec["parameters"].pop("apt", None)
        if lacking == "rtx":
            capabilities["codecs"] = [one for one in capabilities["codecs"] if one["mimeType"] != "video/rtx"]
        producer = await produced(ada, await send_transport(ada), vp8())
        created = await ben.ok("create_transport", direction="receive", rtpCapabilities=capabilities)
        consumed = await ben.ok("consume", transportId=created["transportId"], producerId=producer)
        (codec,) = consumed["rtpParameters"]["codecs"]
        assert {"type": "nack", "parameter": ""} not in codec["rtcpFeedback"]
        assert "rtx" not in consumed["rtpParameters"]["encodings"][0]


async def test_contradictory_retransmissions_are_refused(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        rtx = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}}
        encodings = [{"ssrc": 5, "rtx": {"ssrc": 9}}, {"ssrc": 6, "rtx": {"ssrc": 9}}]
        parameters = {**vp8(), "codecs": [*vp8()["codecs"], rtx], "encodings": encodings}
        asked = {"kind": "video", "rtpParameters": parameters, "source": "camera"}
        error = (await ada.ask("produce", transportId=await send_transport(ada), **asked))["data"]
        assert (error["code"], error["path"]) == ("invalid", "data.rtpParameters.encodings[1].rtx.ssrc")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"encodings": [{"ssrc": 0}]}, "data.rtpParameters.encodings[0].ssrc"),
        ({"encodings": [{"ssrc": 2**32}]}, "data.rtpParameters.encodings[0].ssrc"),
        ({"encodings": [{"ssrc": n} for n in range(1, 10)]}, "data.rtpParameters.encodings"),
        ({"headerExtensions": [{"uri": "urn:x", "id": 0}]}, "data.rtpParameters.headerExtensions[0].id"),
        ({"headerExtensions": [{"uri": "urn:x", "id": 256}]}, "data.rtpParameters.headerExtensions[0].id"),
        ({"headerExtensions": [{"uri": f"urn:x{n}", "id": 1 + n} for n in range(65)]}, "data.rtpParameters.headerExt"),
        ({"codecs": [{**opus()["codecs"][0], "payloadType": 128}]}, "data.rtpParameters.codecs[0].payloadType"),
        ({"codecs": [opus()["codecs"][0]] * 129}, "data.rtpParameters.codecs"),
        ({"codecs": []}, "data.rtpParameters.codecs"),
        ({"mid": 5}, "data.rtpParameters.mid"),
    ],
)
async def test_media_objects_over_their_limits_are_invalid(
    autojump_clock: MockClock, change: dict[str, Any], path: str
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        asked = {"kind": "audio", "rtpParameters": {**opus(), **change}, "source": "other"}
        error = (await ada.ask("produce", transportId=await send_transport(ada), **asked))["data"]
        assert error["code"] == "invalid"
        assert error["path"].startswith(path)
