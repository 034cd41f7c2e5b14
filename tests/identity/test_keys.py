"""The files of keys that the gateway accepts, and those that would be dangerous."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.identity.keys import KeyFileError, load_keys
from tests.identity.made_up_keys import SECRET, pem_of, private_key, private_pem, public_jwk, public_pem, write_key


def secret_jwk(kid: str | None, secret: bytes = SECRET) -> dict[str, Any]:
    made = {"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}
    return made if kid is None else {**made, "kid": kid}


def refused(*files: str) -> str:
    with pytest.raises(KeyFileError) as error:
        load_keys(files)
    return str(error.value)


def test_a_secret_file_has_the_name_of_its_key(tmp_path: Path) -> None:
    (key,) = load_keys([write_key(tmp_path, "2026.secret", SECRET + b"\n")])
    assert (key.kid, key.algorithm, key.verifying, key.signing) == ("2026", "HS256", SECRET, SECRET)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_private_key_also_signs_and_a_public_one_does_not(tmp_path: Path, algorithm: str) -> None:
    (private,) = load_keys([write_key(tmp_path, "k1.pem", private_pem(algorithm))])
    (public,) = load_keys([write_key(tmp_path, "k1.pem", public_pem(algorithm))])
    assert (private.kid, private.algorithm) == (public.kid, public.algorithm) == ("k1", algorithm)
    assert private.signing is not None
    assert public.signing is None
    assert pem_of(private.verifying) == pem_of(public.verifying)


def test_a_set_may_hold_keys_of_several_kinds(tmp_path: Path) -> None:
    written = [public_jwk(name, kid=name) for name in ("EdDSA", "ES256", "RS256")] + [secret_jwk("HS256")]
    keys = load_keys([write_key(tmp_path, "keys.json", {"keys": written})])
    assert [key.algorithm for key in keys] == [key.kid for key in keys] == ["EdDSA", "ES256", "RS256", "HS256"]


def test_keys_for_other_purposes_in_a_set_are_ignored(tmp_path: Path) -> None:
    others = [
        public_jwk("RS256", kid="a", use="enc"),
        public_jwk("RS256", kid="b", alg="RSA-OAEP"),
        public_jwk("RS256", kid="c", alg="PS256"),
        {"kty": "EC", "crv": "P-384", "kid": "d"},
        {"kty": "new", "kid": "e"},
        {**secret_jwk("f"), "alg": "none"},
    ]
    file = write_key(tmp_path, "keys.json", {"keys": [*others, public_jwk("ES256", kid="g")]})
    assert [key.kid for key in load_keys([file])] == ["g"]
    assert "has no key for signatures" in refused(write_key(tmp_path, "others.json", {"keys": others}))


@pytest.mark.parametrize("length", [1, 31])
def test_a_short_secret_is_refused(tmp_path: Path, length: int) -> None:
    assert "less than 32 bytes" in refused(write_key(tmp_path, "k.secret", SECRET[:length]))
    assert "less than 32 bytes" in refused(write_key(tmp_path, "k.json", secret_jwk("k", SECRET[:length])))


def test_a_public_key_is_never_taken_for_a_secret(tmp_path: Path) -> None:
    key = private_key("EdDSA").public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ssh = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    in_base64, in_base64url = base64.b64encode(der), base64.urlsafe_b64encode(der).rstrip(b"=")
    broken = json.dumps({"keys": [public_jwk("ES256", kid="a")]}).encode()[:-1]
    for content in (der, ssh, in_base64, in_base64url, broken, SECRET + b" " + SECRET, SECRET + b"\n" + SECRET):
        assert SECRET.decode() not in refused(write_key(tmp_path, "k", content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": 1}]}',
        b"{" * 40000,
        b"[" * 40000,
    ],
)
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    assert str(tmp_path / "k") in refused(write_key(tmp_path, "k", content))


def test_a_broken_key_is_refused_without_quoting_it(tmp_path: Path) -> None:
    wrong = {**public_jwk("ES256", kid="a"), "x": "private-detail"}
    for content in (wrong, {"kty": "oct", "kid": "b"}, {"kty": "oct", "k": "!private-detail!"}):
        assert "private-detail" not in refused(write_key(tmp_path, "k.json", content))
    pem = public_pem("RS256").replace(b"A", b"!")
    assert "must be a public key" in refused(write_key(tmp_path, "k.pem", pem))


def test_weak_and_foreign_keys_are_refused(tmp_path: Path) -> None:
    small = rsa.generate_private_key(65537, 1024).public_key()
    assert "less than 2048 bits" in refused(write_key(tmp_path, "k.pem", pem_of(small)))
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert "must be a key of Ed25519, P-256 or RSA" in refused(write_key(tmp_path, "k.pem", pem_of(other)))


def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    pem = private_key("EdDSA").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    assert "without a passphrase" in refused(write_key(tmp_path, "k.pem", pem))


def test_several_keys_need_different_ids(tmp_path: Path) -> None:
    first = write_key(tmp_path, "a.secret", SECRET)
    again = write_key(tmp_path, "a.pem", public_pem("EdDSA"))
    nameless = write_key(tmp_path, "nameless.json", secret_jwk(None))
    assert "same id" in refused(first, again)
    assert "needs an id" in refused(first, nameless)
    assert [key.kid for key in load_keys([nameless])] == [None]


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    assert "cannot read the token key" in refused(str(tmp_path / "missing"))
    assert "cannot read the token key" in refused(str(tmp_path))
    assert "65536 bytes" in refused(write_key(tmp_path, "huge", b"x" * 70_000))
