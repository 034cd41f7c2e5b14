"""What happens when nothing happens: handshakes that do not end, clients that fall silent.  All in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

import pytest
import trio
from trio.testing import MockClock

import sfu
from sfu.dataplane.interface import FellSilent, Path
from sfu.settings import TransportState
from sfu.wire.stun import BindingRequest
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory import Client, Network, open_network
from tests.media.rtp import opus
from tools.light.transport import CONSENT_INTERVAL, Identity

SETTINGS = sfu.MediaSettings()


async def connected(transport: sfu.Transport, client: Client) -> None:
    """Wait, as long as it may take on a bad network."""
    await eventually(lambda: transport.connected and client.transport.connected, seconds=1000)


async def test_a_handshake_that_is_not_done_in_time_fails_its_transport(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.port, notices, name="ada") as ada:
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


async def test_a_transport_that_nobody_connects_lives_as_long_as_its_session(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.port, Notices(), name="ada") as ada,
    ):
        transport = ada.create_transport("send")
        await trio.sleep(3600)
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(5)
        assert transport.state is TransportState.CONNECTED


async def test_a_client_that_falls_silent_is_disconnected_then_gone_and_may_come_back_in_between(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.port, notices, name="ada") as ada:
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
async def test_handshakes_get_through_when_a_third_of_all_datagrams_is_lost(
    autojump_clock: MockClock, identity: Identity, role: Literal["client", "server"]
) -> None:
    patient = sfu.MediaSettings(handshake_timeout=1000)
    async with open_network(patient, seed=7) as network:
        for number in range(20):
            async with sfu.open_peer(network.port, Notices(), name=f"peer {number}") as peer:
                transport = peer.create_transport("send")
                client = network.client(transport, identity, dtls_role=role, loss=0.3)
                peer.connect_transport(transport.id, client.transport.dtls_parameters)
                await connected(transport, client)


async def test_old_credentials_hold_until_the_client_uses_the_new_ones(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.port, Notices(), name="ada") as ada,
    ):
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(5)
        new = ada.restart_ice(transport.id)
        await trio.sleep(20)
        assert transport.connected
        old = client.transport.use_ice(new)
        await trio.sleep(20)
        assert transport.connected
        client.transport.use_ice(old)
        await trio.sleep(20)
        assert not transport.connected


async def test_a_goodbye_that_hangs_is_cut_off_and_one_that_fails_hurts_nobody(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await trio.sleep_forever()

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("no goodbye")

    async with open_network(SETTINGS) as network:
        async with sfu.open_peer(network.port, Notices(), name="ada") as ada:
            monkeypatch.setattr(ada.create_transport("send"), "say_goodbye", hang)
            monkeypatch.setattr(ada.create_transport("receive"), "say_goodbye", fail)
            left_at = trio.current_time()
        assert trio.current_time() - left_at == pytest.approx(SETTINGS.courtesy_timeout)
        assert ada.exit is not None
        assert (ada.exit.transports, ada.exit.forced) == (2, 1)
        assert network.port.forced_cleanups == 1
        assert network.port.census() == sfu.Census(0, 0, 0, 0)


async def test_leaving_works_from_a_cancelled_scope(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_network(SETTINGS) as network:
        with trio.CancelScope() as session:
            async with sfu.open_peer(network.port, Notices(), name="ada") as ada:
                transport = ada.create_transport("send")
                client = network.client(transport, identity)
                ada.connect_transport(transport.id, client.transport.dtls_parameters)
                await trio.sleep(5)
                session.cancel()
                await trio.sleep_forever()
        assert session.cancelled_caught
        assert client.transport.closed_by_gateway
        assert network.port.census() == sfu.Census(0, 0, 0, 0)


async def test_bindings_that_change_nothing_do_not_come_up(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    receive = sfu.Transport.receive_stun

    def note(transport: sfu.Transport, request: BindingRequest, path: Path, now: float) -> None:
        seen.append(now)
        receive(transport, request, path, now)

    monkeypatch.setattr(sfu.Transport, "receive_stun", note)
    async with open_network(SETTINGS) as network, sfu.open_peer(network.port, Notices(), name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await connected(transport, client)
        handshake = len(seen)
        answers = network.plane.totals().packets_out
        await trio.sleep(60)
        assert transport.state is TransportState.CONNECTED
        assert len(seen) == handshake
        assert network.plane.totals().packets_out >= answers + 60 / CONSENT_INTERVAL - 2

        # A restart is decided about up here, until the client uses what is new.
        new = ada.restart_ice(transport.id)
        await trio.sleep(20)
        assert len(seen) >= handshake + 20 / CONSENT_INTERVAL - 2
        client.transport.use_ice(new)
        await trio.sleep(2 * CONSENT_INTERVAL)
        restarted = len(seen)
        await trio.sleep(60)
        assert len(seen) == restarted
        assert transport.state is TransportState.CONNECTED


async def test_silence_before_the_handshake_is_no_disconnection(autojump_clock: MockClock, identity: Identity) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.port, notices, name="ada") as ada:
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
    async with open_network(SETTINGS) as network, sfu.open_peer(network.port, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(61)
        yield Call(network, ada, transport, client, notices)


def last_binding(network: Network, transport: sfu.Transport) -> float:
    """When the data plane answered the newest."""
    last = network.plane.hand_up_bindings(transport.plane_id)
    assert last is not None
    ice = transport.ice_parameters
    network.plane.answer_bindings(
        transport.plane_id, ice.username_fragment, ice.password, last, SETTINGS.disconnected_after
    )
    return last


@pytest.mark.parametrize("restarts", [False, True])
async def test_silence_is_counted_from_the_last_binding_whoever_answered_it(
    autojump_clock: MockClock, identity: Identity, restarts: bool
) -> None:
    async with open_call(identity) as (network, ada, transport, client, notices):
        client.reachable = False
        last = last_binding(network, transport)
        assert trio.current_time() - last <= CONSENT_INTERVAL
        if restarts:
            ada.restart_ice(transport.id)
        await trio.sleep_until(last + SETTINGS.disconnected_after - 0.001)
        assert notices.words == ["transport connected"]
        await trio.sleep(0.002)
        assert notices.words == ["transport connected", "transport disconnected"]
        await trio.sleep_until(last + SETTINGS.silence_timeout + 0.001)
        assert notices.words[2:] == ["transport failed", "transport closed"]


async def test_a_restart_at_the_moment_of_silence_is_not_taken_for_a_long_one(
    autojump_clock: MockClock, identity: Identity
) -> None:
    """The data plane has noticed the silence, and the port has not been told yet."""
    async with open_call(identity) as (network, ada, transport, client, notices):
        client.reachable = False
        last = last_binding(network, transport)
        network.plane.handle_timer(last + SETTINGS.disconnected_after)
        new = ada.restart_ice(transport.id)
        client.reachable = True
        client.transport.use_ice(new)
        await trio.sleep(30)
        assert "transport failed" not in notices.words
        assert transport.state is TransportState.CONNECTED


async def test_silence_that_is_told_after_bindings_were_taken_back_says_nothing_but_its_time(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as (network, ada, transport, _, notices):
        ada.restart_ice(transport.id)
        await trio.sleep(CONSENT_INTERVAL)
        late = FellSilent(transport.plane_id, trio.current_time() - SETTINGS.disconnected_after)
        network.port.handle(late, trio.current_time())
        assert notices.words == ["transport connected"]
        assert network.port.slow_path_errors == 0
