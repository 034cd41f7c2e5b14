"""The data plane on real sockets, on loopback."""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trio
import trio.testing
from pylibsrtp import Policy

from sfu.dataplane import udp
from sfu.dataplane.interface import ConsumerId, DropReason, Path, ProducerId, TransportId
from sfu.dataplane.udp import UdpDataPlane, bind_all, drops_of
from sfu.dataplane.values import DtlsArrived, PathSelected
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.dataplane.core_with_clients import (
    AUDIO,
    PASSWORD,
    ConsumerSpec,
    binding_request,
    connect_socket,
    srtp_session,
    username_fragment,
)
from tests.eventually import eventually
from tools.light.wire.rtp import encode

HOSTS = ["127.0.0.1", "::1"]
DTLS = b"\x16\xfe\xfd\x00"
KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=bytes(28), send=bytes([1]) * 28)
REMOTE = TransportId(0)


@contextmanager
def opened(hosts: list[str] | None = None) -> Iterator[UdpDataPlane]:
    plane = UdpDataPlane(hosts or HOSTS, 0)
    try:
        yield plane
    finally:
        plane.close()


def client(host: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((host, 0))
    bound.settimeout(5)
    return bound


def test_port_0_finds_one_port_that_is_free_on_every_host() -> None:
    with opened() as plane:
        (v4, port), (v6, same_port) = plane.addresses
        assert (v4, v6) == ("127.0.0.1", "::1")
        assert port == same_port > 0


def test_the_wildcard_addresses_of_both_families_can_be_bound_together() -> None:
    with opened(["0.0.0.0", "::"]) as plane:
        (_, port), (_, same_port) = plane.addresses
        assert port == same_port


def test_a_given_port_that_is_taken_on_one_host_fails_at_once() -> None:
    with client("::1") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError) as caught:
            bind_all(HOSTS, port)
        assert caught.value.errno == errno.EADDRINUSE
        # The socket that could be bound is closed again.
        for bound in bind_all(["127.0.0.1"], port):
            bound.close()


def test_port_0_tries_another_port_if_one_host_has_it_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    bind_once = udp._bind_once
    failures = [OSError(errno.EADDRINUSE, "taken")] * 3

    def taken_three_times(hosts: list[str], port: int) -> list[socket.socket]:
        if failures:
            raise failures.pop()
        return bind_once(hosts, port)

    monkeypatch.setattr(udp, "_bind_once", taken_three_times)
    for bound in bind_all(HOSTS, 0):
        bound.close()
    assert failures == []


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", 0), ("::1", 1)])
async def test_datagrams_come_and_go_over_both_families(host: str, local: int) -> None:
    with opened() as plane, client(host) as remote:
        path = await reach(plane, remote, local)
        assert (path.host, path.local) == (host, local)
        before = plane.totals()
        remote.sendto(DTLS, plane.addresses[local])
        with trio.fail_after(5):
            await plane.wait()
        assert plane.poll(1.0) == [DtlsArrived(REMOTE, DTLS)]
        plane.send(path, b"answer")
        assert remote.recvfrom(100) == (b"answer", (*plane.addresses[local], *((0, 0) if local else ())))
        after = plane.totals()
        assert (after.packets_in - before.packets_in, after.bytes_in - before.bytes_in) == (1, 4)
        assert (after.packets_out - before.packets_out, after.bytes_out - before.bytes_out) == (1, 6)


async def test_media_is_forwarded_from_one_family_to_the_other() -> None:
    with opened() as plane, client("127.0.0.1") as sender, client("::1") as receiver:
        for number, remote in enumerate((sender, receiver)):
            connect_socket(plane, TransportId(number), KEYS, remote)
        plane.add_producer(TransportId(0), ProducerId(0), AUDIO)
        ConsumerSpec().add_to(plane, TransportId(1), ConsumerId(0), ProducerId(0))
        sealing = srtp_session(KEYS.profile, KEYS.receive, Policy.SSRC_ANY_OUTBOUND)
        plain = encode(payload_type=111, sequence_number=1, timestamp=2, ssrc=1111, payload=b"over there")
        sender.sendto(sealing.protect(plain), plane.addresses[0])
        with trio.fail_after(5):
            await plane.wait()
        plane.poll(1.0)
        opening = srtp_session(KEYS.profile, KEYS.send, Policy.SSRC_ANY_INBOUND)
        assert opening.unprotect(receiver.recv(2000))[12:] == b"over there"


