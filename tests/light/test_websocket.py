"""The pooled WebSocket reads all frames that a server may send."""

import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tools.light.frames import PING, PONG, TEXT, frame, take_frames
from tools.light.websocket import PooledWebSocket


def server_frame(opcode: int, payload: bytes, *, is_last: bool = True) -> bytes:
    size = len(payload)
    length = (
        bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    )
    return bytes([is_last << 7 | opcode]) + length + payload


class Listener(PooledWebSocket):
    """A WebSocket after its upgrade, which keeps its messages."""

    path = "/"
    subprotocol = "test"

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.heard: list[bytes] = []
        self._upgraded.set()

    def receive_text(self, payload: bytes, at: float) -> None:
        self.heard.append(payload)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_of_every_size_are_read_whole(size: int) -> None:
    buffer = bytearray(server_frame(TEXT, bytes(size)) + server_frame(PING, b"x")[:2])
    assert list(take_frames(buffer)) == [(TEXT, True, bytes(size))]
    buffer += b"x"
    assert list(take_frames(buffer)) == [(PING, True, b"x")]
    assert not buffer


def test_fragments_are_one_message_even_with_pings_between_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        client = Listener(ours)
        theirs.sendall(server_frame(TEXT, b"one ", is_last=False) + server_frame(PING, b"p"))
        client.read()
        assert client.heard == []
        theirs.sendall(
            server_frame(0, b"two ", is_last=False) + server_frame(0, b"three") + server_frame(TEXT, b"four")
        )
        client.read()
        assert client.heard == [b"one two three", b"four"]
        assert theirs.recv(100)[0] == 0x8A  # the pong


async def test_a_pong_waits_for_the_end_of_a_message_that_is_being_sent(nursery: trio.Nursery) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        client = Listener(ours)
        text = "x" * 2_000_000
        nursery.start_soon(client.send_text, text)
        await wait_all_tasks_blocked()
        theirs.sendall(server_frame(PING, b"still there?"))
        client.read()
        assert client.close_code is None
        message, pong = frame(TEXT, text.encode()), frame(PONG, b"still there?")
        received = b""
        with trio.fail_after(10):
            while len(received) < len(message) + len(pong):
                received += await trio.to_thread.run_sync(theirs.recv, 1 << 20)
        assert received == message + pong


def test_a_broken_connection_ends_the_client_once() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        client = Listener(ours)
        theirs.close()
        client.read()
        client.end(1000)
        assert client.close_code == 1006
