"""DTLS handshakes give keys to the right peer and to no other."""

import contextlib
import random
from collections.abc import Callable

import aiortc.rtcdtlstransport
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import usable_fingerprints
from sfu.wire.dtls.dtls import (
    MAX_HANDSHAKE_DATAGRAMS,
    Dtls,
    DtlsClosed,
    DtlsConnected,
    DtlsFailed,
    DtlsRole,
    DtlsState,
)
from sfu.wire.errors import BadDatagram
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.wire.dtls_peers import (
    CIPHERS,
    OURS,
    THEIRS,
    TODAY,
    Network,
    OpenSslPeer,
    events,
    exchange,
    ours,
    theirs,
)

both_roles = pytest.mark.parametrize("role", list(DtlsRole), ids=["as client", "as server"])


def opposite(role: DtlsRole) -> DtlsRole:
    return DtlsRole.SERVER if role is DtlsRole.CLIENT else DtlsRole.CLIENT


def keys_of(dtls: Dtls) -> SrtpKeys:
    [connected] = events(dtls)
    assert isinstance(connected, DtlsConnected)
    return connected.keys


def failure_of(dtls: Dtls) -> str:
    [failed] = events(dtls)
    assert isinstance(failed, DtlsFailed)
    assert dtls.state is DtlsState.FAILED
    assert dtls.get_timer() is None
    return failed.reason


def connected_pair(role: DtlsRole = DtlsRole.CLIENT) -> tuple[Dtls, Dtls]:
    one, other = ours(role), theirs(opposite(role))
    exchange(one, other)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    events(one), events(other)
    return one, other


# Both sides agree on keys and ciphers.


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


# Trust in the peer's certificate.


@both_roles
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_a_sha_512_fingerprint_in_any_case_is_enough(role: DtlsRole, case: Callable[[str], str]) -> None:
    value = case(THEIRS.x509.fingerprint(hashes.SHA512()).hex(":"))
    one, other = ours(role, [DtlsFingerprint(case("sha-512"), value)]), theirs(opposite(role))
    exchange(one, other)
    assert one.state is DtlsState.CONNECTED


@both_roles
def test_a_certificate_with_another_fingerprint_fails_and_gets_no_keys(role: DtlsRole) -> None:
    one, other = ours(role, [OURS.fingerprint]), theirs(opposite(role))
    exchange(one, other)
    assert failure_of(one) == "the peer's certificate has another fingerprint"
    assert "alert" in failure_of(other)


def test_a_server_sends_no_last_flight_to_a_wrong_certificate() -> None:
    dtls, peer = ours(DtlsRole.SERVER, [OURS.fingerprint]), OpenSslPeer.make(DtlsRole.CLIENT)
    peer.shake_hands(dtls)
    assert not peer.done
    assert peer.failed is not None


def test_a_client_without_a_certificate_is_refused() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT, certificate=None)
    peer.shake_hands(dtls)
    assert "certificate" in failure_of(dtls)
    assert peer.failed is not None


@both_roles
def test_a_peer_without_srtp_is_refused(role: DtlsRole) -> None:
    dtls, peer = ours(role), OpenSslPeer.make(opposite(role), profiles="")
    peer.shake_hands(dtls)
    assert failure_of(dtls) == "no SRTP profile in common"


@both_roles
def test_a_peer_that_refuses_us_is_a_failure(role: DtlsRole) -> None:
    dtls, peer = ours(role), OpenSslPeer.make(opposite(role), trusts=False)
    peer.shake_hands(dtls)
    assert "alert" in failure_of(dtls)


def test_a_client_that_shares_no_cipher_gets_an_alert() -> None:
    dtls, peer = ours(DtlsRole.SERVER), OpenSslPeer.make(DtlsRole.CLIENT, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    peer.shake_hands(dtls)
    assert failure_of(dtls) == "no shared cipher"
    assert peer.failed is not None


def test_no_fingerprint_that_can_be_checked_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="sha-256"):
        ours(DtlsRole.SERVER, [DtlsFingerprint("sha-1", "00:11")])
    assert usable_fingerprints([THEIRS.fingerprint])


# The end of an association.


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


# Handshakes on a bad network.


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


