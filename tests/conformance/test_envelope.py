"""Messages: the envelope, strict decoding, exactly one answer to each request, in order, with events after it."""

import json
from typing import Any

import pytest
from trio.testing import MockClock

from tests.conformance.whole_gateway import Gate, open_gate
from tests.session.example_media import CAPABILITIES, OPUS_CODEC, opus
from tests.session.memory_gateway import RawClient


async def answer(client: RawClient, text: str) -> Any:
    """Send one frame and return the answer."""
    await client.raw(text)
    return await client.next()


async def send_transport(client: RawClient) -> str:
    return str((await client.ok("create_transport", direction="send"))["transportId"])


# Frames that are not requests.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "7",
        "null",
        '"join"',
        "{}",
        '{"type": "ping"}',
        '{"id": null, "type": "ping"}',
        '{"id": "1", "type": "ping"}',
        '{"id": 1.0, "type": "ping"}',
        '{"id": true, "type": "ping"}',
        '{"id": -1, "type": "ping"}',
        '{"id": 9007199254740992, "type": "ping"}',
        '{"id": 1, "id": 2, "type": "ping"}',
        '{"id": 1, "type": "ping"',
        '{"id": 1, "type": "ping", "more": 1e999}',
        '{"id": 1, "type": "ping", "more": NaN}',
        '{"id": 1, "type": "ping", "more": "\\ud800"}',
        '{"id": 1, "type": "ping", "more": ' + "[" * 32 + "]" * 32 + "}",
        "[" * 100_000,
    ],
)
async def test_an_unreadable_frame_gets_an_error_with_id_null_and_the_connection_stays(
    autojump_clock: MockClock, text: str
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        frame = await answer(ada, text)
        assert (frame["id"], frame["type"], frame["data"]["code"]) == (None, "error", "malformed")
        assert frame["data"]["message"]
        assert await ada.ok("ping") == {}


@pytest.mark.parametrize("number", [0, 1, 2**53 - 1])
async def test_the_clients_id_comes_back(autojump_clock: MockClock, number: int) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        assert await answer(ada, json.dumps({"id": number, "type": "ping"})) == {"id": number, "type": "ok", "data": {}}


async def test_data_may_be_left_out_where_nothing_in_it_is_required(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        assert (await answer(ada, '{"id": 1, "type": "ping"}'))["type"] == "ok"
        assert (await answer(ada, '{"id": 2, "type": "stats"}'))["type"] == "ok"
        assert await answer(ada, '{"id": 3, "type": "leave"}') == {"id": 3, "type": "ok", "data": {}}
        refused = await answer(ada, '{"id": 4, "type": "join"}')
        assert (refused["id"], refused["data"]["code"]) == (4, "invalid")
        assert refused["data"]["path"].startswith("data")


async def test_thirty_two_levels_of_nesting_are_read(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        assert (await answer(ada, '{"id": 1, "type": "ping", "more": ' + "[" * 31 + "]" * 31 + "}"))["type"] == "ok"


# Strict decoding of fields.


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"username": 5}, "data.username"),
        ({"username": None}, "data.username"),
        ({"username": "  "}, "data.username"),
        ({"username": "x" * 65}, "data.username"),
        ({"username": "a\tb"}, "data.username"),
        ({"channelId": ""}, "data.channelId"),
        ({"channelId": "x" * 129}, "data.channelId"),
        ({"channelId": "lobby/2"}, "data.channelId"),
        ({"channelId": "café"}, "data.channelId"),
        ({"userId": "a b"}, "data.userId"),
        ({"userId": "x" * 129}, "data.userId"),
        ({"userId": None}, "data.userId"),
        ({"token": 5}, "data.token"),
        ({"token": "x" * 8193}, "data.token"),
        ({"metadata": []}, "data.metadata"),
        ({"metadata": None}, "data.metadata"),
        ({"metadata": {"x": "y" * 4090}}, "data.metadata"),
    ],
)
async def test_an_invalid_join_gets_an_error_with_the_path_of_the_field(
    autojump_clock: MockClock, changed: dict[str, Any], path: str
) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        frame = await client.ask("join", **{"channelId": "lobby", "username": "Ada", **changed})
        assert (frame["type"], frame["data"]["code"], frame["data"]["path"]) == ("error", "invalid", path)
        assert set(frame["data"]) == {"code", "message", "path"}
        await client.join("ada")


