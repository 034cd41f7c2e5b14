"""Binding requests as peers send them, and deliberately wrong ones."""

import itertools
import struct

from aioice import stun

_numbers = itertools.count()


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(*attributes: bytes, message_type: int = 0x0001, cookie: bytes = b"\x21\x12\xa4\x42") -> bytes:
    """A STUN message of these attributes, whether it makes sense or not.  Each has a transaction id of its own."""
    body = b"".join(attributes)
    transaction_id = next(_numbers).to_bytes(4) + bytes(range(8))
    return struct.pack("!HH4s12s", message_type, len(body), cookie, transaction_id) + body


def sealed(raw: bytes, password: str) -> bytes:
    """The message with MESSAGE-INTEGRITY and FINGERPRINT added."""
    raw += attribute(0x0008, stun.message_integrity(raw, password.encode()))
    raw += attribute(0x8028, struct.pack("!I", stun.message_fingerprint(raw)))
    return bytes(stun.set_body_length(raw, len(raw) - 20))


def request(username: str, password: str, *extra: bytes, controlled: bool = False, nominate: bool = False) -> bytes:
    """A connectivity check (RFC 8445 section 7.2.2)."""
    role = attribute(0x8029 if controlled else 0x802A, bytes(8))
    use_candidate = [attribute(0x0025, b"")] if nominate else []
    raw = message(
        attribute(0x0006, username.encode()), attribute(0x0024, b"\x6e\x7f\x1e\xff"), role, *use_candidate, *extra
    )
    return sealed(raw, password)


def refusal(check: bytes) -> bytes:
    """The answer of a client to a check without the client's password."""
    return struct.pack("!HH", 0x0111, 8) + check[4:20] + attribute(0x0009, b"\0\0\x04\0")


def success(check: bytes, password: str) -> bytes:
    """The answer of a client to a check with the client's password (RFC 8445 section 7.3)."""
    return sealed(struct.pack("!HH", 0x0101, 0) + check[4:20], password)
