"""What a batch sends to one receiver is handed to the kernel at once, and arrives as if it had not been."""

import errno
import socket
from collections.abc import Iterator

import pytest

from sfu.dataplane.interface import Drop, Path
from sfu.dataplane.outbox import Outbox, can_segment, runs

DATAGRAMS = [bytes([number]) * size for number, size in enumerate([700, 700, 700, 90, 90, 1100, 1100, 40, 1200])]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        for sock in (sender, receiver):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        yield sender, receiver


class Refusing:
    """A socket that sends single datagrams and refuses segments, or everything."""

    def __init__(self, sock: socket.socket, refusal: OSError, *, everything: bool = False) -> None:
        self._sock = sock
        self._refusal = refusal
        self._everything = everything

    def getsockopt(self, level: int, option: int) -> int:
        return self._sock.getsockopt(level, option)

    def sendto(self, datagram: bytes, address: tuple[str, int]) -> int:
        if self._everything:
            raise self._refusal
        return self._sock.sendto(datagram, address)

    def sendmsg(self, *arguments: object) -> int:
        raise self._refusal


def sent(outbox: Outbox, receiver: socket.socket, datagrams: list[bytes]) -> list[bytes]:
    path = Path(*receiver.getsockname())
    for datagram in datagrams:
        outbox.put(path, datagram)
    outbox.flush()
    arrived = []
    while True:
        try:
            arrived.append(receiver.recv(2048))
        except BlockingIOError:
            return arrived


def nothing_fails(drop: Drop, datagrams: list[bytes]) -> None:
    raise AssertionError(f"{drop}: {len(datagrams)}")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([5], [[5]]),
        ([5, 5, 5], [[5, 5, 5]]),
        ([5, 5, 3], [[5, 5, 3]]),
        ([5, 3, 3], [[5, 3], [3]]),
        ([3, 5], [[3], [5]]),
        ([1] * 65, [[1] * 64, [1]]),
        ([1500] * 45, [[1500] * 43, [1500] * 2]),
    ],
)
def test_runs_are_what_the_kernel_can_cut_again(sizes: list[int], expected: list[list[int]]) -> None:
    assert [[len(one) for one in run] for run in runs([bytes(size) for size in sizes])] == expected


def test_datagrams_arrive_whole_and_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = pair
    outbox = Outbox([sender], nothing_fails)
    assert sent(outbox, receiver, DATAGRAMS) == DATAGRAMS
    assert sent(outbox, receiver, DATAGRAMS[:1]) == DATAGRAMS[:1]
    assert sent(outbox, receiver, []) == []


def test_where_segments_are_refused_they_go_one_by_one(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = pair
    refusing = Refusing(sender, OSError(errno.EIO, "no segmentation on this way"))
    outbox = Outbox([refusing], nothing_fails)  # type: ignore[list-item]
    assert sent(outbox, receiver, DATAGRAMS) == DATAGRAMS


def test_a_full_socket_drops_what_does_not_fit_and_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = pair
    dropped: list[tuple[Drop, int]] = []
    refusing = Refusing(sender, BlockingIOError(), everything=True)
    outbox = Outbox([refusing], lambda drop, datagrams: dropped.append((drop, len(datagrams))))  # type: ignore[list-item]
    assert sent(outbox, receiver, [bytes(9), bytes(9), bytes(20)]) == []
    assert dropped == [(Drop.SEND_WOULD_BLOCK, 2), (Drop.SEND_WOULD_BLOCK, 1)]


def test_this_kernel_segments_and_a_tcp_socket_does_not(pair: tuple[socket.socket, socket.socket]) -> None:
    assert can_segment(pair[0])
    with socket.socket() as stream:
        assert not can_segment(stream)
