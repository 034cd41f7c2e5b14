"""Handshakes that do not finish, and clients that fall silent.  In virtual time."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

import pytest
import trio
from trio.testing import MockClock

import sfu
from sfu.dataplane.values import ConsentExpired, Event, FellSilent
from sfu.settings import TransportState
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import Rtp, opus, vp8
from tests.wire.binding import message
from tools.light.transport import CONSENT_INTERVAL, Identity
from tools.light.wire import rtcp

SETTINGS = sfu.MediaSettings()


async def connected(transport: sfu.Transport, client: Client) -> None:
    """Wait as long as a handshake may take on a bad network."""
    await eventually(lambda: transport.connected and client.transport.connected, seconds=1000)


async def test_a_handshake_that_takes_too_long_fails_its_transport(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        client.reachable = False
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(SETTINGS.handshake_timeout - 0.1)
        assert transport.state is TransportState.CONNECTING
        await trio.sleep(0.2)
        assert notices.words == ["transport failed", "transport closed"]
        assert not ada.transports
        ada.create_transport("send")


async def test_an_unconnected_transport_lives_as_long_as_its_session(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
    ):
        transport = ada.create_transport("send")
        await trio.sleep(3600)
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(5)
        assert transport.state is TransportState.CONNECTED


async def test_a_silent_client_is_disconnected_then_closed_and_may_return_in_between(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(30)
        ada.produce(transport.id, "audio", opus(1111))
        assert notices.words == ["transport connected"]

        client.reachable = False
        await trio.sleep(SETTINGS.disconnected_after + 0.1)
        assert notices.words == ["transport connected", "transport disconnected"]
        client.reachable = True
        await trio.sleep(5)
        assert notices.words[2:] == ["transport connected"]

        client.reachable = False
        await trio.sleep(SETTINGS.silence_timeout + 0.1)
        assert notices.words[3:] == [
            "transport disconnected",
            "producer closed",
            "transport failed",
            "transport closed",
        ]
        assert not ada.producers
        assert network.plane.totals().paths == 0


@pytest.mark.parametrize("role", ["client", "server"])
async def test_handshakes_succeed_when_a_third_of_all_datagrams_is_lost(
    autojump_clock: MockClock, identity: Identity, role: Literal["client", "server"]
) -> None:
    patient = sfu.MediaSettings(handshake_timeout=1000)
    async with open_network(patient, seed=7) as network:
        for number in range(20):
            async with sfu.open_peer(network.router, Notices(), name=f"peer {number}") as peer:
                transport = peer.create_transport("send")
                client = network.client(transport, identity, dtls_role=role, loss=0.3)
                peer.connect_transport(transport.id, client.transport.dtls_parameters)
                await connected(transport, client)


async def test_old_credentials_hold_until_the_client_uses_the_new_ones(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
    ):
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(5)
        new = ada.restart_ice(transport.id)
        await trio.sleep(20)
        assert transport.connected
        old = client.transport.use_ice(new)
        # Not 20 s: the client's timer would run at that moment too, and the order of the two tasks is random.
        await trio.sleep(21)
        assert transport.connected
        client.transport.use_ice(old)
        await trio.sleep(20)
        assert transport.connected
        await trio.sleep(SETTINGS.silence_timeout - 20)
        assert not transport.connected


async def test_a_hanging_goodbye_is_cut_off_and_a_failing_one_is_harmless(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await trio.sleep_forever()

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("no goodbye")

    async with open_network(SETTINGS) as network:
        async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
            monkeypatch.setattr(ada.create_transport("send"), "say_goodbye", hang)
            monkeypatch.setattr(ada.create_transport("receive"), "say_goodbye", fail)
            left_at = trio.current_time()
        assert trio.current_time() - left_at == pytest.approx(SETTINGS.courtesy_timeout)
        assert ada.exit is not None
        assert (ada.exit.transports, ada.exit.forced) == (2, 1)
        assert network.router.context.forced_cleanups == 1
        assert network.router.counts() == sfu.RouterCounts(0, 0, 0, 0)


async def test_leaving_works_from_a_cancelled_scope(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_network(SETTINGS) as network:
        with trio.CancelScope() as session:
            async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
                transport = ada.create_transport("send")
                client = network.client(transport, identity)
                ada.connect_transport(transport.id, client.transport.dtls_parameters)
                await trio.sleep(5)
                session.cancel()
                await trio.sleep_forever()
        assert session.cancelled_caught
        assert client.transport.closed_by_gateway
        assert network.router.counts() == sfu.RouterCounts(0, 0, 0, 0)


async def test_bindings_are_answered_without_the_slow_path(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Event] = []
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, Notices(), name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await connected(transport, client)
        monkeypatch.setattr(network.router, "handle", lambda event, now: seen.append(event))
        answers = network.plane.totals().packets_out
        await trio.sleep(60)
        assert network.plane.totals().packets_out >= answers + 60 / CONSENT_INTERVAL - 2
        new = ada.restart_ice(transport.id)
        await trio.sleep(20)
        client.transport.use_ice(new)
        await trio.sleep(60)
        assert network.plane.totals().packets_out >= answers + 140 / CONSENT_INTERVAL - 4
        assert network.plane.totals().usernames == 1
        assert seen == []
        assert transport.state is TransportState.CONNECTED


async def test_silence_before_the_handshake_does_not_disconnect(autojump_clock: MockClock, identity: Identity) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        await trio.sleep(3)
        assert network.plane.totals().packets_out > 0
        client.reachable = False
        await trio.sleep(SETTINGS.silence_timeout + 1)
        assert transport.state is TransportState.NEW
        assert notices.words == []


class Call(NamedTuple):
    network: Network
    ada: sfu.Peer
    transport: sfu.Transport
    client: Client
    notices: Notices


@asynccontextmanager
async def open_call(identity: Identity) -> AsyncIterator[Call]:
    """A client that has been connected for a minute, between two of its bindings."""
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(61)
        yield Call(network, ada, transport, client, notices)


def last_sign(call: Call) -> float:
    last = call.network.plane.heard_at(call.transport.plane_id)
    assert last is not None
    return last


@pytest.mark.parametrize("restarts", [False, True])
async def test_silence_counts_from_the_last_sign_of_life_on_either_path(
    autojump_clock: MockClock, identity: Identity, restarts: bool
) -> None:
    async with open_call(identity) as call:
        call.client.reachable = False
        last = last_sign(call)
        assert trio.current_time() - last <= CONSENT_INTERVAL
        if restarts:
            call.ada.restart_ice(call.transport.id)
        await trio.sleep_until(last + SETTINGS.disconnected_after - 0.001)
        assert call.notices.words == ["transport connected"]
        await trio.sleep(0.002)
        assert call.notices.words == ["transport connected", "transport disconnected"]
        await trio.sleep_until(last + SETTINGS.silence_timeout - 0.001)
        assert call.notices.words[2:] == []
        await trio.sleep(0.002)
        assert call.notices.words[2:] == ["transport failed", "transport closed"]


async def test_an_ice_restart_during_a_silence_does_not_prolong_it(
    autojump_clock: MockClock, identity: Identity
) -> None:
    """The data plane has noticed the silence, and its event is still in the queue."""
    async with open_call(identity) as call:
        call.client.reachable = False
        call.network.plane.handle_timer(last_sign(call) + SETTINGS.disconnected_after)
        new = call.ada.restart_ice(call.transport.id)
        call.client.reachable = True
        call.client.transport.use_ice(new)
        await trio.sleep(30)
        assert "transport failed" not in call.notices.words
        assert call.transport.state is TransportState.CONNECTED


@pytest.mark.parametrize("late", [FellSilent, ConsentExpired])
async def test_a_silence_reported_after_its_end_changes_nothing(
    autojump_clock: MockClock, identity: Identity, late: type[FellSilent | ConsentExpired]
) -> None:
    async with open_call(identity) as call:
        before = trio.current_time() - SETTINGS.silence_timeout
        call.network.router.handle(late(call.transport.plane_id, before), trio.current_time())
        assert call.notices.words == ["transport connected"]
        assert call.network.router.context.slow_path_errors == 0


async def test_a_transport_unknown_to_the_data_plane_never_had_media(
    autojump_clock: MockClock, identity: Identity
) -> None:
    """The transport failed, and its event is still in the queue. Asking for its last media must work meanwhile."""
    async with open_call(identity) as call:
        report(call.client)
        call.client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert call.ada.media_heard_at() == 61
        call.network.plane.remove_transport(call.transport.plane_id)
        assert call.ada.media_heard_at() == -math.inf


# Clients that send few or no STUN checks once connected. Other authentic packets keep their transports alive.


def report(client: Client) -> None:
    """The report of a receiver that gets nothing yet."""
    client.transport.send_rtcp(rtcp.encode(list(rtcp.receiver_reports(1, ()))))


def speak(client: Client) -> None:
    number = round(trio.current_time() * 50)
    client.transport.send_rtp(bytes(Rtp(111, number & 0xFFFF, number * 960, 1111, b"voice")))


@pytest.mark.parametrize("sign", [speak, report])
async def test_media_keeps_a_transport_alive_without_stun(
    autojump_clock: MockClock, identity: Identity, sign: Callable[[Client], None]
) -> None:
    async with open_call(identity) as call:
        call.ada.produce(call.transport.id, "audio", opus(1111))
        call.client.transport.stop_checking()
        for _ in range(20):
            await trio.sleep(4)
            sign(call.client)
            call.client.flush()
        last = trio.current_time()
        assert call.notices.words == ["transport connected"]
        await trio.sleep_until(last + SETTINGS.silence_timeout + 0.001)
        assert call.notices.words == [
            "transport connected",
            "transport disconnected",
            "producer closed",
            "transport failed",
            "transport closed",
        ]


@pytest.mark.parametrize("sign", [speak, report])
async def test_the_first_media_packet_ends_a_disconnection(
    autojump_clock: MockClock, identity: Identity, sign: Callable[[Client], None]
) -> None:
    async with open_call(identity) as call:
        call.ada.produce(call.transport.id, "audio", opus(1111))
        call.client.transport.stop_checking()
        await trio.sleep(SETTINGS.silence_timeout - CONSENT_INTERVAL - 0.1)
        assert call.notices.words == ["transport connected", "transport disconnected"]
        sign(call.client)
        call.client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert call.notices.words == ["transport connected", "transport disconnected", "transport connected"]
        await trio.sleep(SETTINGS.disconnected_after - 0.1)
        assert call.transport.state is TransportState.CONNECTED


async def test_consent_lasts_thirty_seconds(autojump_clock: MockClock, identity: Identity) -> None:
    """RFC 7675 section 5.1."""
    async with open_call(identity) as call:
        call.client.reachable = False
        last = last_sign(call)
        await trio.sleep_until(last + 30 - CONSENT_INTERVAL - 0.1)
        assert call.transport.connected
        call.client.reachable = True
        await trio.sleep(CONSENT_INTERVAL)
        assert call.transport.state is TransportState.CONNECTED


async def test_indications_without_integrity_keep_no_transport_alive(
    autojump_clock: MockClock, identity: Identity
) -> None:
    """Nothing in them proves the sender (RFC 8445 section 11)."""
    async with open_call(identity) as call:
        call.client.transport.stop_checking()
        last = last_sign(call)
        while trio.current_time() < last + SETTINGS.silence_timeout - 3:
            call.client.transport.send_raw(message(message_type=0x0011))
            call.client.flush()
            await trio.sleep(2)
            assert call.transport.state is TransportState.CONNECTED
        await trio.sleep_until(last + SETTINGS.silence_timeout + 0.001)
        assert call.transport.state is TransportState.CLOSED


@pytest.mark.parametrize("what", ["forged", "repeated"])
async def test_forgeable_packets_are_no_sign_of_life(autojump_clock: MockClock, identity: Identity, what: str) -> None:
    async with open_call(identity) as call:
        call.ada.produce(call.transport.id, "audio", opus(1111))
        datagram = call.client.transport.seal_rtp(bytes(Rtp(111, 1, 960, 1111, b"voice")))
        call.client.deliver(datagram, call.client.path)
        await trio.testing.wait_all_tasks_blocked()
        last = last_sign(call)
        call.client.reachable = False
        if what == "forged":
            datagram = datagram[:-1] + bytes([datagram[-1] ^ 1])
        while trio.current_time() < last + SETTINGS.silence_timeout + 0.1:
            call.client.deliver(datagram, call.client.path)
            await trio.sleep(0.5)
        assert last == pytest.approx(61)
        assert call.notices.words[-1] == "transport closed"
        assert call.network.plane.totals().transports == 0


async def test_a_transport_that_sends_only_sound_sleeps(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, Notices(), name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await connected(transport, client)
        ada.produce(transport.id, "audio", opus(1))
        assert transport.get_timer() == math.inf
        ada.produce(transport.id, "video", vp8(2))
        assert transport.get_timer() < trio.current_time() + SETTINGS.report_interval
