"""trio-websocket, as far as a connection needs it, with its rough edges taken off.

- Its reader raises out of its task when a frame comes at the wrong moment (a ping while we are closing); the nursery
  it runs in is the connection's own, so nobody else notices.
- Its limit of a message's size counts characters, so the size in bytes is checked again, by the reader.
- It closes by itself, without a word to us, when the peer breaks RFC 6455; then the end has no reason.
"""

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from gateway import endings
from gateway.endings import Ending
from protocol import limits
from protocol.errors import CloseCode

# What a broken or closing connection raises at who sends.
SEND_ERRORS = (ConnectionClosed, LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


class NotAcceptedError(Exception):
    """The upgrade was refused, or did not come to an end in time."""


async def accept(
    nursery: trio.Nursery, stream: trio.abc.Stream, *, max_size: int, max_seconds: float
) -> WebSocketConnection:
    """Answer the upgrade request in ``stream``; trio-websocket's own task runs in ``nursery``.

    Our subprotocol is spoken with clients that offer it or none; that the others are refused is up to the front door.
    ``max_size`` bounds a message in characters.  Raises :exc:`NotAcceptedError` where the client has not finished
    after ``max_seconds``.
    """
    with trio.move_on_after(max_seconds):
        try:
            request = await wrap_server_stream(nursery, stream, max_message_size=max_size)
            offered = limits.SUBPROTOCOL in request.proposed_subprotocols
            return await request.accept(subprotocol=limits.SUBPROTOCOL if offered else None)
        except SEND_ERRORS as error:
            raise NotAcceptedError("the connection broke during the upgrade") from error
    raise NotAcceptedError("the upgrade took too long")


def how_it_closed(closed: ConnectionClosed) -> Ending:
    """What the end of a WebSocket that the gateway has not closed means."""
    if closed.reason is None:
        return endings.BROKE_WEBSOCKET
    match closed.reason.code:
        case CloseCode.NORMAL:
            return endings.CLOSED
        case CloseCode.PROTOCOL_ERROR | CloseCode.INVALID_TEXT | CloseCode.TOO_BIG:
            return endings.BROKE_WEBSOCKET
        case _:
            return endings.DISCONNECTED
