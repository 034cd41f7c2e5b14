"""The data plane on a simulated network."""

from random import Random

import pytest
import trio
import trio.testing

from sfu.dataplane.interface import Path, TransportId
from sfu.dataplane.memory import MemoryDataPlane
from sfu.dataplane.values import DtlsArrived
from tests.dataplane.core_with_clients import PASSWORD, binding_request, username_fragment

CLIENT = Path("192.0.2.1", 5)
DTLS = b"\x16\xfe\xfd\x00"


def reach(plane: MemoryDataPlane) -> None:
    """Let a connectivity check come from the client, and drop its event."""
    transport = TransportId(1)
    plane.add_transport(transport)
    plane.set_credentials(transport, username_fragment(transport), PASSWORD)
    plane.deliver(binding_request(transport), CLIENT)
    assert len(plane.poll(0.0)) == 1


async def test_a_poll_loop_runs_under_a_virtual_clock(autojump_clock: trio.testing.MockClock) -> None:
    sent: list[tuple[float, Path, bytes]] = []
    plane = MemoryDataPlane(lambda path, datagram: sent.append((trio.current_time(), path, datagram)), Random(0))

    async def serve() -> None:
        while True:
            await plane.wait()
            for event in plane.poll(trio.current_time()):
                if isinstance(event, DtlsArrived):
                    plane.send(CLIENT, event.data[::-1])

    start = trio.current_time()
    reach(plane)
    del sent[:]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        for number in range(3):
            await trio.sleep(1)
            assert plane.deliver(b"\x16" + bytes((number,)), CLIENT)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert sent == [(start + 1 + number, CLIENT, bytes((number, 22))) for number in range(3)]


async def test_the_receive_queue_is_bounded_and_read_in_batches() -> None:
    plane = MemoryDataPlane(lambda path, datagram: None, Random(0))
    reach(plane)
    delivered = sum(plane.deliver(DTLS, CLIENT) for _ in range(5000))
    assert delivered == 4096
    read = 0
    while read < delivered:
        await plane.wait()
        before = plane.totals().packets_in
        plane.poll(0.0)
        batch = plane.totals().packets_in - before
        assert batch == 64
        read += batch
    with trio.move_on_after(0) as scope:
        await plane.wait()
    assert scope.cancelled_caught


async def test_nothing_comes_or_goes_once_the_plane_is_closed() -> None:
    sent: list[bytes] = []
    plane = MemoryDataPlane(lambda path, datagram: sent.append(datagram), Random(0))
    plane.deliver(DTLS, CLIENT)
    plane.close()
    plane.send(CLIENT, b"x")
    assert plane.poll(0.0) == []
    assert not plane.deliver(DTLS, CLIENT)
    assert sent == []
    with pytest.raises(trio.ClosedResourceError):
        await plane.wait()
