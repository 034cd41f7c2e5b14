"""TypeScript types of the protocol, generated from the message classes for the browser client."""

import enum
import re
import sys
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from protocol import errors, events, limits, media, responses, stats, vocabulary
from protocol.constraints import split_annotated, wire_name, without_none
from protocol.declarations import EVENTS, OK_DATA, REQUESTS
from protocol.errors import CloseCode, ErrorCode, NextStep

HEADER = """\
// Made by `python -m protocol.schema` from the classes in protocol/; a test fails when this file is stale.
import type { types } from 'mediasoup-client';
"""

# mediasoup-client has its own types for the other media objects, under the same names.
_OUR_OWN = {media.RtpRtxParameters, media.IceCredentials}
IMPORTED: dict[Any, str] = {
    **{cls: cls.__name__ for cls in media.MEDIA_CLASSES if cls not in _OUR_OWN},
    vocabulary.MediaKind: "MediaKind",
}
# `RTCPeerConnection` takes these.
BUILT_IN: dict[Any, str] = {vocabulary.IceServer: "RTCIceServer"}

NAMED_LITERALS: dict[Any, str] = {
    vocabulary.Source: "Source",
    vocabulary.Direction: "Direction",
    events.VoiceStateType: "VoiceStateType",
    events.LeaveReason: "LeaveReason",
    events.ConsumerClosedReason: "ConsumerClosedReason",
    events.TransportState: "TransportState",
    events.ConnectionQuality: "ConnectionQuality",
    stats.TransportStatsState: "TransportStatsState",
}
ENUMS: dict[Any, str] = {ErrorCode: "ErrorCode", NextStep: "NextStep"}
NAMES: dict[Any, str] = {**IMPORTED, **BUILT_IN, **NAMED_LITERALS, **ENUMS}
PLAIN: dict[Any, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    Any: "unknown",
    type(None): "null",
}

ENVELOPES = """\
export type RequestType = keyof RequestMap;

export type Request = {
  [T in RequestType]: { id: number; type: T; data: RequestMap[T]['data'] };
}[RequestType];

export type OkResponse<T extends RequestType = RequestType> = { id: number; type: 'ok'; data: RequestMap[T]['ok'] };

export type ErrorResponse = { id: number | null; type: 'error'; data: ErrorData };

export type Response<T extends RequestType = RequestType> = OkResponse<T> | ErrorResponse;

export type EventType = keyof EventMap;

export type GatewayEvent = { [T in EventType]: { seq?: number; type: T; data: EventMap[T] } }[EventType];

export type GatewayMessage = Response | GatewayEvent;
"""


def structures() -> list[type[attrs.AttrsInstance]]:
    """Return the classes to declare: those of the messages, and those inside them without a type elsewhere."""
    messages: list[type[attrs.AttrsInstance]] = [*REQUESTS.values(), *dict.fromkeys(OK_DATA.values())]
    messages += [responses.ErrorData, *EVENTS.values()]
    inside = {cls for message in messages for cls in classes_inside(message)} - set(messages)
    shared = [cls for cls in vars(vocabulary).values() if isinstance(cls, type) and cls in inside]
    others = sorted(inside - set(shared), key=definition_place)
    return [*shared, *messages[: len(REQUESTS)], *others, *messages[len(REQUESTS) :]]


def classes_inside(hint: Any) -> set[type[attrs.AttrsInstance]]:
    """Return every class to declare that stands inside a type hint, itself included."""
    bare, _ = split_annotated(hint)
    if bare in NAMES:
        return set()
    if attrs.has(bare):
        hints = get_type_hints(bare, include_extras=True)
        fields = [hints[attribute.name] for attribute in attrs.fields(bare)]
        return {bare}.union(*map(classes_inside, fields))
    return set().union(*map(classes_inside, get_args(bare)))


def definition_place(cls: type) -> tuple[str, int]:
    """Return the module of a class and its place there, to sort classes in the order of their definition."""
    return cls.__module__, list(vars(sys.modules[cls.__module__]).values()).index(cls)


def type_expression(hint: Any) -> str:
    """Return the TypeScript type for the wire form of a type hint."""
    bare, _ = split_annotated(hint)
    if (name := NAMES.get(bare) or PLAIN.get(bare)) is not None:
        return name
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is Literal:
        return " | ".join(f"'{value}'" for value in arguments)
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(type_expression, arguments)))
    if origin is tuple:
        element = type_expression(arguments[0])
        return f"({element})[]" if " " in element else f"{element}[]"
    if origin is dict:
        return f"Record<string, {type_expression(arguments[1])}>"
    return str(bare.__name__)


def members(cls: type[attrs.AttrsInstance]) -> list[str]:
    """Return the members of an object type, one for each field. A field that may be absent is optional."""
    hints = get_type_hints(cls, include_extras=True)
    lines = []
    for attribute in attrs.fields(cls):
        hint = hints[attribute.name]
        optional = attribute.default is not attrs.NOTHING
        expression = type_expression(without_none(hint) if attribute.default is None else hint)
        lines.append(f"{wire_name(attribute.name)}{'?' if optional else ''}: {expression};")
    return lines


