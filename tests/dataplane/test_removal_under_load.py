"""No packet leaves for a removed object, however many packets come at that moment."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio
from pylibsrtp import Policy

from sfu.dataplane.interface import ConsumerId, ProducerId, TransportId
from sfu.dataplane.udp import UdpDataPlane
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.dataplane.core_with_clients import AUDIO, VIDEO, ConsumerSpec, connect_socket, srtp_session
from tests.dataplane.vp8 import vp8
from tools.light.wire.rtp import encode

HOST = "127.0.0.1"
KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=bytes(28), send=bytes([1]) * 28)
SPEAKER = TransportId(0)
ROUNDS = 60


def packets() -> Iterator[bytes]:
    """Sealed audio and video in turns.  A video frame has five packets, so that batches wait for their last one."""
    session = srtp_session(KEYS.profile, KEYS.receive, Policy.SSRC_ANY_OUTBOUND)
    for number in range(1 << 30):
        sequence_number, timestamp = number & 0xFFFF, number * 960 & 0xFFFFFFFF
        yield session.protect(
            encode(
                payload_type=96,
                sequence_number=sequence_number,
                timestamp=timestamp // 5,
                ssrc=2222,
                payload=vp8(key=True, body=bytes(200)),
                marker=number % 5 == 4,
            )
        )
        if number % 8 == 0:
            yield session.protect(
                encode(
                    payload_type=111,
                    sequence_number=number // 8 & 0xFFFF,
                    timestamp=timestamp,
                    ssrc=1111,
                    payload=b"voice",
                )
            )


@contextmanager
def hammered() -> Iterator[UdpDataPlane]:
    """A plane that gets a speaker's packets from a thread, as fast as it can make them."""
    over = threading.Event()

    def hammer() -> None:
        for packet in packets():
            if over.is_set():
                return
            source.sendto(packet, plane.addresses[0])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.bind((HOST, 0))
        plane = UdpDataPlane([HOST], 0)
        thread = threading.Thread(target=hammer)
        try:
            connect_socket(plane, SPEAKER, KEYS, source)
            thread.start()
            yield plane
        finally:
            over.set()
            thread.join()
            plane.close()


def produce(plane: UdpDataPlane, number: int) -> list[ProducerId]:
    producers = [ProducerId(2 * number), ProducerId(2 * number + 1)]
    for producer, spec in zip(producers, (AUDIO, VIDEO), strict=True):
        plane.add_producer(SPEAKER, producer, spec)
    return producers


def remove_consumers(plane: UdpDataPlane, number: int) -> None:
    plane.remove_consumer(ConsumerId(2 * number))
    plane.remove_consumer(ConsumerId(2 * number + 1))


def remove_producers(plane: UdpDataPlane, number: int) -> None:
    plane.remove_producer(ProducerId(2 * number))
    plane.remove_producer(ProducerId(2 * number + 1))


def remove_transport(plane: UdpDataPlane, number: int) -> None:
    plane.remove_transport(TransportId(number))


@pytest.mark.parametrize("remove", [remove_consumers, remove_producers, remove_transport])
async def test_no_packet_arrives_after_its_consumer_producer_or_transport_was_removed(
    remove: Callable[[UdpDataPlane, int], None],
) -> None:
    seen = 0
    # All sockets stay open, so that each has a port of its own.  A transport whose client is on the address of another
    # living transport gets nothing.
    with hammered() as plane, ExitStack() as sockets:
        for number in range(1, ROUNDS + 1):
            receiver = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            receiver.bind((HOST, 0))
            receiver.setblocking(False)
            producers = produce(plane, number)
            connect_socket(plane, TransportId(number), KEYS, receiver)
            for offset, producer in enumerate(producers):
                consumer = ConsumerId(2 * number + offset)
                ConsumerSpec(ssrc=7000 + offset).add_to(plane, TransportId(number), consumer, producer)
            with trio.fail_after(5):
                await trio.lowlevel.wait_readable(receiver)
            remove(plane, number)
            # On loopback a datagram has arrived once it is sent.
            seen += drain(receiver)
            await trio.sleep(0.003)
            assert drain(receiver) == 0
            remove_producers(plane, number)
    assert seen >= ROUNDS


def drain(receiver: socket.socket) -> int:
    """Read all datagrams that have arrived, and count them."""
    count = 0
    while True:
        try:
            receiver.recv(2048)
        except BlockingIOError:
            return count
        count += 1
