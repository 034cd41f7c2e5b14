"""The drain counts what arrives, and how long it took."""

import socket
import time
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from tools.bench.beside.draining import DrainEnded, Drainer, open_drainer
from tools.bench.source import Source, packet

KEY = bytes(range(28))
SOURCE = Source("audio", "audio", rate=50, burst=1, size=100)
RTCP = bytes([0x80, 200]) + bytes(40)
STUN = bytes([0, 1]) + bytes(18)


@pytest.fixture
def drainer() -> Iterator[Drainer]:
    with open_drainer() as opened:
        yield opened


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in made:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    yield made
    for sock in made:
        sock.close()


def sealed(count: int) -> list[bytes]:
    policy = Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    session = Session(policy)
    return [session.protect(packet(SOURCE, 5, number, number * 960, last=True)) for number in range(count)]


def wait_for(drainer: Drainer, count: int) -> None:
    deadline = time.monotonic() + 5
    while drainer.count() < count:
        assert time.monotonic() < deadline, drainer.count()
        time.sleep(0.01)


def test_only_rtp_is_counted_and_what_is_opened_has_its_latency(drainer: Drainer, sockets: list[socket.socket]) -> None:
    plain, opening = sockets
    drainer.add(plain)
    drainer.add(opening, KEY)
    assert drainer.first_media() == [None, None]
    drainer.begin()
    before = time.time()
    for datagram in (*sealed(5), RTCP, STUN):
        plain.sendto(datagram, plain.getsockname())
        opening.sendto(datagram, opening.getsockname())
    wait_for(drainer, 10)
    report = drainer.report()
    assert (report.packets, report.fewest, report.opened, report.unopened, report.dropped) == (10, 5, 5, 0, 0)
    assert report.latency_p50 is not None
    assert report.latency_p99 is not None
    assert 0 < report.latency_p50 <= report.latency_p99 < 1
    assert all(first is not None and before - 0.1 < first < time.time() + 0.1 for first in drainer.first_media())


def test_what_does_not_open_is_told(drainer: Drainer, sockets: list[socket.socket]) -> None:
    sock = sockets[0]
    drainer.add(sock, bytes(28))
    drainer.begin()
    sock.sendto(sealed(1)[0], sock.getsockname())
    wait_for(drainer, 1)
    report = drainer.report()
    assert (report.opened, report.unopened, report.latency_p50) == (0, 1, None)


def test_beginning_again_counts_from_zero(drainer: Drainer, sockets: list[socket.socket]) -> None:
    sock = sockets[0]
    drainer.add(sock)
    sock.sendto(sealed(1)[0], sock.getsockname())
    wait_for(drainer, 1)
    drainer.begin()
    assert drainer.count() == 0
    drainer.clear()
    assert drainer.report().packets == 0


def test_what_is_still_readable_is_forgotten_with_its_socket(drainer: Drainer, sockets: list[socket.socket]) -> None:
    for sock in sockets:
        drainer.add(sock)
    for datagram in sealed(200):
        for sock in sockets:
            sock.sendto(datagram, sock.getsockname())
    drainer.clear()
    assert drainer.count() == 0


def test_a_drain_that_is_gone_is_said_to_be(drainer: Drainer) -> None:
    drainer._control.shutdown(socket.SHUT_WR)
    with pytest.raises(DrainEnded):
        drainer.count()
