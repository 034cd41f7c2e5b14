"""STUN messages (RFC 8489) as far as a client needs them to try a STUN or TURN server (RFC 8656)."""

import hashlib
import hmac
import secrets
import struct
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from attrs import frozen

HEADER_BYTES: Final = 20
_COOKIE: Final = 0x2112A442
_INTEGRITY_BYTES: Final = 24
_SUCCESS: Final = 0x0100
_UDP: Final = 17 << 24


class Method(IntEnum):
    """Requests."""

    BINDING = 0x0001
    ALLOCATE = 0x0003
    REFRESH = 0x0004


class Attribute(IntEnum):
    """The attributes that a client sends or reads."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    LIFETIME = 0x000D
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_TRANSPORT = 0x0019
    XOR_MAPPED_ADDRESS = 0x0020


class BadResponse(Exception):
    """Bytes that are no response to the request."""


@frozen
class Credential:
    """A long-term credential, with the realm and the nonce that the server gave."""

    username: str
    password: str
    realm: bytes
    nonce: bytes

    @property
    def key(self) -> bytes:
        """The key of MESSAGE-INTEGRITY (RFC 8489 section 9.2.2). Servers of this time expect MD5."""
        text = self.username.encode() + b":" + self.realm + b":" + self.password.encode()
        return hashlib.md5(text, usedforsecurity=False).digest()


@frozen
class Response:
    """A response. ``error`` is 0 after a success."""

    attributes: dict[int, bytes]
    error: int
    reason: str

    def address(self, attribute: Attribute) -> str | None:
        """The IP address in a XOR'ed address attribute, without the port. None without one."""
        value = self.attributes.get(attribute, b"")
        if len(value) not in (8, 20):
            return None
        mask = struct.pack("!I", _COOKIE) + self.attributes[_TRANSACTION]
        return str(ip_address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))))


# The key under which a response keeps its transaction id: no attribute has such a number.
_TRANSACTION: Final = -1


@frozen
class Request:
    """A request with a transaction id of its own."""

    method: Method
    transaction: bytes
    data: bytes

    @classmethod
    def make(cls, method: Method, credential: Credential | None = None, lifetime: int | None = None) -> "Request":
        """Make a request, signed if there is a credential."""
        transaction = secrets.token_bytes(12)
        body = b""
        if method is Method.ALLOCATE:
            body += _attribute(Attribute.REQUESTED_TRANSPORT, struct.pack("!I", _UDP))
        if lifetime is not None:
            body += _attribute(Attribute.LIFETIME, struct.pack("!I", lifetime))
        if credential is None:
            return cls(method, transaction, _header(method, len(body), transaction) + body)
        body += _attribute(Attribute.USERNAME, credential.username.encode())
        body += _attribute(Attribute.REALM, credential.realm) + _attribute(Attribute.NONCE, credential.nonce)
        # The length in the signed header already counts the signature.
        signed = _header(method, len(body) + _INTEGRITY_BYTES, transaction) + body
        signature = hmac.digest(credential.key, signed, "sha1")
        return cls(method, transaction, signed + _attribute(Attribute.MESSAGE_INTEGRITY, signature))

    def read_response_untrusted(self, data: bytes) -> Response:
        """Read the response to this request. Raises :exc:`BadResponse`."""
        if len(data) < HEADER_BYTES:
            raise BadResponse("too short for STUN")
        kind, length, cookie = struct.unpack("!HHI", data[:8])
        if cookie != _COOKIE or length != len(data) - HEADER_BYTES or data[8:HEADER_BYTES] != self.transaction:
            raise BadResponse("no STUN response to this request")
        if kind & ~0x0010 != self.method | _SUCCESS:
            raise BadResponse("another kind of STUN message")
        attributes = _read_attributes_untrusted(data[HEADER_BYTES:])
        attributes[_TRANSACTION] = self.transaction
        if kind == self.method | _SUCCESS:
            return Response(attributes, 0, "")
        value = attributes.get(Attribute.ERROR_CODE, b"")
        if len(value) < 4:
            raise BadResponse("an error without a number")
        reason = value[4:].decode(errors="replace")[:128]
        return Response(attributes, (value[2] & 7) * 100 + value[3], reason)


def missing_bytes(data: bytes) -> int:
    """How many bytes are missing until a message in a stream is whole. Its header has its length."""
    if len(data) < HEADER_BYTES:
        return HEADER_BYTES - len(data)
    return HEADER_BYTES + int.from_bytes(data[2:4], "big") - len(data)


def _header(method: Method, length: int, transaction: bytes) -> bytes:
    return struct.pack("!HHI", method, length, _COOKIE) + transaction


def _attribute(kind: Attribute, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _read_attributes_untrusted(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(body):
        kind, length = struct.unpack("!HH", body[at : at + 4])
        if at + 4 + length > len(body):
            raise BadResponse("an attribute behind the end")
        found.setdefault(kind, body[at + 4 : at + 4 + length])
        at += 4 + length + -length % 4
    return found
