"""Keys and tokens for tests. A forger makes tokens of any header, claims and signature."""

import base64
import functools
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = 1_800_000_000.0
SECRET = b"the secret of the tests, 32 bytes".replace(b" ", b"_")
OTHER_SECRET = SECRET.replace(b"tests", b"evils")
CLAIMS: dict[str, Any] = {"sub": "anna", "exp": NOW + 60, "channel": "lobby", "can": ["publish", "subscribe"]}


@functools.cache
def private_key(algorithm: str) -> Any:
    """Return the one private key of the tests for this algorithm."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def public_pem(algorithm: str) -> bytes:
    return pem_of(private_key(algorithm).public_key())


def pem_of(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def private_pem(algorithm: str) -> bytes:
    key = private_key(algorithm)
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def public_jwk(algorithm: str, **more: Any) -> dict[str, Any]:
    made = jwt.algorithms.get_default_algorithms()[algorithm].to_jwk(private_key(algorithm).public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | more


def write_key(folder: Path, name: str, content: bytes | dict[str, Any]) -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(file)


def sign(claims: dict[str, Any] = CLAIMS, key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers=header or None)


def part(content: bytes | dict[str, Any]) -> str:
    """One part of a made-up token: some bytes, or JSON, in base64url."""
    read = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(read).rstrip(b"=").decode()
