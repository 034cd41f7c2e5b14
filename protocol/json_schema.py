"""A JSON Schema (draft 2020-12) of the whole protocol, generated from the message classes.

It cannot express three rules. Limits on the encoded size of a value and on invisible characters are only descriptions.
The schema does not trim user names, nor bring them into NFC. And it does not check that an answer belongs to its
request.
"""

import enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from protocol import limits, media, vocabulary
from protocol.constraints import Json, split_annotated, wire_name, without_none
from protocol.declarations import EVENTS, OK_DATA, REQUESTS
from protocol.responses import ErrorData

PLAIN: dict[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
SEQUENCE: Json = {"type": "integer", "minimum": 1, "maximum": limits.MAX_REQUEST_ID}
REQUEST_ID: Json = {"type": "integer", "minimum": 0, "maximum": limits.MAX_REQUEST_ID}


def value_schema(hint: Any, definitions: dict[str, Json]) -> Json:
    """Return the schema of a field's value. Adds the classes that it uses to ``definitions``."""
    bare, rules = split_annotated(hint)
    schema = _bare_schema(bare, definitions)
    for rule in rules:
        schema = {**schema, **rule.json_schema()}
    return schema


def _bare_schema(bare: Any, definitions: dict[str, Json]) -> Json:
    if bare in PLAIN:
        return dict(PLAIN[bare])
    origin, arguments = get_origin(bare), get_args(bare)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [value_schema(member, definitions) for member in arguments]}
    if origin is tuple:
        return {"type": "array", "items": value_schema(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": value_schema(arguments[1], definitions)}
    if issubclass(bare, enum.StrEnum):
        return {"enum": [member.value for member in bare]}
    return class_reference(bare, definitions)


def class_reference(cls: type[attrs.AttrsInstance], definitions: dict[str, Json]) -> Json:
    """Return a reference to a class's schema, and add the schema to ``definitions`` if it is missing."""
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = {}  # reserves the place among the other definitions
        definitions[cls.__name__] = _class_schema(cls, definitions)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _class_schema(cls: type[attrs.AttrsInstance], definitions: dict[str, Json]) -> Json:
    hints = get_type_hints(cls, include_extras=True)
    properties = {}
    for attribute in attrs.fields(cls):
        hint = hints[attribute.name]
        schema = value_schema(without_none(hint) if attribute.default is None else hint, definitions)
        if cls in media.MEDIA_CLASSES and attribute.default is not attrs.NOTHING:
            schema = {"anyOf": [schema, {"type": "null"}]}
        properties[wire_name(attribute.name)] = schema
    schema = {"type": "object", "properties": properties}
    required = [wire_name(field.name) for field in attrs.fields(cls) if field.default is attrs.NOTHING]
    if required:
        schema["required"] = required
    if issubclass(cls, vocabulary.OneOf):
        schema["oneOf"] = [{"required": [wire_name(name)]} for name in cls.alternatives]
    return schema


def _envelope(name: str, cls: type[attrs.AttrsInstance], definitions: dict[str, Json], request_id: Json | None) -> Json:
    data = class_reference(cls, definitions)
    properties = {"type": {"const": name}, "data": data}
    required = ["type"]
    if request_id is None:
        properties = {"seq": SEQUENCE, **properties}
    else:
        properties = {"id": request_id, **properties}
        required = ["id", *required]
    schema = definitions[cls.__name__]
    if "required" in schema or "oneOf" in schema:
        required.append("data")
    return {"type": "object", "properties": properties, "required": required}


def json_schema() -> Json:
    """Return the whole schema. Its definitions ``Request``, ``Response`` and ``Event`` are usable on their own."""
    classes: dict[str, Json] = {}
    requests = [_envelope(name, cls, classes, REQUEST_ID) for name, cls in REQUESTS.items()]
    oks = [_envelope("ok", cls, classes, REQUEST_ID) for cls in dict.fromkeys(OK_DATA.values())]
    error = _envelope("error", ErrorData, classes, {"anyOf": [REQUEST_ID, {"type": "null"}]})
    events = [_envelope(name, cls, classes, None) for name, cls in EVENTS.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": limits.SUBPROTOCOL,
        "description": "One frame of the signalling protocol, in either direction; see docs/protocol.md.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("Request", "Response", "Event")],
        "$defs": {
            "Request": {"anyOf": requests},
            "Response": {"anyOf": [*oks, error]},
            "Event": {"anyOf": events},
            **classes,
        },
    }