async def test_packets_are_timed_on_the_clock_of_the_trio_run() -> None:
    with opened(["127.0.0.1"]) as plane, client("127.0.0.1") as sender:
        connect_socket(plane, TransportId(0), KEYS, sender)
        plane.add_producer(TransportId(0), ProducerId(0), AUDIO)
        sealing = srtp_session(KEYS.profile, KEYS.receive, Policy.SSRC_ANY_OUTBOUND)
        plain = encode(payload_type=111, sequence_number=1, timestamp=2, ssrc=1111, payload=b"when?")
        before = trio.current_time()
        sender.sendto(sealing.protect(plain), plane.addresses[0])
        await received(plane, 2)
        (encoding,) = plane.producer_stats(ProducerId(0)).encodings
        assert encoding.last_at is not None
        # The plane's clock is set from two readings of one clock, made one after the other.
        assert before - 0.001 <= encoding.last_at <= trio.current_time() + 0.001


async def test_waiting_lasts_until_something_arrives() -> None:
    with opened() as plane, client("127.0.0.1") as remote:
        connect_socket(plane, REMOTE, KEYS, remote)
        with trio.move_on_after(0.01) as scope:
            await plane.wait()
        assert scope.cancelled_caught
        remote.sendto(DTLS, plane.addresses[0])
        with trio.fail_after(5):
            await plane.wait()


async def test_waiting_is_a_checkpoint_even_if_something_is_there() -> None:
    with opened() as plane, client("127.0.0.1") as remote:
        connect_socket(plane, REMOTE, KEYS, remote)
        remote.sendto(DTLS, plane.addresses[0])
        with trio.fail_after(5):
            await plane.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            await plane.wait()
        assert scope.cancelled_caught


async def reach(plane: UdpDataPlane, remote: socket.socket, local: int) -> Path:
    """Let a connectivity check come to this socket of the plane.  Returns the path that is selected."""
    plane.add_transport(REMOTE)
    plane.set_credentials(REMOTE, username_fragment(REMOTE), PASSWORD)
    remote.sendto(binding_request(REMOTE), plane.addresses[local])
    with trio.fail_after(5):
        await plane.wait()
    [event] = plane.poll(1.0)
    assert isinstance(event, PathSelected)
    assert remote.recv(2000)[:2] == b"\x01\x01"
    return event.path


async def received(plane: UdpDataPlane, packets: int) -> None:
    """Wait until the thread has handled this many packets."""
    await eventually(lambda: plane.totals().packets_in >= packets)


async def test_one_poll_takes_a_bounded_batch_and_the_next_one_the_rest() -> None:
    with opened() as plane, client("127.0.0.1") as remote, client("127.0.0.1") as another:
        connect_socket(plane, REMOTE, KEYS, remote)
        connect_socket(plane, TransportId(REMOTE + 1), KEYS, another)
        for _ in range(20):
            remote.sendto(DTLS, plane.addresses[0])
            another.sendto(DTLS, plane.addresses[0])
        # The datagram for no transport comes last.  When it is counted, those before it wait to be handed up.
        remote.sendto(b"\x40turn", plane.addresses[0])
        await received(plane, 3)
        with trio.fail_after(5):
            await plane.wait()
        assert len(plane.poll(1.0)) == 32
        with trio.fail_after(5):
            await plane.wait()
        assert len(plane.poll(1.0)) == 8
        assert plane.poll(1.0) == []


async def test_an_oversized_datagram_is_dropped_and_an_empty_one_too() -> None:
    with opened() as plane, client("127.0.0.1") as remote:
        remote.sendto(bytes(3000), plane.addresses[0])
        remote.sendto(b"", plane.addresses[0])
        await received(plane, 2)
        assert plane.poll(1.0) == []
        drops = plane.totals().drops
        assert (drops[DropReason.OVERSIZED], drops[DropReason.EMPTY]) == (1, 1)


def test_an_impossible_destination_is_counted_and_harms_no_other_send() -> None:
    with opened(["127.0.0.1"]) as plane, client("127.0.0.1") as remote:
        plane.send(Path("2001:db8::1", 9), b"wrong family")
        plane.send(Path("127.0.0.1", 9, 5), b"no such socket")
        plane.send(Path("127.0.0.1", 9), bytes(70000))
        assert plane.totals().drops[DropReason.SEND_FAILED] == 3
        assert plane.totals().packets_out == 0
        plane.send(Path(*remote.getsockname()), b"still here")
        assert remote.recv(100) == b"still here"


async def test_errors_of_earlier_sends_do_not_stop_reading() -> None:
    with opened(["127.0.0.1"]) as plane, client("127.0.0.1") as remote:
        with client("127.0.0.1") as gone:
            nobody = Path(*gone.getsockname())
        for _ in range(100):
            plane.send(nobody, b"is anybody there?")
        await reach(plane, remote, 0)


