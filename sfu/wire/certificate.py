"""The router's self-signed certificate, and the check of a peer's certificate by its fingerprints (RFC 8122)."""

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.parameters import DtlsFingerprint

LIFETIME: Final = datetime.timedelta(days=365)
_CLOCK_SKEW: Final = datetime.timedelta(days=1)

_HASHES: Final[Mapping[str, str]] = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
"""Names of hash functions (RFC 8122 section 5), with those of :mod:`hashlib`."""


@frozen
class Certificate:
    """A P-256 key with its self-signed certificate (RFC 8827 section 6.5)."""

    key: ec.EllipticCurvePrivateKey
    x509: x509.Certificate

    @property
    def fingerprint(self) -> DtlsFingerprint:
        """The sha-256 fingerprint, upper-case hex (RFC 8122 section 5)."""
        return DtlsFingerprint("sha-256", self.x509.fingerprint(hashes.SHA256()).hex(":").upper())


def generate_certificate(today: datetime.datetime) -> Certificate:
    """A new key and certificate, valid from a day before ``today`` (aware) to a year after it."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The name does not matter: a peer knows us by the fingerprint alone.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WebRTC")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - _CLOCK_SKEW)
        .not_valid_after(today + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    return Certificate(key, certificate)


def usable_fingerprints(fingerprints: Sequence[DtlsFingerprint]) -> tuple[DtlsFingerprint, ...]:
    """Those of known hash functions (sha-256, sha-384 and sha-512), in lower case.

    The gateway has checked their form.  A malformed one would fit no certificate.

    Raises ``ValueError`` if there are none.
    """
    lower = (DtlsFingerprint(each.algorithm.lower(), each.value.lower()) for each in fingerprints)
    usable = tuple(each for each in lower if each.algorithm in _HASHES)
    if not usable:
        raise ValueError(f"no fingerprint of {', '.join(_HASHES)}")
    return usable


def certificate_matches(der: bytes, fingerprints: Sequence[DtlsFingerprint]) -> bool:
    """Whether any of the fingerprints fits the certificate in DER form (RFC 8122 section 5).

    Fingerprints of unknown hash functions are ignored.  The certificate is hashed, not parsed, so it may be anything.
    """
    return any(
        hashlib.new(_HASHES[each.algorithm.lower()], der).hexdigest() == each.value.lower().replace(":", "")
        for each in fingerprints
        if each.algorithm.lower() in _HASHES
    )
