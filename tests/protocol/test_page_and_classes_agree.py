"""docs/protocol.md and the classes name the same messages, fields and values."""

import re
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest

from protocol import (
    EVENTS,
    OK_DATA,
    REQUESTS,
    CloseCode,
    ConsumerClosedReason,
    Direction,
    Error,
    ErrorCode,
    LeaveReason,
    NextStep,
    Participant,
    ParticipantProducer,
    ProtocolError,
    Source,
    TransportState,
    VoiceStateType,
    decode_from_gateway,
    decode_request,
    limits,
)
from protocol.constraints import wire_name
from protocol.declarations import RequestData
from protocol.stats import ConsumerStats, EncodingStats, ProducerStats, TransportStats, TransportStatsState
from protocol.vocabulary import OneOf

PAGE = (Path(__file__).parent.parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text of one section of the page."""
    (body,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(body)


def rows(title: str) -> dict[str, list[str]]:
    """Return the rows of a section's first table by their first cell, without its backticks."""
    table = section(title).split("|---|", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {first.strip("`"): rest for first, *rest in cells}


def named(cell: str) -> set[str]:
    """Return the words in backticks."""
    return set(re.findall("`([^`]+)`", cell))


def fields(cls: type[attrs.AttrsInstance]) -> set[str]:
    return {wire_name(field.name) for field in attrs.fields(cls)}


def required(cls: type[attrs.AttrsInstance]) -> set[str]:
    if issubclass(cls, OneOf):
        return set()
    return {wire_name(field.name) for field in attrs.fields(cls) if field.default is attrs.NOTHING}


def split_optional(cell: str) -> tuple[set[str], set[str]]:
    """Return the required and the optional fields that a table's cell names."""
    if cell.startswith("one of "):
        return set(), named(cell)
    must, _, may = cell.partition("optional")
    return named(must), named(may)


def test_the_page_has_every_request_and_no_other() -> None:
    assert rows("Requests").keys() == REQUESTS.keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_the_page_has_the_fields_of_each_request_and_its_ok(name: str) -> None:
    data, ok = rows("Requests")[name]
    cls: type[RequestData[Any]] = REQUESTS[name]
    must, may = split_optional(data)
    assert must == required(cls)
    assert must | may == fields(cls)
    assert named(ok) == fields(OK_DATA[cls])
    assert f"**`{name}`**" in section("Requests") or name == "ping"


def test_the_page_has_every_event_and_no_other() -> None:
    assert rows("Events").keys() == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_the_page_has_the_fields_of_each_event(name: str) -> None:
    (data,) = rows("Events")[name]
    must, may = split_optional(data)
    assert must == required(EVENTS[name])
    assert must | may == fields(EVENTS[name])


def test_the_page_has_every_error_code_and_no_other() -> None:
    assert rows("Errors").keys() == {code.value for code in ErrorCode}


def test_the_page_names_the_errors_that_count_against_the_budget() -> None:
    (sentence,) = re.findall(r"Only (.*?) count", section("Errors"))
    assert named(sentence) == {code.value for code in ErrorCode if code.is_counted}


def test_the_page_has_every_close_code_with_its_next_step_and_no_other() -> None:
    words = {step: step.value.replace("_", " ") for step in NextStep}
    steps = {code: cells[1].removesuffix(", or elsewhere") for code, cells in rows("Closing").items()}
    assert steps == {str(int(code)): words[code.next_step] for code in CloseCode}


@pytest.mark.parametrize(
    ("title", "choices"),
    [
        ("Requests", Source),
        ("Requests", Direction),
        ("Requests", TransportStatsState),
        ("Events", VoiceStateType),
        ("Events", LeaveReason),
        ("Events", ConsumerClosedReason),
        ("Events", TransportState),
    ],
)
def test_the_page_names_every_choice(title: str, choices: object) -> None:
    assert set(get_args(choices)) <= named(section(title))


def test_the_page_shows_a_participant_with_all_its_fields() -> None:
    text = section("Participants").partition("```json")[2].partition("```")[0]
    assert set(re.findall(r'"(\w+)":', text)) == fields(Participant) | fields(ParticipantProducer)


@pytest.mark.parametrize("cls", [TransportStats, ProducerStats, EncodingStats, ConsumerStats])
def test_the_page_has_the_fields_of_the_statistics(cls: type[attrs.AttrsInstance]) -> None:
    assert fields(cls) <= named(section("Requests"))


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("one message of a client", (limits.MAX_REQUEST_BYTES, limits.MAX_REQUEST_DEPTH)),
        ("object ids", (limits.MAX_ID_CHARACTERS,)),
        ("token", (limits.MAX_TOKEN_CHARACTERS,)),
        ("metadata", (limits.MAX_METADATA_BYTES,)),
        ("a message's `data", (limits.MAX_MESSAGE_BYTES,)),
        ("recipients of a message", (limits.MAX_RECIPIENTS,)),
        ("codecs in one object", (limits.MAX_CODECS,)),
        ("header extensions in one object", (limits.MAX_HEADER_EXTENSIONS,)),
        ("encodings of a producer", (limits.MAX_ENCODINGS,)),
        ("RTCP feedback entries of a codec", (limits.MAX_RTCP_FEEDBACK,)),
        ("parameters of a codec", (limits.MAX_CODEC_PARAMETERS, limits.MAX_CODEC_PARAMETER_CHARACTERS)),
        ("fingerprints", (limits.MAX_FINGERPRINTS,)),
        ("answers and events that wait for an acknowledgement", (limits.MAX_UNACKNOWLEDGED_BYTES,)),
        ("other texts in media objects", (limits.MAX_SHORT_TEXT_CHARACTERS,)),
        ("bad messages", (limits.ERROR_BUDGET, int(limits.ERROR_BUDGET_WINDOW))),
    ],
)
def test_the_page_has_each_limit(row: str, values: tuple[int, ...]) -> None:
    (cell,) = rows("Limits")[row]
    assert tuple(int(number) for number in re.findall(r"\d+", cell)) == values


