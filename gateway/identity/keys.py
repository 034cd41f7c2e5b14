"""The keys that tokens are signed with, read from files.

A key decides its algorithm. So a token cannot choose another one, such as ``none``, or HS256 with a public key as its
secret (RFC 8725 section 3.1).
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

MAX_KEY_FILE_BYTES: Final = 64 * 1024
MIN_SECRET_BYTES: Final = 32
_ALGORITHMS: Final = {name: get_default_algorithms()[name] for name in ("HS256", "EdDSA", "ES256", "RS256")}
_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_SECRET: Final = re.compile(rb"[!-~]+")


class KeyFileError(Exception):
    """A key file cannot be used. The message names the file and the reason, and quotes nothing of the file."""


@frozen
class TokenKey:
    """A key with its id (``kid``) and its only algorithm.

    ``verifying`` checks signatures, ``signing`` makes them. ``signing`` is None for a public key.
    """

    kid: str | None
    algorithm: str
    verifying: Any = field(repr=False)
    signing: Any = field(repr=False)


def load_keys(files: Iterable[str]) -> tuple[TokenKey, ...]:
    """Read the keys of some files: JWKs and JWK sets (RFC 7517), PEM, or a secret in one line.

    Raises :exc:`KeyFileError`.
    """
    keys: list[TokenKey] = []
    for name in files:
        keys += _load(Path(name))
    ids = [key.kid for key in keys]
    if len(keys) > 1 and None in ids:
        raise KeyFileError("each of several token keys needs an id (kid)")
    if len(set(ids)) < len(ids):
        raise KeyFileError("two token keys have the same id (kid)")
    return tuple(keys)


def _load(path: Path) -> list[TokenKey]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES + 1).strip()
    except OSError as error:
        raise KeyFileError(f"cannot read the token key {path}: {error.strerror}") from None
    if len(content) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"the token key {path} has more than {MAX_KEY_FILE_BYTES} bytes")
    try:
        if content[:1] in (b"{", b"["):
            return list(_read_json(content))
        if b"-----BEGIN" in content:
            return [_read_pem(content, path.stem)]
        return [_read_secret(content, path.stem)]
    except _UnusableKey as error:
        raise KeyFileError(f"the token key {path} {error}") from None


class _UnusableKey(Exception):
    """The reason, as the end of a sentence that begins with the file."""


def _read_json(content: bytes) -> Iterator[TokenKey]:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        raise _UnusableKey("is not JSON") from None
    is_set = isinstance(read, dict) and isinstance(read.get("keys"), list)
    keys = [_read_jwk(entry) for entry in (read["keys"] if is_set else [read])]
    found = [key for key in keys if key is not None]
    if not found:
        raise _UnusableKey(f"has no key for signatures with {', '.join(_ALGORITHMS)}")
    yield from found


def _read_jwk(entry: Any) -> TokenKey | None:
    """Read one key of a set. None for a key with another purpose or algorithm (RFC 7517 section 5)."""
    if not isinstance(entry, dict):
        raise _UnusableKey("holds something else than JSON Web Keys")
    curves = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256", ("oct", None): "HS256"}
    kty, crv, kid = (entry.get(name) for name in ("kty", "crv", "kid"))
    if not all(value is None or isinstance(value, str) for value in (kty, crv, kid)):
        raise _UnusableKey("has a key whose kty, crv or kid is no text")
    algorithm = curves.get((kty or "", crv))
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    try:
        return _key(kid, algorithm, jwt.PyJWK(entry, algorithm).key)
    except _UnusableKey:
        raise
    except Exception:  # PyJWT raises many classes for broken keys, and some quote the key
        raise _UnusableKey(f"has a broken key for {algorithm}") from None


def _read_pem(content: bytes, kid: str) -> TokenKey:
    try:
        if b"PRIVATE KEY-----" in content:
            key: Any = serialization.load_pem_private_key(content, None)
        else:
            key = serialization.load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _UnusableKey("must be a public key, or a private one without a passphrase") from None
    public = _public(key)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return _key(kid, "EdDSA", key)
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return _key(kid, "ES256", key)
    if isinstance(public, rsa.RSAPublicKey):
        return _key(kid, "RS256", key)
    raise _UnusableKey("must be a key of Ed25519, P-256 or RSA")


def _read_secret(content: bytes, kid: str) -> TokenKey:
    # Everybody may know a public key. If one were taken for a secret, everybody could sign.
    if not _SECRET.fullmatch(content) or _is_public_key(content):
        raise _UnusableKey("is neither JSON nor PEM, nor a secret: printable ASCII in one line, without spaces")
    return _key(kid, "HS256", content)


def _is_public_key(content: bytes) -> bool:
    """Whether some text is the DER form of a public key, in base64 or base64url."""
    text = content.translate(_BASE64).rstrip(b"=")
    try:
        serialization.load_der_public_key(base64.b64decode(text + b"=" * (-len(text) % 4), validate=True))
    except (ValueError, UnsupportedAlgorithm):  # also no base64
        return False
    return True


def _key(kid: str | None, algorithm: str, key: Any) -> TokenKey:
    if isinstance(key, bytes):
        if len(key) < MIN_SECRET_BYTES:
            raise _UnusableKey(f"has a secret of less than {MIN_SECRET_BYTES} bytes")
        return TokenKey(kid, algorithm, key, key)
    public = _public(key)
    if isinstance(public, rsa.RSAPublicKey) and _ALGORITHMS[algorithm].check_key_length(public):
        raise _UnusableKey("has an RSA key of less than 2048 bits")
    return TokenKey(kid, algorithm, public, None if public is key else key)


def _public(key: Any) -> Any:
    return key.public_key() if hasattr(key, "public_key") else key
