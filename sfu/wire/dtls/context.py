"""The OpenSSL context that all DTLS connections with one certificate share."""

from typing import Final

from attrs import define
from OpenSSL import SSL, crypto

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import Certificate, certificate_matches
from sfu.wire.dtls.records import MAX_DATAGRAM
from sfu.wire.srtp import SrtpProfile

_DTLS_1_2: Final = 0xFEFD

_CIPHERS: Final = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
    # Our own certificate is ECDSA.  A peer in the server role may have an RSA one.
    for signature in ("ECDSA", "RSA")
)

_PREFERRED_PROFILES: Final = (
    SrtpProfile.AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80,
)


@define
class PeerCheck:
    """Whether the peer of one connection showed a certificate of these fingerprints."""

    fingerprints: tuple[DtlsFingerprint, ...]
    passed: bool = False
    failed: bool = False


class DtlsContext:
    """The router's certificate, ciphers and SRTP profiles, for both DTLS roles.  Make it once."""

    def __init__(self, certificate: Certificate) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(
            SSL.OP_NO_QUERY_MTU
            | SSL.OP_NO_TICKET
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_NO_COMPRESSION
            | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(_CIPHERS.encode())
        context.set_tlsext_use_srtp(":".join(profile.value for profile in _PREFERRED_PROFILES).encode())
        context.use_certificate(certificate.x509)
        context.use_privatekey(certificate.key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        self._context = context

    def connection(self, check: PeerCheck, *, is_client: bool) -> SSL.Connection:
        """A new connection on memory BIOs.  It notes in ``check`` whether the peer's certificate fits."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(check)
        connection.set_ciphertext_mtu(MAX_DATAGRAM)
        if is_client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return connection


def _verify(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """Trust by fingerprint alone (RFC 8122 section 6.2).  Signature and dates of the certificate do not matter.

    A refusal here, in the middle of the handshake, sends the peer an alert and keeps our last flight back.
    """
    check = connection.get_app_data()
    if depth == 0 and not check.passed:
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        check.passed = certificate_matches(der, check.fingerprints)
        check.failed = not check.passed
    return depth != 0 or bool(check.passed)
