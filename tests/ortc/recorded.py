"""Recorded parameters of real clients that had loaded this router's capabilities (``data/``)."""

import json
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_union_passthrough

from sfu.parameters import RtpCapabilities, RtpParameters

Json = dict[str, Any]
_Class = TypeVar("_Class")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    configure_union_passthrough(str | int | float, converter)

    def names(cls: type) -> Any:
        return {name: override(rename=_camel(name), omit_if_default=True) for name in attrs.fields_dict(cls)}

    converter.register_structure_hook_factory(
        attrs.has, lambda cls: make_dict_structure_fn(cls, converter, **names(cls))
    )
    converter.register_unstructure_hook_factory(
        attrs.has, lambda cls: make_dict_unstructure_fn(cls, converter, **names(cls))
    )
    return converter


_CONVERTER = _converter()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def from_wire(value: Json, cls: type[_Class]) -> _Class:
    return _CONVERTER.structure(_without_nulls(value), cls)


def to_wire(value: Any) -> Json:
    wire: Json = _CONVERTER.unstructure(value)
    return wire


class Client:
    """One recorded client: its capabilities, and the parameters of its streams by name."""

    def __init__(self, name: str) -> None:
        recording = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())
        self.capabilities = from_wire(recording["rtpCapabilities"], RtpCapabilities)
        self.produced = {key: from_wire(value, RtpParameters) for key, value in recording["produce"].items()}


CHROMIUM = Client("chromium")
FIREFOX = Client("firefox")
PYMEDIASOUP = Client("pymediasoup")
#: Chromium as it met a router that offered no NACK and no RTX: such a page may still be in a browser's cache.
CACHED = Client("chromium_without_rtx")
#: Those that have H264 as well.
CLIENTS = {"Chromium": CHROMIUM, "pymediasoup": PYMEDIASOUP, "cached Chromium": CACHED}