@pytest.mark.parametrize(
    "given",
    [
        {"username": "x" * 64},
        {"username": "  " + "🎶" * 64 + "\n"},
        {"channelId": "Az09_.:-" * 16, "username": "Ada"},
        {"userId": "Az09_.:-" * 16, "username": "Ada"},
        {"metadata": {"x": "y" * 4088}, "username": "Ada"},
        {"metadata": {}, "username": "Ada", "unheardOf": {"of": None}},
    ],
)
async def test_a_join_within_the_limits_is_accepted(autojump_clock: MockClock, given: dict[str, Any]) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        joined = await client.ok("join", **{"channelId": "lobby", **given})
        (me,) = joined["participants"]
        assert me["username"] == given["username"].strip()
        assert me["metadata"] == given.get("metadata", {})


async def test_free_json_is_measured_in_compact_form(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        spacious = '{"x":' + " " * 5000 + '"\\u0061"}'
        text = '{"id":1,"type":"join","data":{"channelId":"a","username":"Ada","metadata":' + spacious + "}}"
        assert (await answer(client, text))["data"]["participants"][0]["metadata"] == {"x": "a"}


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        ("set_layers", {"consumerId": "c", "spatial": "1", "temporal": 0}, "data.spatial"),
        ("set_layers", {"consumerId": "c", "spatial": 1.0, "temporal": 0}, "data.spatial"),
        ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": True}, "data.temporal"),
        ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": -1}, "data.temporal"),
        ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": 256}, "data.temporal"),
        ("create_transport", {"direction": "both"}, "data.direction"),
        ("create_transport", {}, "data.direction"),
        ("close", {"producerId": 5}, "data.producerId"),
        ("message", {}, "data.data"),
        ("message", {"data": 1, "to": "ada"}, "data.to"),
        ("message", {"data": 1, "to": ["not a name"]}, "data.to[0]"),
        ("message", {"data": 1, "to": ["x"] * 1025}, "data.to"),
        ("message", {"data": "x" * 16383}, "data.data"),
        ("message", {"data": "é" * 8192}, "data.data"),
        ("close", {"producerId": ""}, "data.producerId"),
        ("close", {"producerId": "x" * 129}, "data.producerId"),
    ],
)
async def test_no_value_is_coerced_in_any_request(
    autojump_clock: MockClock, kind: str, data: dict[str, Any], path: str
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        error = (await ada.ask(kind, **data))["data"]
        assert (error["code"], error.get("path")) == ("invalid", path)


@pytest.mark.parametrize("kind", ["pause", "resume", "close"])
@pytest.mark.parametrize("data", [{}, {"producerId": "p", "consumerId": "c"}])
async def test_a_request_about_an_object_needs_exactly_one_id(
    autojump_clock: MockClock, kind: str, data: dict[str, str]
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        assert await ada.error(kind, **data) == "invalid"


async def test_null_inside_media_objects_means_absent(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        parameters = opus()
        parameters["mid"] = None
        parameters["rtcp"] = {"cname": None, "reducedSize": None, "mux": None}
        parameters["headerExtensions"] = None
        parameters["encodings"][0].update(rid=None, rtx=None, dtx=None, scalabilityMode=None, maxBitrate=None)
        parameters["codecs"] = [{**OPUS_CODEC, "parameters": None, "rtcpFeedback": None}]
        produced = await ada.ok(
            "produce", transportId=await send_transport(ada), kind="audio", rtpParameters=parameters, source="other"
        )
        assert set(produced) == {"producerId"}


@pytest.mark.parametrize("data", [None, 5, "text", [], True])
async def test_data_is_an_object_or_absent(autojump_clock: MockClock, data: Any) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        frame = await answer(ada, json.dumps({"id": 1, "type": "ping", "data": data}))
        assert (frame["id"], frame["data"]["code"], frame["data"]["path"]) == (1, "invalid", "data")


@pytest.mark.parametrize("kind", [None, 5, {}, "", "Ping", "closing", "voice_state"])
async def test_an_unknown_or_invalid_type_is_answered_with_the_id_of_the_request(
    autojump_clock: MockClock, kind: Any
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        frame = await answer(ada, json.dumps({"id": 1, "type": kind}))
        assert frame["id"] == 1
        assert frame["data"]["code"] == ("unknown_type" if isinstance(kind, str) else "invalid")


async def test_null_is_a_wrong_value_for_a_field_of_a_request(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        frame = await ada.ask("pause", producerId=None, consumerId="c")
        assert (frame["data"]["code"], frame["data"]["path"]) == ("invalid", "data.producerId")


@pytest.mark.parametrize("wrong", [None, True, [1], {"a": 1}])
async def test_codec_parameters_are_texts_or_numbers(autojump_clock: MockClock, wrong: Any) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        parameters = opus()
        parameters["codecs"] = [{**OPUS_CODEC, "parameters": {"minptime": 10, "x": "y", "odd": wrong}}]
        frame = await ada.ask(
            "produce", transportId=await send_transport(ada), kind="audio", rtpParameters=parameters, source="other"
        )
        if wrong is None:
            assert frame["type"] == "ok"
        else:
            assert frame["data"]["code"] == "invalid"
            assert frame["data"]["path"] == "data.rtpParameters.codecs[0].parameters.odd"


async def test_a_path_names_the_field_as_it_is_on_the_wire(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        parameters = opus()
        parameters["codecs"][0:] = [{**OPUS_CODEC, "mimeType": 5}]
        frame = await ada.ask(
            "produce", transportId=await send_transport(ada), kind="audio", rtpParameters=parameters, source="other"
        )
        assert frame["data"]["path"] == "data.rtpParameters.codecs[0].mimeType"


async def test_unknown_fields_are_ignored_everywhere(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        data = {"direction": "receive", "new": None, "rtpCapabilities": {**CAPABILITIES, "fecMechanisms": ["none"]}}
        frame = {"id": 1, "type": "create_transport", "more": [1], "data": data}
        assert (await answer(ada, json.dumps(frame)))["type"] == "ok"


# The order of answers and events.


async def test_every_request_gets_exactly_one_answer_in_order(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        texts = [
            '{"id": 1, "type": "ping"}',
            '{"id": 2, "type": "join", "data": {"channelId": "lobby", "username": "Ada"}}',
            '{"id": 3, "type": "create_transport", "data": {"direction": "send"}}',
            '{"id": 4, "type": "dance"}',
            '{"id": 5, "type": "message", "data": {"data": 1}}',
            '{"id": 5, "type": "close", "data": {"transportId": "x"}}',
            '{"id": 6, "type": "leave"}',
            '{"id": 7, "type": "ping"}',
            '{"id": 8, "type": "join", "data": {"channelId": "lobby", "username": "Ada"}}',
            '{"id": 9, "type": "stats"}',
        ]
        for text in texts:
            await client.raw(text)
        answers = [(frame.get("id"), frame["type"]) for frame in await client.take_all() if "id" in frame]
        errors = {1, 4, 7}
        wanted = [(json.loads(text)["id"], "error" if json.loads(text)["id"] in errors else "ok") for text in texts]
        wanted[5] = (5, "error")
        assert answers == wanted


async def test_the_events_that_a_request_causes_at_its_sender_follow_its_answer(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending = await send_transport(ada)
        created = await ada.ok("create_transport", direction="receive", rtpCapabilities=CAPABILITIES)
        made: list[str] = []
        await ada.request("produce", transportId=sending, kind="audio", rtpParameters=opus(), source="microphone")
        frames = await ada.take_all()
        assert [frame["type"] for frame in frames] == ["ok", "voice_state"]
        made.append(frames[0]["data"]["producerId"])
        heard = await ada.ok("consume", transportId=created["transportId"], producerId=made[0])
        steps: list[tuple[str, dict[str, Any], list[str]]] = [
            ("message", {"data": "to myself", "to": ["ada"]}, ["message"]),
            ("pause", {"producerId": made[0]}, ["consumer_updated", "voice_state"]),
            ("resume", {"producerId": made[0]}, ["consumer_updated", "voice_state"]),
            ("close", {"producerId": made[0]}, ["consumer_closed", "voice_state"]),
        ]
        for kind, data, caused in steps:
            await ada.request(kind, **data)
            frames = await ada.take_all()
            assert [frame["type"] for frame in frames] == ["ok", *caused]
        assert frames[1]["data"] == {"consumerId": heard["consumerId"], "reason": "producer_closed"}


async def test_no_event_names_an_object_before_the_answer_that_first_named_it(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await _busy_call(gate, ada, ben)
        frames = await ben.take_all()
        known: set[str] = set()
        for frame in frames:
            if frame["type"] == "ok":
                known.update(value for key, value in frame["data"].items() if key.endswith("Id"))
            named = [value for key, value in frame["data"].items() if key in ("consumerId", "transportId")]
            assert set(named) <= known, frame


async def _busy_call(gate: Gate, ada: RawClient, ben: RawClient) -> None:
    """Ben consumes while Ada pauses and closes at the same time."""
    receiving = await ben.request("create_transport", direction="receive", rtpCapabilities=CAPABILITIES)
    sending = await send_transport(ada)
    for number in range(5):
        produced = await ada.ok(
            "produce", transportId=sending, kind="audio", rtpParameters=opus(1000 + number), source="other"
        )
        if not number:
            while (frame := await ben.next()).get("id") != receiving:
                pass
            transport = frame["data"]["transportId"]
            ben._texts.insert(0, json.dumps(frame))
        await ben.request("consume", transportId=transport, producerId=produced["producerId"], paused=False)
        await ada.request("pause", producerId=produced["producerId"])
        if number % 2:
            await ada.request("close", producerId=produced["producerId"])