def test_the_page_names_the_subprotocol_the_path_and_the_times() -> None:
    assert f"`{limits.SUBPROTOCOL}`" in PAGE
    assert f"`GET {limits.PATH}`" in PAGE
    connecting = section("Connecting")
    assert f"quiet for {limits.PING_INTERVAL:g} s" in connecting
    assert f"another {limits.PONG_TIMEOUT:g} s" in connecting
    assert f"`join` {limits.JOIN_TIMEOUT:g} s after" in connecting
    assert f"at most {limits.SESSION_CLEANUP_TIMEOUT:g} s" in section("What the gateway promises")
    assert f"more than {limits.MAX_LISTED_PARTICIPANTS} members" in section("Events")
    assert f"more than {limits.LISTED_BACKLOG} bytes wait" in section("Events")
    text = " ".join(PAGE.split())
    assert f"counts {limits.VOICE_STATE_BYTES} bytes and its `participant`" in text
    assert f"up to {limits.MAX_CONSUMED_AT_ONCE} producers" in text
    assert f"every {limits.ACKNOWLEDGE_BYTES // 1024} KiB, and at least every {limits.ACKNOWLEDGE_SECONDS:g}" in text


def test_the_envelopes_on_the_page_can_be_decoded() -> None:
    shown = [row[1].strip("`").replace("{…}", "{}") for row in rows("Messages").values()]
    with pytest.raises(ProtocolError) as caught:
        decode_request(shown[0])
    assert (caught.value.request_id, caught.value.path) == (7, "data.channelId")
    error = decode_from_gateway(shown[2], {7: REQUESTS["join"]})
    assert isinstance(error, Error)
    assert (error.id, error.data.path) == (7, "data.username")
