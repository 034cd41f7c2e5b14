"""A stream that first yields again the bytes that the front door has read from it."""

import os
import socket
import struct
from contextlib import suppress
from typing import Final

import trio

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class PrefixedStream(trio.abc.HalfCloseableStream):
    """Yields ``head`` first, then the bytes of ``stream``.

    Closing it closes ``stream``, too.
    """

    def __init__(self, stream: trio.abc.Stream, head: bytes) -> None:
        self.transport_stream = stream
        self._head = head

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._head:
            return bytes(await self.transport_stream.receive_some(max_bytes))
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint()
        taken = self._head[:max_bytes]
        self._head = self._head[len(taken) :]
        return taken

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.transport_stream.send_all(data)

    def send_nowait(self, data: bytes) -> int:
        """Send as many bytes as the socket accepts at once, and return their number. For a stream that is no socket,
        send none.

        Trio's own stream yields to the scheduler twice for each send, which costs more than the system call. Raises
        ``trio.BrokenResourceError`` if the connection is broken.
        """
        if not isinstance(self.transport_stream, trio.SocketStream):
            return 0
        try:
            return os.write(self.transport_stream.socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError from error

    def reset_on_close(self) -> None:
        """Let closing drop unsent bytes and reset the TCP connection. For a stream that is no socket, do nothing.

        Otherwise the kernel would send these bytes again for minutes, to a client that has gone elsewhere.
        """
        stream = _below_tls(self.transport_stream)
        if isinstance(stream, PrefixedStream):
            stream.reset_on_close()
        elif isinstance(stream, trio.SocketStream):
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Close one direction. Under TLS this closes the direction of the TCP connection.

        Raises ``AttributeError`` if ``stream`` cannot do that.
        """
        stream = _below_tls(self.transport_stream)
        await stream.send_eof()  # type: ignore[attr-defined]  # the caller knows the stream

    async def aclose(self) -> None:
        self._head = b""
        await self.transport_stream.aclose()


def _below_tls(stream: trio.abc.Stream) -> trio.abc.Stream:
    """The stream that carries the records of a TLS stream. Another stream as it is."""
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