@pytest.mark.parametrize("waiting", [True, False])
async def test_waiting_on_a_closed_plane_ends(waiting: bool) -> None:
    with opened() as plane:
        async with trio.open_nursery() as nursery:
            if waiting:
                nursery.start_soon(wait_until_closed, plane)
                await trio.testing.wait_all_tasks_blocked()
            plane.close()
            if not waiting:
                await wait_until_closed(plane)


async def wait_until_closed(plane: UdpDataPlane) -> None:
    with pytest.raises(trio.ClosedResourceError), trio.fail_after(5):
        await plane.wait()


async def test_an_added_host_has_the_same_port_and_receives_and_sends() -> None:
    with opened(["127.0.0.1"]) as plane, client("127.0.0.2") as remote:
        plane.listen("127.0.0.2")
        assert plane.addresses == [("127.0.0.1", plane.port), ("127.0.0.2", plane.port)]
        path = await reach(plane, remote, 1)
        assert path == Path("127.0.0.2", remote.getsockname()[1], 1)
        plane.send(path, b"answer")
        assert remote.recvfrom(100) == (b"answer", plane.addresses[1])


def listen_again(plane: UdpDataPlane, host: str, seconds: float = 5) -> None:
    """Listen on a host that was removed.  Its port is taken until the plane's thread lets go of the old socket."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return plane.listen(host)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def test_a_removed_host_sends_nothing_and_gets_its_index_back_when_it_returns() -> None:
    with opened(["127.0.0.1", "127.0.0.2"]) as plane, client("127.0.0.1") as remote:
        plane.stop_listening("127.0.0.1")
        assert plane.addresses == [("127.0.0.2", plane.port)]
        plane.send(Path("127.0.0.1", remote.getsockname()[1], 0), b"lost")
        assert plane.totals().drops[DropReason.SEND_FAILED] == 1
        plane.listen("127.0.0.3")
        listen_again(plane, "127.0.0.1")
        plane.send(Path("127.0.0.1", remote.getsockname()[1], 0), b"back")
        assert remote.recvfrom(100) == (b"back", ("127.0.0.1", plane.port))
        assert [host for host, _ in plane.addresses] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


def test_hosts_that_come_and_go_use_a_bounded_number_of_indices() -> None:
    with opened(["127.0.0.1"]) as plane:
        for number in range(200):
            plane.listen(f"127.0.1.{number}")
            plane.stop_listening(f"127.0.1.{number}")
        for number in range(63):
            plane.listen(f"127.0.2.{number}")
        with pytest.raises(OSError, match="too many addresses"):
            plane.listen("127.0.3.1")
        assert len(plane.addresses) == 64


def test_a_host_that_cannot_be_bound_raises_and_changes_nothing() -> None:
    with opened(["127.0.0.1"]) as plane:
        with pytest.raises(OSError) as caught:
            plane.listen("2001:db8:dead::1")
        assert (caught.value.errno, caught.value.filename) == (errno.EADDRNOTAVAIL, "2001:db8:dead::1")
        assert plane.addresses == [("127.0.0.1", plane.port)]


def test_nothing_leaves_a_closed_plane() -> None:
    with opened() as plane, client("127.0.0.1") as remote:
        path = Path(*remote.getsockname())
        plane.close()
        plane.close()
        plane.send(path, b"x")
        assert plane.poll(1.0) == []
        assert plane.totals().packets_out == 0


def test_datagrams_that_a_full_buffer_loses_are_counted() -> None:
    reader, sender = client("127.0.0.1"), client("127.0.0.1")
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    for _ in range(200):
        sender.sendto(bytes(1000), reader.getsockname())
    read = 0
    with suppress(BlockingIOError):
        while reader.recv(2000):
            read += 1
    assert 0 < read < 200
    assert drops_of(reader) == 200 - read
    reader.close()
    sender.close()


def test_drops_of_a_socket_that_is_gone_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as plane:
        assert plane.receive_drops() == 0
        monkeypatch.setattr(udp, "drops_of", lambda view: 3 if view.fileno() >= 0 else pytest.fail("it is closed"))
        assert plane.receive_drops() == 6
        plane.stop_listening("::1")
        assert plane.receive_drops() == 6
        plane.listen("::1")
        assert plane.receive_drops() == 9
    assert plane.receive_drops() == 9


async def test_a_plane_is_busy_while_packets_come() -> None:
    with opened() as plane:
        before = plane.busy_seconds()
        await trio.sleep(0.3)
        assert plane.busy_seconds() - before < 0.15
        with client("127.0.0.1") as sender:
            idle = plane.busy_seconds()
            await eventually(lambda: sender.sendto(bytes(1000), plane.addresses[0]) and plane.busy_seconds() > idle)
