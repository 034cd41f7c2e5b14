"""The generated files are up to date, and match the classes."""

import json
import re
from typing import Any

import pytest

from protocol import EVENTS, OK_DATA, REQUESTS, CloseCode, ErrorCode
from protocol.json_schema import json_schema
from protocol.schema import generated
from protocol.typescript import typescript


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_generated_files_are_not_stale(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == generated()[path], "run: python -m protocol.schema"


def test_the_schema_has_every_message() -> None:
    definitions = json_schema()["$defs"]
    requests = {shape["properties"]["type"]["const"] for shape in definitions["Request"]["anyOf"]}
    events = {shape["properties"]["type"]["const"] for shape in definitions["Event"]["anyOf"]}
    assert requests == REQUESTS.keys()
    assert events == EVENTS.keys()
    assert {cls.__name__ for cls in [*REQUESTS.values(), *OK_DATA.values(), *EVENTS.values()]} <= definitions.keys()


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    schema = json_schema()
    references = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert references == schema["$defs"].keys()


def test_the_schema_carries_the_bounds_of_fields() -> None:
    definitions = json_schema()["$defs"]
    codec = definitions["RtpCodecParameters"]["properties"]
    assert codec["payloadType"] == {"type": "integer", "minimum": 0, "maximum": 127}
    assert codec["channels"] == {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 255}, {"type": "null"}]}
    assert definitions["Join"]["required"] == ["channelId", "username"]
    assert definitions["Join"]["properties"]["channelId"]["pattern"] == "^(?:[A-Za-z0-9_.:-]{1,128})$"
    assert definitions["Close"]["oneOf"] == [
        {"required": [name]} for name in ("producerId", "consumerId", "transportId")
    ]
    assert definitions["ConsumerUpdated"]["properties"]["layers"]["anyOf"][1] == {"type": "null"}


def test_the_types_for_the_browser_have_every_message_and_code() -> None:
    text = typescript()
    for name, cls in REQUESTS.items():
        assert f"  {name}: {{ data: {cls.__name__}; ok: {OK_DATA[cls].__name__} }};\n" in text
    for name, event in EVENTS.items():
        assert f"  {name}: {event.__name__};\n" in text
    for error in ErrorCode:
        assert f"  '{error}',\n" in text
    for close in CloseCode:
        assert f"  {int(close)}: {{ name: '{close.name.lower()}', next: '{close.next_step}'" in text
