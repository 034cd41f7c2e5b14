"""A TCP relay in front of a gateway.  It can break the connections through it as networks do."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import define, field

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@define(eq=False)
class Relay:
    """Passes bytes on between clients and the port of a gateway, each direction in a thread of its own."""

    port: int
    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _connections: list["_Connection"] = field(factory=list)
    _refuses: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def freeze(self) -> None:
        """Pass nothing on over the present connections any more, and leave them open: a network went away."""
        for connection in self._connections:
            connection.frozen.set()

    def reset(self) -> None:
        """Reset the present connections on both sides: a proxy crashed."""
        for connection in self._connections:
            connection.reset()

    def refuse(self) -> None:
        """Close each new connection at once: a proxy is not there."""
        self._refuses = True

    def accept(self) -> None:
        """Pass new connections on again."""
        self._refuses = False

    def serve(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self.listener.accept()
                if self._refuses:
                    client.close()
                    continue
                self._connections.append(_Connection(client, socket.create_connection(("127.0.0.1", self.port))))
                self._connections[-1].start()

    def close(self) -> None:
        # Only a shutdown wakes the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@define(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    frozen: threading.Event = field(factory=threading.Event)

    def start(self) -> None:
        for source, target in ((self.client, self.server), (self.server, self.client)):
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # reset
            while data := source.recv(65536):
                if self.frozen.is_set():
                    return
                target.sendall(data)
            if not self.frozen.is_set():
                target.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):  # the other side has closed it already
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads
            end.close()


@contextmanager
def open_relay(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(5)
        relay.reset()
