"""The end of a DTLS association."""

import pytest
from OpenSSL import SSL

from sfu.wire.dtls.dtls import (
    DtlsClosed,
    DtlsRole,
    DtlsState,
)
from tests.wire.dtls_peers import (
    OpenSslPeer,
    both_roles,
    connected_pair,
    events,
    exchange,
    failure_of,
    ours,
)


@both_roles
def test_closing_sends_the_peer_a_close_notify(role: DtlsRole) -> None:
    one, other = connected_pair(role)
    one.close()
    assert one.state is DtlsState.CLOSED
    exchange(one, other)
    assert events(other) == [DtlsClosed("close_notify")]
    assert other.state is DtlsState.CLOSED
    assert events(one) == []


def test_a_peers_close_notify_is_answered_by_ours() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT)
    peer.shake_hands(dtls)
    peer.connection.shutdown()
    for datagram in peer.written():
        dtls.receive(datagram, 1.0)
    assert dtls.state is DtlsState.CLOSED
    for datagram in dtls.datagrams_to_send():
        peer.connection.bio_write(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        peer.connection.recv(1)


def test_closing_twice_or_before_the_handshake_sends_nothing() -> None:
    one, _ = connected_pair()
    one.close()
    assert len(one.datagrams_to_send()) == 1
    one.close()
    assert one.datagrams_to_send() == []

    early = ours(DtlsRole.SERVER)
    early.close()
    assert early.state is DtlsState.CLOSED
    assert early.datagrams_to_send() == []


def test_datagrams_after_the_end_are_ignored() -> None:
    one, other = connected_pair()
    other.close()
    goodbye = other.datagrams_to_send()
    one.close()
    one.datagrams_to_send()
    one.receive(goodbye[0], 1.0)
    assert one.datagrams_to_send() == []
    assert events(one) == []


def test_a_failed_handshake_stays_failed_when_closed() -> None:
    dtls = ours(DtlsRole.CLIENT)
    while (timer := dtls.get_timer()) is not None:
        dtls.handle_timer(timer)
    assert failure_of(dtls) == "the peer does not answer"
    dtls.close()
    assert dtls.state is DtlsState.FAILED


def test_data_over_dtls_is_read_and_dropped() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT)
    peer.shake_hands(dtls)
    events(dtls)
    for _ in range(3):
        peer.connection.send(b"data" * 200)
        for datagram in peer.written():
            dtls.receive(datagram, 1.0)
    assert dtls.state is DtlsState.CONNECTED
    assert dtls.datagrams_to_send() == []
    assert events(dtls) == []
