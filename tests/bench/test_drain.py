"""The drain counts packets and measures their latency."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from tools.bench.beside.drain import Drain, DrainEnded, DrainProcess, open_drain
from tools.light.stamp import PADDING_FLAG, write_stamp

KEY = bytes(range(28))
RTCP = bytes([0x80, 200]) + bytes(40)
STUN = bytes([0, 1]) + bytes(18)


@pytest.fixture
def drain() -> Iterator[DrainProcess]:
    with open_drain() as opened:
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


def stamped(number: int) -> bytes:
    header = struct.pack("!BBHII", 0x80 | PADDING_FLAG, 111, number, number * 960, 5)
    return header + bytes(76) + write_stamp(5, number, time.monotonic_ns())


def sealed(count: int) -> list[bytes]:
    policy = Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    session = Session(policy)
    return [session.protect(stamped(number)) for number in range(count)]


def wait_for(drain: DrainProcess, count: int) -> None:
    deadline = time.monotonic() + 5
    while drain.ask(Drain.report).packets < count:
        assert time.monotonic() < deadline, drain.ask(Drain.report).packets
        time.sleep(0.01)


def test_it_counts_rtp_alone_and_measures_the_latency_of_decrypted_packets(
    drain: DrainProcess, sockets: list[socket.socket]
) -> None:
    plain, opening = sockets
    drain.ask(Drain.add, plain)
    drain.ask(Drain.add, opening, KEY)
    assert drain.ask(Drain.report).first_media == [None, None]
    drain.ask(Drain.begin)
    before = time.monotonic()
    for datagram in (*sealed(5), RTCP, STUN):
        plain.sendto(datagram, plain.getsockname())
        opening.sendto(datagram, opening.getsockname())
    wait_for(drain, 10)
    report = drain.ask(Drain.report)
    assert (report.packets, report.unopened, report.dropped) == (10, 0, 0)
    assert report.latency_p50 is not None
    assert report.latency_p99 is not None
    assert 0 < report.latency_p50 <= report.latency_p99 < 1
    assert all(first and before - 0.1 < first < time.monotonic() + 0.1 for first in report.first_media)


def test_packets_that_do_not_decrypt_are_reported(drain: DrainProcess, sockets: list[socket.socket]) -> None:
    sock = sockets[0]
    drain.ask(Drain.add, sock, bytes(28))
    drain.ask(Drain.begin)
    sock.sendto(sealed(1)[0], sock.getsockname())
    wait_for(drain, 1)
    report = drain.ask(Drain.report)
    assert (report.unopened, report.latency_p50) == (1, None)


def test_counting_begins_again_at_zero(drain: DrainProcess, sockets: list[socket.socket]) -> None:
    sock = sockets[0]
    drain.ask(Drain.add, sock)
    sock.sendto(sealed(1)[0], sock.getsockname())
    wait_for(drain, 1)
    drain.ask(Drain.begin)
    assert drain.ask(Drain.report).packets == 0
    drain.ask(Drain.clear)
    assert drain.ask(Drain.report).packets == 0


def test_unread_packets_are_forgotten_with_their_socket(drain: DrainProcess, sockets: list[socket.socket]) -> None:
    for sock in sockets:
        drain.ask(Drain.add, sock)
    for datagram in sealed(200):
        for sock in sockets:
            sock.sendto(datagram, sock.getsockname())
    drain.ask(Drain.clear)
    assert drain.ask(Drain.report).packets == 0


def test_a_drain_that_ended_raises_drain_ended(drain: DrainProcess) -> None:
    drain._control.shutdown(socket.SHUT_WR)
    with pytest.raises(DrainEnded):
        drain.ask(Drain.report)
