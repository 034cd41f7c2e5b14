"""The client's end of a WebSocket on a plain socket: it sends any bytes, and reads frames without interpreting them."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import define, field, frozen

from protocol.limits import PATH, SUBPROTOCOL
from tools.light.frames import CLOSE, PONG, TEXT, take_frames, upgrade_request

MASK: Final = b"\x37\xfa\x21\x3d"  # the one of the examples in RFC 6455 section 5.7
SECONDS: Final = 20


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Make a frame of any form (RFC 6455 section 5.2). ``rsv`` has three bits."""
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 1 << 16:
        length = bytes([bit | 126]) + size.to_bytes(2)
    else:
        length = bytes([bit | 127]) + size.to_bytes(8)
    head = bytes([fin << 7 | rsv << 4 | opcode]) + length
    if not masked:
        return head + payload
    key = (MASK * (size // 4 + 1))[:size]
    return head + MASK + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def request(number: int, kind: str = "ping", size: int = 0) -> bytes:
    """Make a request with so many bytes, or as few as possible."""
    text = json.dumps({"id": number, "type": kind, "more": ""}, ensure_ascii=False).encode()
    return text[:-2] + b"*" * (size - len(text)) + text[-2:]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut into pieces of at most this size."""
    return (data[start : start + size] for start in range(0, len(data), size))


@frozen
class End:
    """How the gateway ended a WebSocket. ``code`` is None for a close frame without one, and 1006 without a frame."""

    code: int | None
    texts: tuple[Any, ...]
    pongs: tuple[bytes, ...]


@define
class Peer:
    """An open WebSocket, and what has come over it."""

    sock: socket.socket
    texts: list[Any] = field(factory=list)
    pongs: list[bytes] = field(factory=list)
    code: int | None = 1006
    closed: bool = False
    over: bool = False
    _buffer: bytearray = field(factory=bytearray)

    def send(self, *data: bytes, chop: int = 0) -> None:
        """Send bytes. With ``chop``, send so many at a time."""
        whole = b"".join(data)
        for piece in pieces(whole, chop or len(whole) or 1):
            self.sock.sendall(piece)

    def read(self) -> None:
        """Take what comes next. Frames behind a close frame would break RFC 6455 section 5.5.1."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.over = not data
        self._buffer += data
        for opcode, is_last, payload in take_frames(self._buffer):
            assert not self.closed
            assert is_last
            if opcode == TEXT:
                self.texts.append(json.loads(payload))
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.closed, self.code = True, int.from_bytes(payload[:2]) if payload else None

    def answer(self, number: int) -> Any:
        """Return the response to a request."""
        while not (found := [text for text in self.texts if text.get("id") == number]):
            assert not self.over, self
            self.read()
        return found[0]

    def pong(self, count: int = 1) -> list[bytes]:
        """Return the payloads of the next pongs."""
        while len(self.pongs) < count:
            assert not self.over, self
            self.read()
        return self.pongs

    def end(self) -> End:
        """Wait until the gateway closes the connection."""
        while not self.over:
            self.read()
        return End(self.code, tuple(self.texts), tuple(self.pongs))


@contextmanager
def open_peer(port: int, *, joined: bool = True) -> Iterator[Peer]:
    """Connect to a gateway on this machine, and join a channel."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(upgrade_request(f"127.0.0.1:{port}", PATH, SUBPROTOCOL))
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        assert b" 101 " in head.split(b"\r\n")[0]
        peer = Peer(sock)
        if joined:
            join = {"id": 0, "type": "join", "data": {"channelId": "lobby", "username": "ada"}}
            peer.send(frame(TEXT, json.dumps(join).encode()))
            assert peer.answer(0)["type"] == "ok"
            peer.texts.clear()
        yield peer
