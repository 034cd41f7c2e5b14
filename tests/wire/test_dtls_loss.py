"""DTLS handshakes on a network that loses, repeats and reorders datagrams."""

import random

import pytest

from sfu.wire.dtls.dtls import (
    DtlsConnected,
    DtlsRole,
    DtlsState,
)
from tests.wire.dtls_peers import (
    Network,
    OpenSslPeer,
    both_roles,
    events,
    opposite,
    ours,
    theirs,
)


@both_roles
def test_the_handshake_shows_the_round_trip(role: DtlsRole) -> None:
    dtls = ours(role)
    network = Network(dtls, theirs(opposite(role)), random.Random(0))
    network.run(until=10.0)
    [connected] = events(dtls)
    assert isinstance(connected, DtlsConnected)
    assert connected.round_trip == pytest.approx(0.04)


@both_roles
def test_a_round_trip_of_a_lossy_handshake_is_never_too_short(role: DtlsRole) -> None:
    for seed in range(40):
        dtls = ours(role)
        network = Network(dtls, theirs(opposite(role)), random.Random(seed), loss=0.3, duplication=0.2)
        network.run(until=100.0)
        for event in events(dtls):
            assert not isinstance(event, DtlsConnected) or event.round_trip > 0.039


@both_roles
def test_a_flight_is_repeated_after_1_2_4_and_8_seconds(role: DtlsRole) -> None:
    dtls = ours(role)
    if role is DtlsRole.SERVER:
        dtls.receive(OpenSslPeer.make(DtlsRole.CLIENT).step()[0], 0.0)
    flight = dtls.datagrams_to_send()
    assert flight
    for resend_at in (1.0, 3.0, 7.0, 15.0, 23.0):
        assert dtls.get_timer() == resend_at
        dtls.handle_timer(resend_at - 0.001)
        assert dtls.datagrams_to_send() == []
        dtls.handle_timer(resend_at)
        assert dtls.datagrams_to_send() == flight


def test_a_new_flight_restarts_the_timer() -> None:
    client, server = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    client.datagrams_to_send()
    client.handle_timer(1.0)
    assert client.get_timer() == 3.0
    server.receive(client.datagrams_to_send()[0], 1.5)
    assert server.get_timer() == 2.5
    client.receive(server.datagrams_to_send()[0], 1.75)
    assert client.get_timer() == 2.75


def test_a_server_waits_for_the_client_without_a_timer() -> None:
    assert ours(DtlsRole.SERVER).get_timer() is None


@both_roles
def test_a_hundred_handshakes_complete_at_30_percent_loss(role: DtlsRole) -> None:
    slowest = 0.0
    for seed in range(100):
        one, other = ours(role), theirs(opposite(role))
        network = Network(one, other, random.Random(seed), loss=0.3)
        network.run(until=120.0)
        assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED), f"seed {seed}"
        slowest = max(slowest, network.now)
    assert 3.0 < slowest < 60.0


@both_roles
def test_doubled_and_reordered_datagrams_disturb_no_handshake(role: DtlsRole) -> None:
    for seed in range(20):
        one, other = ours(role), theirs(opposite(role))
        network = Network(one, other, random.Random(seed), loss=0.1, duplication=0.5, jitter=1.5)
        network.run(until=120.0)
        assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED), f"seed {seed}"


def test_a_repeated_client_hello_is_answered_before_our_timer() -> None:
    dtls = ours(DtlsRole.SERVER)
    [hello] = OpenSslPeer.make(DtlsRole.CLIENT).step()
    dtls.receive(hello, 0.0)
    lost = dtls.datagrams_to_send()
    dtls.receive(hello, 0.05)
    assert dtls.datagrams_to_send() == lost
    dtls.receive(hello, 0.06)
    assert dtls.datagrams_to_send() == []
    assert dtls.get_timer() == 1.0


def test_a_lost_last_flight_is_repeated_when_the_client_repeats_its_own() -> None:
    client, server = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    for _ in range(2):
        for datagram in client.datagrams_to_send():
            server.receive(datagram, 0.0)
        last = server.datagrams_to_send()
        if server.state is DtlsState.CONNECTED:
            break
        client.receive(last[0], 0.0)
    assert events(client) == []  # the last flight is lost

    client.handle_timer(1.0)
    for datagram in client.datagrams_to_send():
        server.receive(datagram, 1.0)
    assert server.datagrams_to_send() == last
    client.receive(last[0], 1.1)
    assert client.state is DtlsState.CONNECTED


def test_a_doubled_last_flight_causes_no_endless_exchange() -> None:
    client, server = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    last: list[bytes] = []
    for _ in range(2):
        for datagram in client.datagrams_to_send():
            server.receive(datagram, 0.0)
        last = server.datagrams_to_send()
        client.receive(last[0], 0.0)
    assert client.state is DtlsState.CONNECTED
    client.receive(last[0], 1.0)
    assert client.datagrams_to_send() == []


def test_a_repeated_flight_of_several_datagrams_is_answered_once() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT)
    for datagram in peer.step():
        dtls.receive(datagram, 0.0)
    flight = peer.step(dtls.datagrams_to_send())
    assert len(flight) > 2
    for datagram in flight:
        dtls.receive(datagram, 0.0)
    last = dtls.datagrams_to_send()
    for datagram in flight:
        dtls.receive(datagram, 1.0)
    assert dtls.datagrams_to_send() == last
