"""Certificates are trusted by fingerprint alone."""

import datetime
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import Certificate, certificate_matches, generate_certificate, usable_fingerprints

TODAY = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
CERTIFICATE = generate_certificate(TODAY)
DER = CERTIFICATE.x509.public_bytes(Encoding.DER)


def fingerprint(algorithm: str, certificate: Certificate = CERTIFICATE) -> DtlsFingerprint:
    digest = hashlib.new(algorithm.replace("-", ""), certificate.x509.public_bytes(Encoding.DER))
    return DtlsFingerprint(algorithm, digest.hexdigest().upper())


def with_colons(fingerprint: DtlsFingerprint) -> DtlsFingerprint:
    value = fingerprint.value
    return DtlsFingerprint(fingerprint.algorithm, ":".join(value[i : i + 2] for i in range(0, len(value), 2)))


def test_the_certificate_is_p256_and_valid_around_the_day_it_was_given() -> None:
    assert isinstance(CERTIFICATE.key.curve, ec.SECP256R1)
    assert CERTIFICATE.x509.not_valid_before_utc < TODAY
    assert TODAY + datetime.timedelta(days=300) < CERTIFICATE.x509.not_valid_after_utc
    assert CERTIFICATE.x509.public_key() == CERTIFICATE.key.public_key()


def test_its_fingerprint_is_the_sha_256_of_the_der_form() -> None:
    assert CERTIFICATE.fingerprint == with_colons(fingerprint("sha-256"))


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_a_match_in_any_algorithm_and_case_is_enough(algorithm: str) -> None:
    right = with_colons(fingerprint(algorithm))
    lower = DtlsFingerprint(algorithm.upper(), right.value.lower())
    wrong = with_colons(fingerprint(algorithm, generate_certificate(TODAY)))
    assert certificate_matches(DER, [right])
    assert certificate_matches(DER, [lower])
    assert certificate_matches(DER, [wrong, right])
    assert not certificate_matches(DER, [wrong])


def test_unknown_algorithms_are_ignored() -> None:
    unknown = DtlsFingerprint("sha-1", "00:11")
    right = with_colons(fingerprint("sha-512"))
    assert certificate_matches(DER, [unknown, right])
    assert not certificate_matches(DER, [unknown])
    assert usable_fingerprints([unknown, right]) == (DtlsFingerprint("sha-512", right.value.lower()),)


@pytest.mark.parametrize(
    "useless",
    [[], [DtlsFingerprint("sha-1", "00:11")]],
    ids=["none", "unknown algorithm"],
)
def test_fingerprints_of_unknown_hash_functions_alone_are_an_error(useless: list[DtlsFingerprint]) -> None:
    with pytest.raises(ValueError, match="sha-256, sha-384, sha-512"):
        usable_fingerprints(useless)


@pytest.mark.parametrize(
    "malformed",
    [
        DtlsFingerprint("sha-256", ""),
        DtlsFingerprint("sha-256", ":".join(["0g"] * 32)),
        DtlsFingerprint("sha-256", with_colons(fingerprint("sha-256")).value[:-3]),
        DtlsFingerprint("sha-256", with_colons(fingerprint("sha-256")).value + ":00"),
        DtlsFingerprint("sha-512", with_colons(fingerprint("sha-256")).value),
    ],
    ids=["empty", "not hex", "too short", "too long", "another algorithm's"],
)
def test_a_malformed_fingerprint_fits_no_certificate(malformed: DtlsFingerprint) -> None:
    assert not certificate_matches(DER, usable_fingerprints([malformed]))