def alternative(cls: type[vocabulary.OneOf], chosen: str) -> list[str]:
    """Return the members of an object type that has only one of its alternatives."""
    lines = members(cls)
    for place, attribute in enumerate(attrs.fields(cls)):
        if attribute.name == chosen:
            lines[place] = lines[place].replace("?:", ":", 1)
        elif attribute.name in cls.alternatives:
            lines[place] = f"{wire_name(attribute.name)}?: never;"
    return lines


def always_sent(cls: type[attrs.AttrsInstance]) -> bool:
    """Whether the gateway writes the class. It always writes a field that has a value as its default."""
    return cls not in REQUESTS.values()


def summary(cls: type[attrs.AttrsInstance]) -> str:
    """Return the first line of a class's docstring, with its fields named as on the wire."""
    first = (cls.__doc__ or "").strip().splitlines()[0].replace(".  ", ". ")
    fields = {attribute.name for attribute in attrs.fields(cls)}

    def code(match: re.Match[str]) -> str:
        name = match[1]
        return f"`{wire_name(name) if name in fields else name}`"

    return re.sub("``(.+?)``", code, first)


def structure(cls: type[attrs.AttrsInstance]) -> str:
    """Return the declaration of one class's type."""
    comment = f"/** {summary(cls)} */\n"
    if issubclass(cls, vocabulary.OneOf):
        shapes = ("{ " + " ".join(alternative(cls, chosen))[:-1] + " }" for chosen in cls.alternatives)
        return f"{comment}export type {cls.__name__} =\n  | " + "\n  | ".join(shapes) + ";\n"
    lines = members(cls)
    if not lines:
        return f"{comment}export type {cls.__name__} = Record<string, never>;\n"
    if always_sent(cls):
        lines = [
            line.replace("?:", ":", 1) if attribute.default not in (None, attrs.NOTHING) else line
            for line, attribute in zip(lines, attrs.fields(cls), strict=True)
        ]
    return f"{comment}export type {cls.__name__} = {{\n  " + "\n  ".join(lines) + "\n};\n"


def literals() -> str:
    """Return the named unions of texts, and the aliases of imported types."""
    imported = "".join(f"export type {name} = types.{name};\n" for name in IMPORTED.values())
    unions = "".join(
        f"export type {name} = {' | '.join(repr(value) for value in get_args(literal))};\n"
        for literal, name in NAMED_LITERALS.items()
    )
    return f"{imported}\n{unions}"


def table(name: str, rows: dict[str, str]) -> str:
    """Return an object type that maps the types of messages to those of their data."""
    return f"export type {name} = {{\n" + "".join(f"  {key}: {value};\n" for key, value in rows.items()) + "};\n"


def constant(name: str, rows: dict[str, str], annotation: str = "") -> str:
    """Return a constant object whose values are TypeScript expressions."""
    body = "".join(f"  {key}: {value},\n" for key, value in rows.items())
    return f"export const {name}{annotation} = {{\n{body}}} as const;\n"


def quoted(text: str) -> str:
    """Return a TypeScript string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def enumeration(cls: type[enum.StrEnum], constant_name: str) -> str:
    """Return a list of texts and the type of one of them."""
    values = "".join(f"  {quoted(member.value)},\n" for member in cls)
    return (
        f"export const {constant_name} = [\n{values}] as const;\n"
        f"export type {cls.__name__} = (typeof {constant_name})[number];\n"
    )


def codes() -> str:
    """Return the error codes, and the close codes with the client's next step."""
    closes = {
        str(
            int(code)
        ): f"{{ name: {quoted(code.name.lower())}, next: {quoted(code.next_step)}, meaning: {quoted(code.meaning)} }}"
        for code in CloseCode
    }
    return (
        enumeration(ErrorCode, "ERROR_CODES")
        + "\n"
        + enumeration(NextStep, "NEXT_STEPS")
        + "\n/** What a client does after a close. */\n"
        + constant("CLOSE_CODES", closes)
        + "export type CloseCode = keyof typeof CLOSE_CODES;\n"
        + "\n/** What a client does after a close with any code; an intermediary may send unknown codes. */\n"
        + "export function nextStep(code: number): NextStep {\n"
        + f"  return code in CLOSE_CODES ? CLOSE_CODES[code as CloseCode].next : {quoted(errors.next_step(None))};\n"
        + "}\n"
    )


def bounds() -> str:
    """Return the constants of :mod:`protocol.limits`. Times are in seconds."""
    names = [name for name in vars(limits) if name.isupper()]
    rows = {
        wire_name(name.lower()): quoted(value) if isinstance(value, str) else str(value)
        for name, value in ((name, getattr(limits, name)) for name in names)
    }
    return "/** Sizes in bytes of UTF-8, lengths in characters or items, times in seconds. */\n" + constant(
        "LIMITS", rows
    )


def typescript() -> str:
    """Return the whole module."""
    requests_table = {
        name: f"{{ data: {cls.__name__}; ok: {OK_DATA[cls].__name__} }}" for name, cls in REQUESTS.items()
    }
    parts = [
        HEADER,
        literals(),
        codes(),
        *map(structure, structures()),
        table("RequestMap", requests_table),
        table("EventMap", {name: cls.__name__ for name, cls in EVENTS.items()}),
        ENVELOPES,
        bounds(),
    ]
    return "\n".join(parts)
