"""Both sides of a DTLS handshake agree on keys, profile and cipher."""

import aiortc.rtcdtlstransport
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from sfu.parameters import DtlsFingerprint
from sfu.wire.dtls.dtls import (
    DtlsRole,
    DtlsState,
)
from sfu.wire.srtp import SrtpProfile
from tests.wire.dtls_peers import (
    CIPHERS,
    TODAY,
    OpenSslPeer,
    both_roles,
    exchange,
    keys_of,
    opposite,
    ours,
    theirs,
)


def test_the_keys_of_the_two_sides_mirror_each_other() -> None:
    client, server = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    exchange(client, server)
    one, other = keys_of(client), keys_of(server)
    assert one.profile is other.profile is SrtpProfile.AEAD_AES_128_GCM
    assert (one.send, one.receive) == (other.receive, other.send)
    assert one.send != one.receive
    assert len(one.send) == 16 + 12
    assert (client.state, server.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    assert (client.get_timer(), server.get_timer()) == (None, None)


@both_roles
def test_the_keys_equal_those_that_a_plain_openssl_peer_exports(role: DtlsRole) -> None:
    dtls, peer = ours(role), OpenSslPeer.make(opposite(role), profiles="SRTP_AEAD_AES_128_GCM")
    peer.shake_hands(dtls)
    keys = keys_of(dtls)
    material = peer.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
    client = material[:16] + material[32:44]
    server = material[16:32] + material[44:56]
    assert (keys.send, keys.receive) == ((client, server) if role is DtlsRole.CLIENT else (server, client))


@both_roles
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("SRTP_AES128_CM_SHA1_80", SrtpProfile.AES128_CM_SHA1_80),
        ("SRTP_AEAD_AES_256_GCM", SrtpProfile.AEAD_AES_256_GCM),
        ("SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", SrtpProfile.AES128_CM_SHA1_80),
    ],
)
def test_a_peer_gets_one_of_the_profiles_that_it_offers(role: DtlsRole, offered: str, chosen: SrtpProfile) -> None:
    dtls, peer = ours(role), OpenSslPeer.make(opposite(role), profiles=offered)
    peer.shake_hands(dtls)
    keys = keys_of(dtls)
    assert keys.profile is chosen
    assert peer.connection.get_selected_srtp_profile().decode() == chosen.value
    assert len(keys.send) == len(keys.receive) == chosen.key_length + chosen.salt_length


def test_as_server_we_prefer_aes_128_gcm_whatever_the_clients_order() -> None:
    dtls = ours(DtlsRole.SERVER)
    OpenSslPeer.make(DtlsRole.CLIENT, profiles="SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM").shake_hands(dtls)
    assert keys_of(dtls).profile is SrtpProfile.AEAD_AES_128_GCM


def test_as_server_we_prefer_aes_128_gcm_ciphers_too() -> None:
    peer = OpenSslPeer.make(DtlsRole.CLIENT, ciphers="ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
    peer.shake_hands(ours(DtlsRole.SERVER))
    assert peer.connection.get_cipher_name() == "ECDHE-ECDSA-AES128-GCM-SHA256"


@both_roles
def test_aiortcs_settings_work(role: DtlsRole) -> None:
    certificate = aiortc.rtcdtlstransport.RTCCertificate.generateCertificate()
    context = certificate._create_ssl_context(aiortc.rtcdtlstransport.SRTP_PROFILES)
    sha_512 = next(each for each in certificate.getFingerprints() if each.algorithm == "sha-512")
    dtls = ours(role, [DtlsFingerprint(sha_512.algorithm, sha_512.value)])
    OpenSslPeer.make(opposite(role), context=context).shake_hands(dtls)
    assert dtls.state is DtlsState.CONNECTED


@both_roles
def test_a_peer_may_have_an_rsa_certificate(role: DtlsRole) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RSA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, TODAY, TODAY)
    certificate = builder.sign(key, hashes.SHA256())
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_cipher_list(CIPHERS.encode())
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    fingerprint = DtlsFingerprint("sha-256", certificate.fingerprint(hashes.SHA256()).hex(":"))

    dtls = ours(role, [fingerprint])
    OpenSslPeer.make(opposite(role), context=context).shake_hands(dtls)
    assert dtls.state is DtlsState.CONNECTED


def test_a_client_hello_in_two_fragments_is_reassembled() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT)
    peer.connection.set_alpn_protos([bytes([65 + number]) * 200 for number in range(6)])
    hello = peer.step()
    assert [len(datagram) for datagram in hello] == [1200, len(hello[1])]
    dtls.receive(hello[0], 0.0)
    assert dtls.datagrams_to_send() == []
    dtls.receive(hello[1], 0.0)
    for datagram in peer.step(dtls.datagrams_to_send()):
        dtls.receive(datagram, 0.0)
    assert dtls.state is DtlsState.CONNECTED


@both_roles
def test_a_flight_fits_into_one_datagram(role: DtlsRole) -> None:
    # So no peer has to reassemble our flights, and no flight is lost in part.
    one, other = ours(role), theirs(opposite(role))
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            datagrams = sender.datagrams_to_send()
            assert len(datagrams) <= 1
            assert all(len(datagram) <= 1200 for datagram in datagrams)
            for datagram in datagrams:
                receiver.receive(datagram, 0.0)
    assert one.state is DtlsState.CONNECTED
