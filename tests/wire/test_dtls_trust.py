"""A DTLS handshake succeeds only with the peer whose certificate matches."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import usable_fingerprints
from sfu.wire.dtls.dtls import (
    DtlsRole,
    DtlsState,
)
from tests.wire.dtls_peers import (
    OURS,
    THEIRS,
    OpenSslPeer,
    both_roles,
    exchange,
    failure_of,
    opposite,
    ours,
    theirs,
)


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
