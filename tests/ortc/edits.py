"""Functions that make changes of recorded objects.  Each works on any recorded object."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.ortc.recorded import Json

Change = Callable[[Json], None]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def put(*path: str | int, value: Any) -> Change:
    """Set one member."""

    def change(given: Json) -> None:
        _at(given, path[:-1])[path[-1]] = deepcopy(value)

    return change


def drop(*path: str | int) -> Change:
    """Leave one member out."""

    def change(given: Json) -> None:
        _at(given, path[:-1]).pop(path[-1], None)

    return change


def add(*path: str | int, value: Any) -> Change:
    """One more element at the end of an array."""

    def change(given: Json) -> None:
        _at(given, path).append(deepcopy(value))

    return change


def first(*path: str | int, value: Any) -> Change:
    """One more element at the beginning of an array."""

    def change(given: Json) -> None:
        _at(given, path).insert(0, deepcopy(value))

    return change


def both(*changes: Change) -> Change:
    def change(given: Json) -> None:
        for one in changes:
            one(given)

    return change


def twice(*path: str | int) -> Change:
    """The last element of an array again."""

    def change(given: Json) -> None:
        array = _at(given, path)
        array.append(dict(array[-1]))

    return change


def fractions(value: Any) -> None:
    """Write every whole number as a browser's JavaScript could have written it."""
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(part, dict | list):
            fractions(part)
        elif type(part) is int:
            value[key] = float(part)


def each(change: Change, wanted: str = "") -> Change:
    """Apply the change to every codec whose name contains ``wanted``."""

    def changes(given: Json) -> None:
        for one in given["codecs"]:
            if wanted in one["mimeType"]:
                change(one)

    return changes


def codec(name: str, payload_type: Any, clock_rate: Any = 90000, **more: Any) -> Json:
    return {"mimeType": name, "payloadType": payload_type, "clockRate": clock_rate, "parameters": {}, **more}


def beside(name: str, payload_type: Any, clock_rate: Any = 90000, **more: Any) -> Change:
    """One more codec at the end."""
    return add("codecs", value=codec(name, payload_type, clock_rate, **more))
