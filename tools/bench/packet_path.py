"""What one forwarded packet costs: ``python -m tools.bench.packet_path``.

One source, twenty consumers, one batch after the other.  CPU time of this process, kernel included, per packet that
leaves.  What each step costs is the difference between runs with and without it.
"""

import random
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from attrs import frozen
from pylibsrtp import Policy, Session

from sfu._dataplane import Plane
from sfu.dataplane.core import DataPlaneCore
from sfu.dataplane.interface import (
    ConsumerId,
    ConsumerSpec,
    EncodingSpec,
    Path,
    ProducerId,
    ProducerSpec,
    TransportId,
)
from sfu.dataplane.udp import UdpDataPlane
from sfu.wire.rtp import encode
from sfu.wire.srtp import SrtpKeys, SrtpProfile

CONSUMERS = 20
BATCH = 32
SSRC = 1
KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=bytes(28), send=bytes([1]) * 28)
EXTENSIONS = {1: 10, 2: 4, 4: 1}
HOST = "127.0.0.1"


@frozen
class Load:
    name: str
    codec: str
    payload: bytes
    clock_rate: int


LOADS = (
    # A key frame now and then, picture ids, one temporal layer, as a browser sends it.
    Load("video, 1100 bytes", "video/vp8", b"\x90\xe0\x85\x00\x01\x20\x00" + bytes(1093), 90000),
    Load("audio, 100 bytes", "audio/opus", bytes(100), 48000),
)


def sealed_packets(load: Load, count: int) -> list[bytes]:
    session = Session(
        Policy(
            key=KEYS.receive,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        )
    )
    elements = ((1, b"\x10"), (2, b"abc"), (4, b"0"))
    return [
        session.protect(
            encode(
                payload_type=96,
                sequence_number=number & 0xFFFF,
                timestamp=number * 960 & 0xFFFFFFFF,
                ssrc=SSRC,
                payload=load.payload,
                extensions=elements,
            )
        )
        for number in range(count)
    ]


def connect(plane: Plane, load: Load, source: Path, sinks: Iterable[Path]) -> None:
    """The source's transport is 0; consumer and transport of the n-th sink are n."""
    plane.add_transport(TransportId(0))
    plane.set_keys(TransportId(0), KEYS)
    plane.add_path(TransportId(0), source)
    spec = ProducerSpec(
        kind="video" if load.codec.startswith("video") else "audio",
        codec=load.codec,
        clock_rate=load.clock_rate,
        payload_types={96: 100},
        encodings=[EncodingSpec(ssrc=SSRC)],
        extension_ids=EXTENSIONS,
        mid="0",
        mid_id=4,
        audio_level_id=1,
    )
    plane.add_producer(TransportId(0), ProducerId(0), spec)
    for number, sink in enumerate(sinks, 1):
        plane.add_transport(TransportId(number))
        plane.set_keys(TransportId(number), KEYS)
        plane.add_path(TransportId(number), sink)
        consumer = ConsumerSpec(
            ssrc=1000 + number,
            payload_types=frozenset({100}),
            extension_ids=frozenset({4, 10}),
            mid=str(number),
            mid_id=1,
            paused=False,
        )
        plane.add_consumer(TransportId(number), ConsumerId(number), ProducerId(0), consumer)


def sockets(count: int, stack: ExitStack) -> list[socket.socket]:
    made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
    for each in made:
        each.bind((HOST, 0))
        each.setblocking(False)
    return made


def cost_on_sockets(load: Load, packets: list[bytes]) -> float:
    """CPU seconds of reading, forwarding and sending; the sinks are emptied between the batches, off the clock."""
    with ExitStack() as stack:
        plane = UdpDataPlane([HOST], 0, random.Random(0))
        stack.callback(plane.close)
        source, *sinks = sockets(CONSUMERS + 1, stack)
        connect(plane, load, Path(*source.getsockname()), [Path(*sink.getsockname()) for sink in sinks])
        spent = 0.0
        for start in range(0, len(packets), BATCH):
            batch = packets[start : start + BATCH]
            for packet in batch:
                source.sendto(packet, plane.addresses[0])
            began = time.process_time()
            plane.poll(start * 0.001)
            spent += time.process_time() - began
            for sink in sinks:
                for _ in batch:
                    sink.recv(2048)
        assert plane.totals().packets_out == CONSUMERS * len(packets)
        return spent


def cost_in_memory(load: Load, packets: list[bytes]) -> float:
    """The same without sockets."""
    plane = DataPlaneCore(lambda path, datagram: None, random.Random(0))
    source = Path(HOST, 1)
    connect(plane, load, source, [Path(HOST, 2 + number) for number in range(CONSUMERS)])
    began = time.process_time()
    for number, packet in enumerate(packets):
        plane.receive(packet, source, number * 0.001)
    spent = time.process_time() - began
    assert plane.totals().packets_out == CONSUMERS * len(packets)
    return spent


def cost_of_opening(packets: list[bytes]) -> float:
    policy = Policy(
        key=KEYS.receive, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    )
    session = Session(policy)
    began = time.process_time()
    for packet in packets:
        session.unprotect(packet)
    return time.process_time() - began


def cost_of_reading(packets: list[bytes]) -> float:
    with ExitStack() as stack:
        source, sink = sockets(2, stack)
        spent = 0.0
        for start in range(0, len(packets), BATCH):
            batch = packets[start : start + BATCH]
            for packet in batch:
                source.sendto(packet, sink.getsockname())
            began = time.process_time()
            for _ in batch:
                sink.recvfrom(2048)
            spent += time.process_time() - began
        return spent


def best(measure: Callable[[], float]) -> float:
    """The least disturbed of three."""
    return min(measure() for _ in range(3))


def steps(load: Load, count: int) -> dict[str, float]:
    """CPU seconds of each step for all packets."""
    packets = sealed_packets(load, count)
    reading = best(lambda: cost_of_reading(packets))
    opening = best(lambda: cost_of_opening(packets))
    moved = best(lambda: cost_in_memory(load, packets))
    total = best(lambda: cost_on_sockets(load, packets))
    return {
        "read": reading,
        "open": opening,
        "rewrite and seal": moved - opening,
        "send": total - moved - reading,
        "in all": total,
    }


def main(count: int) -> None:
    print(f"CPU µs per packet that leaves; 1 source, {CONSUMERS} consumers, {count} packets, {KEYS.profile.name}")
    tables = {load.name: steps(load, count) for load in LOADS}
    print(f"{'':20}" + "".join(f"{name:>20}" for name in tables))
    for step in next(iter(tables.values())):
        costs = "".join(f"{table[step] / count / CONSUMERS * 1e6:20.2f}" for table in tables.values())
        print(f"{step:20}{costs}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3200)
