"""The paths that a transport sends to and receives from, as its client moves and restarts ICE.  In virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

import sfu
from sfu.dataplane.interface import DropReason, Path
from sfu.settings import TransportState
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import Rtp, opus, read
from tests.media.test_bad_datagrams import binding_request
from tests.media.test_closing import connected
from tools.light.transport import CHECK_INTERVAL, CONSENT_INTERVAL, Identity

SETTINGS = sfu.MediaSettings()


@frozen
class Call:
    """Ada speaks, Bob listens."""

    network: Network
    ada: sfu.Peer
    bob: sfu.Peer
    microphone: Client
    speaker: Client
    receiving: sfu.Transport
    notices: Notices

    async def heard(self) -> bool:
        """Whether a packet that Ada sends now arrives at Bob."""
        self.speaker.transport.rtp.clear()
        number = self.network.plane.totals().packets_in
        self.microphone.transport.send_rtp(bytes(Rtp(111, number, 960 * number, 1111, b"can you hear me")))
        self.microphone.flush()
        await trio.testing.wait_all_tasks_blocked()
        return [read(packet).payload for packet in self.speaker.transport.rtp] == [b"can you hear me"]


@asynccontextmanager
async def open_call(identity: Identity) -> AsyncIterator[Call]:
    notices = Notices()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        await connected(network, ada, sending, identity)
        await connected(network, bob, receiving, identity)
        producer = ada.produce(sending.id, "audio", opus(1111))
        bob.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=False)
        microphone, speaker = network.clients.values()
        yield Call(network, ada, bob, microphone, speaker, receiving, notices)


def binding(transport: sfu.Transport, **attributes: object) -> bytes:
    ice = transport.ice_parameters
    return binding_request(f"{ice.username_fragment}:them", ice.password, **attributes)


async def test_media_follows_the_client_to_the_path_that_it_nominates(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        assert await call.heard()
        before, after = call.speaker.path, Path("198.51.100.77", 7777)
        del call.network.clients[before]
        call.network.clients[after] = call.speaker
        call.speaker.path = after
        assert not await call.heard()
        await trio.sleep(CONSENT_INTERVAL)
        assert await call.heard()
        assert call.notices.words == ["transport connected"]


async def test_a_path_that_is_checked_but_not_nominated_is_only_received_from(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        other = Path("198.51.100.77", 7777)
        call.network.plane.deliver(binding(call.receiving), other)
        call.network.plane.deliver(binding(*call.ada.transports.values()), Path("198.51.100.78", 7778))
        await trio.testing.wait_all_tasks_blocked()
        call.microphone.path = Path("198.51.100.78", 7778)
        assert await call.heard()


async def test_a_client_with_a_hundred_addresses_keeps_sixteen_and_the_one_in_use(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        before = call.network.plane.totals().paths
        for number in range(100):
            call.network.plane.deliver(binding(call.receiving), Path("198.51.100.77", 1024 + number))
            await trio.testing.wait_all_tasks_blocked()
        assert call.network.plane.totals().paths == before + 15
        assert await call.heard()


async def test_nobody_can_take_the_address_of_a_client_that_is_alive(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        async with sfu.open_peer(call.network.router, Notices(), name="eve") as eve:
            sending = eve.create_transport("send")
            for _ in range(100):
                call.network.plane.deliver(binding(sending, **{"USE-CANDIDATE": None}), call.speaker.path)
                await trio.sleep(0.1)
                assert await call.heard()
        # Bob still hears Ada after Eve has left.
        assert await call.heard()
        assert call.notices.words == ["transport connected"]


async def test_a_client_in_the_wrong_ice_role_gets_an_error_and_changes_nothing(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        sent_before = call.network.plane.totals().packets_out
        conflict = binding(call.receiving, **{"ICE-CONTROLLED": 1, "USE-CANDIDATE": None})
        call.network.plane.deliver(conflict, Path("198.51.100.77", 7777))
        await trio.testing.wait_all_tasks_blocked()
        assert call.network.plane.totals().packets_out == sent_before + 1
        assert await call.heard()


@pytest.mark.parametrize("uses_new", [True, False])
async def test_an_ice_restart_while_connecting_delays_nothing_and_leaves_no_usernames(
    autojump_clock: MockClock, identity: Identity, uses_new: bool
) -> None:
    async with open_network(SETTINGS) as network:
        async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
            transport = ada.create_transport("send")
            client = network.client(transport, identity)
            client.reachable = False
            ada.connect_transport(transport.id, client.transport.dtls_parameters)
            await trio.sleep(CHECK_INTERVAL)
            for _ in range(100):
                parameters = ada.restart_ice(transport.id)
            assert network.plane.totals().usernames == 2
            if uses_new:
                client.transport.use_ice(parameters)
            client.reachable = True
            await trio.sleep(2 * CHECK_INTERVAL)
            assert transport.state is TransportState.CONNECTED
            assert network.plane.totals().usernames == (1 if uses_new else 2)
        assert network.plane.totals().usernames == 0


async def test_a_client_hello_before_connect_transport_is_dropped_and_the_next_one_taken(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, Notices(), name="ada") as ada:
        transport = ada.create_transport("send")
        client = network.client(transport, identity)
        await trio.sleep(0.1)
        assert network.plane.totals().drops[DropReason.UNEXPECTED_DTLS] > 0
        ada.connect_transport(transport.id, client.transport.dtls_parameters)
        await trio.sleep(1)
        assert transport.connected
        assert client.transport.connected
