"""A flood of forged Binding requests, on real sockets: it costs no legitimate request, and never wakes Python."""

import socket
import struct
import zlib
from functools import partial

import trio

from sfu.dataplane.interface import DropReason, TransportId
from sfu.dataplane.udp import UdpDataPlane
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.dataplane.core_with_clients import binding_request, connect_socket
from tests.eventually import eventually

KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=bytes(28), send=bytes([1]) * 28)
VICTIM = TransportId(7)
ROUNDS = 150
"""Each has a legitimate request.  A client may send 200 at once."""
BURSTS = 4
IN_BURST = 200
"""Forged requests in each burst of a round.  So many fit into the receive buffer of a socket."""


def forged(request: bytes, number: int) -> bytes:
    """A request with another transaction id, so that its integrity is wrong.  Its fingerprint is right."""
    changed = request[:8] + number.to_bytes(12) + request[20:-8]
    return changed + b"\x80\x28\x00\x04" + struct.pack("!I", zlib.crc32(changed) ^ 0x5354554E)


def has_read(plane: UdpDataPlane, datagrams: int) -> bool:
    return plane.totals().packets_in == datagrams


async def test_120_000_forged_bindings_cost_no_legitimate_one_and_do_not_wake_python() -> None:
    """The flood waits for the plane after each burst, so the test counts and does not time."""
    plane = UdpDataPlane(["127.0.0.1"], 0)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        client.bind(("127.0.0.1", 0))
        client.settimeout(30)
        try:
            connect_socket(plane, VICTIM, KEYS, client)
            address, before = plane.addresses[0], plane.totals()
            genuine = binding_request(VICTIM)
            for round_number in range(ROUNDS):
                for burst in range(round_number * BURSTS, (round_number + 1) * BURSTS):
                    for number in range(burst * IN_BURST, (burst + 1) * IN_BURST):
                        stranger.sendto(forged(genuine, number), address)
                    read = before.packets_in + round_number + (burst + 1) * IN_BURST
                    await eventually(partial(has_read, plane, read))
                client.sendto(binding_request(VICTIM), address)
                assert client.recv(2000)[:2] == b"\x01\x01"
            totals = plane.totals()
            with trio.move_on_after(0.1) as waited:
                await plane.wait()
            assert waited.cancelled_caught, "something woke Python"
            assert not plane.poll(0.0)
        finally:
            plane.close()
    refused = ROUNDS * BURSTS * IN_BURST
    assert totals.packets_in - before.packets_in == refused + ROUNDS
    assert totals.packets_out - before.packets_out == ROUNDS
    assert totals.drops[DropReason.WRONG_PASSWORD] == refused