# Malformed and forged datagrams.


def test_garbage_in_the_middle_of_a_handshake_is_refused_and_changes_nothing() -> None:
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    rng = random.Random(7)
    forged = [
        b"",
        b"\x16",
        b"\x16\xfe\xfd" + bytes(9),
        b"\x16\x03\x03" + bytes(8) + b"\x00\x01\x00",
        b"\x16\xfe\xfd\x00\x02" + bytes(6) + b"\x00\x01\x00",
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x01\x00" + rng.randbytes(256),
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x0c\x0b\x00\x0f\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x0d\x0b\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00",
        b"\x15\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x01\x00",
        b"\x17\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x01\x00",
        b"\x14\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x01\x02",
        b"\x19\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x01\x02",
        *(bytes([rng.randrange(20, 64)]) + rng.randbytes(rng.randrange(1, 300)) for _ in range(50)),
    ]
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in forged if receiver.state is DtlsState.CONNECTING else ():
                with pytest.raises(BadDatagram):
                    receiver.receive(datagram, 0.0)
            for datagram in sender.datagrams_to_send():
                receiver.receive(datagram, 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(b"\x14\xfe\xfd\x00\x00\xff\xff\xff\xff\xff\xf0\x00\x01\x01", id="early change-cipher-spec"),
        pytest.param(b"\x16\xfe\xfd\x00\x01\xff\xff\xff\xff\xff\xf0\x00\x28" + bytes(40), id="forged Finished"),
        pytest.param(b"\x15\xfe\xfd\x00\x01\xff\xff\xff\xff\xff\xf0\x00\x28" + bytes(40), id="forged encrypted alert"),
    ],
)
@both_roles
def test_a_forged_record_with_a_high_number_disturbs_no_handshake(role: DtlsRole, forged: bytes) -> None:
    one, other = ours(role), theirs(opposite(role))
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            receiver.receive(forged, 0.0)
            for datagram in sender.datagrams_to_send():
                receiver.receive(datagram, 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


def test_forged_alerts_do_not_end_a_connection() -> None:
    one, _ = connected_pair()
    for epoch in (b"\x00\x00", b"\x00\x01"):
        one.receive(b"\x15\xfe\xfd" + epoch + bytes(5) + b"\x09\x00\x02\x02\x28", 1.0)
    one.receive(b"\x15\xfe\xfd\x00\x01" + bytes(5) + b"\x0a\x00\x20" + bytes(32), 1.0)
    assert one.state is DtlsState.CONNECTED
    assert events(one) == []


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3), st.integers(0, 5))
def test_mutated_dtls_raises_nothing_but_bad_datagram(changes: list[tuple[float, int]], untouched: int) -> None:
    # Positions are fractions of a datagram, because its length varies with the signatures.
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in sender.datagrams_to_send():
                mutated = bytearray(datagram)
                for place, value in changes if untouched <= 0 else ():
                    mutated[int(place * len(mutated))] = value
                untouched -= 1
                with contextlib.suppress(BadDatagram):
                    receiver.receive(bytes(mutated), 0.0)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 12))
def test_truncated_and_repeated_datagrams_do_no_harm(repeats: list[int], cut: int) -> None:
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    earlier: list[bytes] = []
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in sender.datagrams_to_send():
                with contextlib.suppress(BadDatagram):
                    receiver.receive(datagram[: -1 - cut], 0.0)
                receiver.receive(datagram, 0.0)
                earlier.append(datagram)
                for index in repeats:
                    with contextlib.suppress(BadDatagram):
                        receiver.receive(earlier[index % len(earlier)], 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


def test_a_handshake_of_endless_datagrams_fails() -> None:
    dtls = ours(DtlsRole.SERVER)
    hello = OpenSslPeer.make(DtlsRole.CLIENT).step()[0]
    for _ in range(MAX_HANDSHAKE_DATAGRAMS + 1):
        dtls.receive(hello, 0.0)
    assert failure_of(dtls) == "the peer sent too much in the handshake"


def test_starting_twice_is_a_programming_error() -> None:
    with pytest.raises(RuntimeError):
        ours(DtlsRole.SERVER).start(0.0)
