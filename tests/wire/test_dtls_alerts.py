"""The end of an association whose OpenSSL was freed.  The peers here keep OpenSSL to the end."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

from sfu.wire.dtls.alerts import AlertReader, prf
from sfu.wire.dtls.dtls import Dtls, DtlsClosed, DtlsRole, DtlsState
from tests.wire.dtls_peers import OpenSslPeer, events, ours

AEAD = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
OTHERS = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"]

both_roles = pytest.mark.parametrize("role", [DtlsRole.CLIENT, DtlsRole.SERVER])


def connected(role: DtlsRole, cipher: str = AEAD[0]) -> tuple[Dtls, OpenSslPeer]:
    """A ``Dtls`` in that role, and a peer with this cipher alone."""
    opposite = DtlsRole.SERVER if role is DtlsRole.CLIENT else DtlsRole.CLIENT
    dtls, peer = ours(role), OpenSslPeer.make(opposite, ciphers=cipher)
    peer.shake_hands(dtls)
    assert dtls.state is DtlsState.CONNECTED
    assert peer.connection.get_cipher_name() == cipher
    events(dtls)
    return dtls, peer


@pytest.mark.parametrize("cipher", AEAD + OTHERS)
@both_roles
def test_our_close_notify_is_valid_with_every_cipher(role: DtlsRole, cipher: str) -> None:
    dtls, peer = connected(role, cipher)
    dtls.close()
    for datagram in dtls.datagrams_to_send():
        peer.connection.bio_write(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        peer.connection.recv(1)


@pytest.mark.parametrize("cipher", AEAD + OTHERS)
@both_roles
def test_the_peers_close_notify_ends_the_association_with_every_cipher(role: DtlsRole, cipher: str) -> None:
    dtls, peer = connected(role, cipher)
    peer.connection.shutdown()
    (goodbye,) = peer.written()
    dtls.receive(goodbye, 1.0)
    assert dtls.state is DtlsState.CLOSED
    assert events(dtls) == [DtlsClosed("close_notify")]
    assert len(dtls.datagrams_to_send()) == 1


@pytest.mark.parametrize("cipher", AEAD)
@both_roles
def test_nobody_but_the_peer_can_end_it(role: DtlsRole, cipher: str) -> None:
    dtls, peer = connected(role, cipher)
    peer.connection.shutdown()
    (goodbye,) = peer.written()
    for place in (10, 13, 21, 22, len(goodbye) - 1):  # number, nonce, alert, tag
        forged = bytearray(goodbye)
        forged[place] ^= 1
        dtls.receive(bytes(forged), 1.0)
    dtls.receive(goodbye[:11] + b"\x00\x08" + goodbye[13:21], 1.0)
    assert events(dtls) == []
    dtls.receive(goodbye, 1.0)
    assert events(dtls) == [DtlsClosed("close_notify")]


@pytest.mark.parametrize("cipher", AEAD + OTHERS)
@both_roles
def test_data_of_the_peer_does_not_end_the_association(role: DtlsRole, cipher: str) -> None:
    dtls, peer = connected(role, cipher)
    peer.connection.send(b"hello")
    for datagram in peer.written():
        dtls.receive(datagram, 1.0)
    assert dtls.state is DtlsState.CONNECTED
    assert events(dtls) == []
    assert dtls.datagrams_to_send() == []


def sealed_alert(peer: OpenSslPeer, role: DtlsRole, alert: bytes) -> bytes:
    """A record that the peer might send if we are in ``role``."""
    writes = AlertReader.of(peer.connection, is_client=role is DtlsRole.CLIENT)
    assert writes is not None
    number = bytes.fromhex("0001000000000009")
    head = b"\x15\xfe\xfd"
    sealed = AESGCM(writes.key).encrypt(writes.salt + number, alert, number + head + len(alert).to_bytes(2, "big"))
    return head + number + (len(number) + len(sealed)).to_bytes(2, "big") + number + sealed


@pytest.mark.parametrize(
    ("alert", "ends"),
    [
        pytest.param(b"\x02\x28", "fatal alert 40", id="fatal"),
        pytest.param(b"\x02\x00", "close_notify", id="close_notify that calls itself fatal"),
        pytest.param(b"\x01\x64", None, id="a warning"),
        pytest.param(b"\x02", None, id="half an alert"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\x01\x00\x01\x00", None, id="two"),
    ],
)
@both_roles
def test_close_notify_and_fatal_alerts_end_the_association(role: DtlsRole, alert: bytes, ends: str | None) -> None:
    dtls, peer = connected(role)
    dtls.receive(sealed_alert(peer, role, alert), 1.0)
    assert events(dtls) == ([] if ends is None else [DtlsClosed(ends)])
    assert dtls.state is (DtlsState.CONNECTED if ends is None else DtlsState.CLOSED)


def test_an_alert_right_after_the_handshake_is_not_lost() -> None:
    """It may come in one datagram with the end of the handshake, which OpenSSL still reads."""
    dtls, peer = ours(DtlsRole.CLIENT), OpenSslPeer.make(DtlsRole.SERVER)
    to_peer = dtls.datagrams_to_send()
    while not peer.done:
        to_ours = peer.step(to_peer)
        if peer.done:
            peer.connection.shutdown()
            to_ours = [b"".join((*to_ours, *peer.written()))]
        for datagram in to_ours:
            dtls.receive(datagram, 0.0)
        to_peer = dtls.datagrams_to_send()
    assert events(dtls)[-1] == DtlsClosed("close_notify")


def test_the_pseudorandom_function_of_tls() -> None:
    """A vector with SHA-256 that TLS implementations share."""
    made = prf(
        bytes.fromhex("9bbe436ba940f017b17652849a71db35"),
        b"test label" + bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c"),
        100,
        "sha256",
    )
    assert made.hex() == (
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
        "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        "87347b66"
    )
