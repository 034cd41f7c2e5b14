"""Words for a client's errors that the gateway causes, or the network between them."""

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
    """An error ended a client.  The text describes it."""


@asynccontextmanager
async def one_failure() -> AsyncIterator[None]:
    """Turn each of :data:`FAILURES`, also inside exception groups, into one :exc:`ClientFailed`."""
    try:
        yield
    except FAILURES as error:
        raise ClientFailed(describe(error)) from error
    except BaseExceptionGroup as group:
        ours, rest = group.split(FAILURES)
        if ours is None or (rest is not None and rest.split(trio.Cancelled)[1] is not None):
            raise
        raise ClientFailed(describe(first_error(ours))) from group


def first_error(error: BaseException) -> BaseException:
    """Return the first exception of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe(error: BaseException) -> str:
    """Return one line for a person."""
    match error:
        case ConnectionClosed(code=CloseCode.ABNORMAL):
            return error.reason or "the connection broke"
        case ConnectionClosed():
            what = f"the connection was closed with {error.code}"
            return f"{what}: {error.reason}" if error.reason else what
        case RequestError():
            return f"the gateway refused: {error}"
        case EventsLost():
            return "the client read events too slowly and lost some"
        case trio.TooSlowError():
            return "the gateway did not answer in time"
    return str(error)
