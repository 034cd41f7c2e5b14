"""Decodes each event once for all clients of one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.codec import decode_from_gateway, split_sequence
from protocol.declarations import Event, RequestData
from protocol.responses import Error, Ok

#: Number of different events that a decoder remembers by default.  No client of a channel lags further behind.
_KEPT: Final = 256


class SharedDecoder:
    """Stands in for :func:`protocol.codec.decode_from_gateway` in all clients of a process.

    All members of a channel get the same bytes but for ``seq``, and messages are immutable.  So the decoder decodes the
    first client's copy, as strictly as ever, and gives the result to the others.  It remembers the last ``kept``
    different events.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._events: dict[str, Event] = {}

    def __call__(self, raw: bytes | str, asked: Mapping[int, type[RequestData[Any]]]) -> Ok | Error | Event:
        if not isinstance(raw, str):
            return decode_from_gateway(raw, asked)
        shared = split_sequence(raw)[1]
        if (known := self._events.get(shared)) is not None:
            return known
        message = decode_from_gateway(raw, asked)
        if not isinstance(message, Ok | Error):
            self._events[shared] = message
            if len(self._events) > self._kept:
                del self._events[next(iter(self._events))]
        return message
