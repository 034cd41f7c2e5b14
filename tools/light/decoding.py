"""Events that many clients of one process get, decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.codec import decode_from_gateway
from protocol.declarations import Event, RequestData
from protocol.responses import Error, Ok

#: Different events that are remembered: more than a channel's members are told between two looks of the slowest.
_KEPT: Final = 256


class SharedDecoder:
    """In the place of :func:`protocol.codec.decode_from_gateway`, for all clients of a process.

    A channel's members are all told the same, letter by letter, and messages cannot be changed: so each text is
    decoded, and checked as strictly, for the first who gets it.
    """

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}

    def __call__(self, raw: bytes | str, asked: Mapping[int, type[RequestData[Any]]]) -> Ok | Error | Event:
        if isinstance(raw, str) and (known := self._events.get(raw)) is not None:
            return known
        message = decode_from_gateway(raw, asked)
        if isinstance(raw, str) and not isinstance(message, Ok | Error):
            self._events[raw] = message
            if len(self._events) > _KEPT:
                del self._events[next(iter(self._events))]
        return message
