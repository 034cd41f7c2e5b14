"""A light client counts any datagram of a gateway and goes on."""

import random
import socket
from datetime import UTC, datetime

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import sfu.parameters
from sfu.wire.certificate import generate_certificate
from tools.light import Identity, LightEndpoint, LightTransport, PacketMeter
from tools.light.sockets import open_socket

_IDENTITY = Identity.of(generate_certificate(datetime.now(UTC)))
_ICE = sfu.parameters.IceParameters("ufrag", "a password of some length", ice_lite=True)


def transport() -> LightTransport:
    fingerprint = _IDENTITY.certificate.fingerprint
    dtls = sfu.parameters.DtlsParameters((fingerprint,), "auto")
    return LightTransport(_IDENTITY, _ICE, dtls, rng=random.Random(1))


@given(st.binary(max_size=200), st.integers(0, 255))
def test_no_datagram_raises(datagram: bytes, first: int) -> None:
    light = transport()
    light.start(0)
    light.receive(bytes([first]) + datagram, 0)
    light.receive(bytes([first % 4, 1]) + len(datagram).to_bytes(2) + b"\x21\x12\xa4\x42" + datagram, 0)
    assert not light.connected
    assert light.rtp == []


@pytest.fixture
def gateway() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


async def test_garbage_that_looks_like_media_is_counted(gateway: socket.socket) -> None:
    await trio.lowlevel.checkpoint()
    with gateway, open_socket(gateway.getsockname()) as sock:
        packet_meter = PacketMeter()
        endpoint = LightEndpoint(transport(), sock, packet_meter=packet_meter)
        for datagram in (
            b"",
            b"\x80",
            b"\x80\x64",
            bytes([0x80, 100]) + bytes(30),
            b"\x80\xc8" + bytes(40),
            b"\xff" * 9,
        ):
            gateway.sendto(datagram, sock.getsockname())
        endpoint.read()
        assert endpoint.traffic.received == 6
        assert endpoint.traffic.received_rtp == 2
        assert packet_meter.strays == 1  # too short for a header
        [meter] = packet_meter.streams.values()
        assert (meter.counts.packets, meter.counts.unopened) == (1, 1)


async def test_errors_of_a_closed_port_are_counted_and_not_raised(gateway: socket.socket) -> None:
    await trio.lowlevel.checkpoint()
    address = gateway.getsockname()
    gateway.close()
    with open_socket(address) as sock:
        endpoint = LightEndpoint(transport(), sock)
        endpoint.start()
        endpoint.start()
        endpoint.read()
        assert endpoint.traffic.errors > 0


async def test_one_read_takes_a_bounded_number_of_datagrams(gateway: socket.socket) -> None:
    await trio.lowlevel.checkpoint()
    with gateway, open_socket(gateway.getsockname()) as sock:
        endpoint = LightEndpoint(transport(), sock, packet_meter=PacketMeter())
        for _ in range(200):
            gateway.sendto(bytes(20), sock.getsockname())
        endpoint.read()
        assert endpoint.traffic.received == 64
