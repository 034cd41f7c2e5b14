"""Any frame gives a message or one ProtocolError, and every encoded message decodes to itself."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import (
    EVENTS,
    OK_DATA,
    REQUESTS,
    Error,
    ErrorCode,
    ErrorData,
    Event,
    Ok,
    ProtocolError,
    Request,
    RequestData,
    decode_from_gateway,
    decode_request,
    encode,
    from_json,
    to_json,
)
from protocol.limits import MAX_REQUEST_ID
from tests.protocol.examples import arbitrary, json_values

repeatable = settings(derandomize=True, max_examples=150, deadline=None)
ids = st.integers(0, MAX_REQUEST_ID)
requests = st.builds(Request, ids, st.one_of([arbitrary(cls) for cls in REQUESTS.values()]))
events = st.one_of([arbitrary(cls) for cls in EVENTS.values()])


def read(raw: bytes | str) -> None:
    """Decode a frame from a client. The client must be able to decode the answer to a refused frame."""
    try:
        decode_request(raw)
    except ProtocolError as error:
        refused = error
    else:
        return
    assert refused.code in (ErrorCode.MALFORMED, ErrorCode.INVALID, ErrorCode.UNKNOWN_TYPE)
    assert (refused.request_id is None) == (refused.code is ErrorCode.MALFORMED)
    answer = Error.for_frame(refused)
    assert decode_from_gateway(encode(answer), _Anything()) == answer


class _Anything(dict[int, type[RequestData[Any]]]):
    """A table in which every id belongs to a request."""

    def __contains__(self, key: object) -> bool:
        return True


@repeatable
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_bytes_give_a_request_or_a_protocol_error(raw: bytes | str) -> None:
    read(raw)


@repeatable
@given(json_values)
def test_arbitrary_json_gives_a_request_or_a_protocol_error(value: Any) -> None:
    read(json.dumps(value))


@repeatable
@given(st.sampled_from(sorted(REQUESTS)), json_values)
def test_requests_with_arbitrary_data_give_a_request_or_a_protocol_error(name: str, data: Any) -> None:
    read(json.dumps({"id": 1, "type": name, "data": data}))


@repeatable
@given(requests, st.data())
def test_requests_with_bytes_changed_give_a_request_or_a_protocol_error(request: Request, data: st.DataObject) -> None:
    raw = bytearray(encode(request).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    read(bytes(raw))


@repeatable
@given(requests, json_values, st.data())
def test_requests_with_a_value_replaced_give_a_request_or_a_protocol_error(
    request: Request, value: Any, data: st.DataObject
) -> None:
    message = json.loads(encode(request))
    place: Any = message
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    read(json.dumps(message))


@repeatable
@given(requests)
def test_requests_read_back_as_they_were(request: Request) -> None:
    assert decode_request(encode(request)) == request


@repeatable
@given(events)
def test_events_read_back_as_they_were(event: Event) -> None:
    assert decode_from_gateway(encode(event), {}) == event


@repeatable
@given(ids, st.sampled_from(sorted(REQUESTS)), st.data())
def test_answers_read_back_as_they_were(request_id: int, name: str, data: st.DataObject) -> None:
    cls = REQUESTS[name]
    ok = Ok(request_id, data.draw(arbitrary(OK_DATA[cls])))
    assert decode_from_gateway(encode(ok), {request_id: cls}) == ok


@repeatable
@given(st.none() | ids, arbitrary(ErrorData))
def test_errors_read_back_as_they_were(request_id: int | None, error: ErrorData) -> None:
    assert decode_from_gateway(encode(Error(request_id, error)), _Anything()) == Error(request_id, error)


@repeatable
@given(events, st.data())
def test_changed_frames_from_the_gateway_give_a_message_or_a_protocol_error(event: Event, data: st.DataObject) -> None:
    raw = bytearray(encode(event).encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(ProtocolError):
        decode_from_gateway(bytes(raw), {})


@repeatable
@given(events)
def test_an_event_survives_conversion_to_plain_json_and_back(event: Event) -> None:
    plain = to_json(event)
    assert isinstance(plain, dict)
    assert from_json(plain, type(event)) == event
