"""The self-signed certificate of the gateway, and the check of a peer's against its fingerprints (RFC 8122)."""

import datetime
from collections.abc import Sequence

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.parameters import DtlsFingerprint


@frozen
class Certificate:
    """A P-256 key with its self-signed certificate (RFC 8827 section 6.5)."""

    key: ec.EllipticCurvePrivateKey
    x509: x509.Certificate

    @property
    def fingerprint(self) -> DtlsFingerprint:
        """The sha-256 fingerprint, upper-case hex (RFC 8122 section 5)."""
        raise NotImplementedError


def generate_certificate(today: datetime.datetime) -> Certificate:
    """A new key and certificate, valid from a day before ``today`` (aware, UTC) for a year."""
    raise NotImplementedError


def usable_fingerprints(fingerprints: Sequence[DtlsFingerprint]) -> tuple[DtlsFingerprint, ...]:
    """Those that we can check, in lower case: sha-256, sha-384 and sha-512 of the right length.

    Raises ``ValueError`` when there are none.
    """
    raise NotImplementedError


def certificate_matches(certificate: x509.Certificate, fingerprints: Sequence[DtlsFingerprint]) -> bool:
    """Does any of the fingerprints fit?  Unknown algorithms are ignored (RFC 8122 section 5.1)."""
    raise NotImplementedError
