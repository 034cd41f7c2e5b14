"""What goes wrong with a client because of the gateway, or of the way to it, in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from protocol.client import ConnectError, ConnectionClosed, EventsLost, RequestError
from protocol.errors import CloseCode
from tools.light import BadAnswerError

FAILURES: Final = (
    ConnectError,
    RequestError,
    ConnectionClosed,
    EventsLost,
    BadAnswerError,
    trio.TooSlowError,
    OSError,
)


class ClientFailed(Exception):
    """A client was ended by something that it did not want; the text says what."""


@asynccontextmanager
async def plainly() -> AsyncIterator[None]:
    """What goes wrong with a client comes out as one :exc:`ClientFailed`, whatever nursery it came through."""
    try:
        yield
    except FAILURES as error:
        raise ClientFailed(_words(error)) from error
    except BaseExceptionGroup as group:
        ours, rest = group.split(FAILURES)
        if ours is None or (rest is not None and rest.split(trio.Cancelled)[1] is not None):
            raise
        raise ClientFailed(_words(_first(ours))) from group


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _words(error: BaseException) -> str:
    match error:
        case ConnectionClosed(code=CloseCode.ABNORMAL):
            return error.reason or "the connection broke"
        case ConnectionClosed():
            what = f"the connection was closed with {error.code}"
            return f"{what}: {error.reason}" if error.reason else what
        case RequestError():
            return f"the gateway refused: {error}"
        case EventsLost():
            return "events came faster than they were looked at"
        case trio.TooSlowError():
            return "the gateway did not answer in time"
    return str(error)
