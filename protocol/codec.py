"""Encoding and decoding of messages: :func:`encode`, :func:`decode_request`, :func:`decode_from_gateway`."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from protocol import limits
from protocol.constraints import InvalidValueError, wire_name
from protocol.declarations import EVENT_TYPES, EVENTS, OK_DATA, REQUESTS, Event, RequestData
from protocol.errors import ErrorCode, ProtocolError
from protocol.json_text import UnreadableError, parse_untrusted
from protocol.requests import Request
from protocol.responses import Encoded, Error, ErrorData, Ok
from protocol.structuring import hook_for, structure

T = TypeVar("T")
Message = Request | Ok | Error | Event


def _members_of(cls: type[attrs.AttrsInstance]) -> Callable[[Any], dict[str, Any]]:
    """Make the function that lists an object's members by wire name. It leaves out a None that means absent."""
    names = [(attribute.name, wire_name(attribute.name), attribute.default is None) for attribute in attrs.fields(cls)]

    def members(message: Any) -> dict[str, Any]:
        found = {}
        for name, on_wire, none_is_absent in names:
            value = getattr(message, name)
            if value is not None or not none_is_absent:
                found[on_wire] = value
        return found

    return members


_members: dict[type, Callable[[Any], dict[str, Any]]] = {}


def _as_object(message: Any) -> dict[str, Any]:
    """Return one level of a message. The JSON encoder descends into it."""
    cls = type(message)
    members = _members.get(cls)
    if members is None:
        if not attrs.has(cls):
            raise TypeError(f"{cls.__name__} is not part of the protocol")
        members = _members[cls] = _members_of(cls)
    return members(message)


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_as_object
)


def encode(message: Message) -> str:
    """Return the text of one frame. ``len(text.encode())`` is its size on the wire.

    If an optional field is None, the text leaves it out. If null is one of a field's values, None becomes ``null``.
    Raises ``ValueError`` for a number that is not finite.
    """
    match message:
        case Ok(data=Encoded(text=text)):
            return f'{{"id":{message.id},"type":"ok","data":{text}}}'
        case Ok():
            envelope = {"id": message.id, "type": "ok", "data": message.data}
        case Error():
            envelope = {"id": message.id, "type": "error", "data": message.data}
        case Request():
            envelope = {"id": message.id, "type": message.type, "data": message.data}
        case _:
            envelope = {"type": EVENT_TYPES[type(message)], "data": message}
    return _ENCODER.encode(envelope)


def encode_value(value: Any) -> str:
    """Return an object of this package as JSON, as it stands inside a message."""
    return _ENCODER.encode(value)


def to_json(value: Any) -> Any:
    """Return an object of this package as dicts and lists, such as the media objects for mediasoup clients."""
    return json.loads(encode_value(value))


def from_json(value: Any, cls: type[T]) -> T:
    """Make an object of this package from dicts and lists, with the same checks as for a frame.

    Raises :exc:`protocol.constraints.InvalidValueError`.
    """
    return structure(value, cls)


def warm_up() -> None:
    """Make all decoders of requests now. Otherwise the first request of each type would wait for its decoder, some 10
    ms in all."""
    for cls in REQUESTS.values():
        hook_for(cls)


def decode_request(raw: bytes | str) -> Request:
    """Decode any frame from a client.

    Raises :exc:`ProtocolError` and nothing else. A frame that is no request at all is ``malformed``, and ``request_id``
    is None. Other faults are ``unknown_type`` or ``invalid``, with the id for the answer.
    """
    frame = _frame(raw, limits.MAX_REQUEST_BYTES, limits.MAX_REQUEST_DEPTH)
    request_id = frame.get("id")
    if type(request_id) is not int or not 0 <= request_id <= limits.MAX_REQUEST_ID:
        raise ProtocolError(ErrorCode.MALFORMED, "must be an integer from 0 to 2**53 - 1", "id")
    name = _type_of(frame, request_id)
    cls = REQUESTS.get(name)
    if cls is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, f"there is no request {name[:64]!r}", "type", request_id)
    return Request(request_id, _data(frame, cls, request_id))


def decode_from_gateway(raw: bytes | str, asked: Mapping[int, type[RequestData[Any]]]) -> Ok | Error | Event:
    """Decode any frame from the gateway. ``asked`` maps the id of each unanswered request to its class.

    Raises :exc:`ProtocolError` and nothing else. A client skips an event of ``unknown_type``, because a later version
    of the protocol may have added it. Every other error means that the gateway breaks the protocol.
    """
    frame = _frame(raw, limits.MAX_GATEWAY_MESSAGE_BYTES, limits.MAX_GATEWAY_MESSAGE_DEPTH)
    if "id" not in frame:
        name = _type_of(frame)
        event = EVENTS.get(name)
        if event is None:
            raise ProtocolError(ErrorCode.UNKNOWN_TYPE, f"there is no event {name[:64]!r}", "type")
        return _data(frame, event)
    return _response(frame, asked)


_SEQUENCE = re.compile(r'\{"seq":([1-9][0-9]{0,15}),')


def split_sequence(raw: str) -> tuple[int | None, str]:
    """Return the ``seq`` of an event, which the gateway writes first, and the rest of the frame.

    The rest is the same for all receivers of the event. A message without ``seq`` is returned whole, with None.
    """
    found = _SEQUENCE.match(raw)
    return (None, raw) if found is None else (int(found[1]), raw[found.end() :])


def _response(frame: dict[str, Any], asked: Mapping[int, type[RequestData[Any]]]) -> Ok | Error:
    request_id = frame["id"]
    if request_id is not None and (type(request_id) is not int or request_id not in asked):
        raise ProtocolError(ErrorCode.MALFORMED, "is the id of no unanswered request", "id")
    match _type_of(frame, request_id):
        case "error":
            return Error(request_id, _data(frame, ErrorData, request_id))
        case "ok" if request_id is not None:
            return Ok(request_id, _data(frame, OK_DATA[asked[request_id]], request_id))
    raise ProtocolError(ErrorCode.UNKNOWN_TYPE, "must be ok or error", "type", request_id)


def _frame(raw: bytes | str, max_bytes: int, max_depth: int) -> dict[str, Any]:
    try:
        frame = parse_untrusted(raw, max_bytes=max_bytes, max_depth=max_depth)
    except UnreadableError as error:
        raise ProtocolError(ErrorCode.MALFORMED, str(error)) from None
    if type(frame) is not dict:
        raise ProtocolError(ErrorCode.MALFORMED, "not a JSON object")
    return frame


def _type_of(frame: dict[str, Any], request_id: int | None = None) -> str:
    name = frame.get("type")
    if type(name) is not str:
        problem = "must be a string" if "type" in frame else "is missing"
        raise ProtocolError(ErrorCode.INVALID, problem, "type", request_id)
    return name


def _data(frame: dict[str, Any], cls: type[T], request_id: int | None = None) -> T:
    try:
        return structure(frame.get("data", {}), cls)
    except InvalidValueError as error:
        raise ProtocolError(ErrorCode.INVALID, error.message, wire_path("data", *error.path), request_id) from None


def wire_path(first: str, *rest: str | int) -> str:
    """Format a path as errors carry it, such as ``data.rtpParameters.codecs[0].mimeType``."""
    return first + "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in rest)
