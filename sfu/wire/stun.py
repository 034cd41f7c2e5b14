"""STUN Binding requests and their answers, as ICE uses them (RFC 8489, RFC 8445 section 7).

aioice decodes and computes; what it lets pass (lengths, order, duplicates, the cookie) is checked here first.
"""

import struct
from collections.abc import Iterator
from typing import Final

from aioice import stun
from attrs import field, frozen

from sfu.wire.errors import BadDatagram, UnexpectedMessage

MAX_SIZE: Final = 1500
"""Larger requests are dropped unread, in bytes.  A browser's are some 100, with DTLS inside some 1,300."""

_MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
_HEADER = struct.Struct("!HH4s12s")
_TYPE_AND_LENGTH = struct.Struct("!HH")

_BINDING_REQUEST: Final = 0x0001
_BINDING_SUCCESS: Final = 0x0101
_BINDING_ERROR: Final = 0x0111

_MESSAGE_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_XOR_MAPPED_ADDRESS: Final = 0x0020
_FINGERPRINT: Final = 0x8028

_FIRST_OPTIONAL_TYPE: Final = 0x8000


@frozen
class BindingRequest:
    """A Binding request whose form is right; whether it is authentic, :meth:`is_authentic` tells.

    ``username`` is ``<our ufrag>:<theirs>``.  ``unknown_attributes`` are the comprehension-required types that we do
    not know (RFC 8489 section 6.3.1).
    """

    transaction_id: bytes
    username: str
    use_candidate: bool
    controlled: bool
    unknown_attributes: tuple[int, ...]
    _message: stun.Message = field(repr=False, eq=False)

    @property
    def local_ufrag(self) -> str:
        """Our part of the username: what tells whose request this is (RFC 8445 section 7.2.2)."""
        return self.username.partition(":")[0]

    def is_authentic(self, password: str) -> bool:
        """Does MESSAGE-INTEGRITY fit this short-term password (RFC 8489 section 9.1)?"""
        return bool(self._message.check_message_integrity(password.encode()))


def parse_binding_request_untrusted(datagram: bytes) -> BindingRequest:
    """Read a Binding request.

    Raises ``UnexpectedMessage`` for STUN of another method or class, and ``BadDatagram`` for everything that is not
    well-formed STUN or carries no credentials (RFC 8445 section 7.2.2).  A FINGERPRINT must be right where there is
    one; it may be missing, as the integrity says more.
    """
    _check_header_untrusted(datagram)
    unknown = _check_attributes_untrusted(datagram)
    try:
        message = stun.parse_message(datagram)
    except (ValueError, LookupError, struct.error) as error:
        raise BadDatagram("an attribute's value is not what its type demands") from error
    attributes = message.attributes
    username = attributes.get("USERNAME", "")
    if ":" not in username:
        raise BadDatagram("no username of two fragments")
    if len(attributes.get("MESSAGE-INTEGRITY", b"")) != 20:
        raise BadDatagram("no message integrity of 20 bytes")
    return BindingRequest(
        transaction_id=message.transaction_id,
        username=username,
        use_candidate="USE-CANDIDATE" in attributes,
        controlled="ICE-CONTROLLED" in attributes,
        unknown_attributes=unknown,
        message=message,
    )


def _check_header_untrusted(datagram: bytes) -> None:
    """RFC 8489 section 5."""
    if not _HEADER.size <= len(datagram) <= MAX_SIZE:
        raise BadDatagram("too short or too long for STUN")
    message_type, length, cookie, _ = _HEADER.unpack_from(datagram)
    if cookie != _MAGIC_COOKIE:
        raise BadDatagram("no magic cookie")
    if length % 4 or length != len(datagram) - _HEADER.size:
        raise BadDatagram("the length is not that of the datagram")
    if message_type != _BINDING_REQUEST:
        raise UnexpectedMessage("not a Binding request")


def _check_attributes_untrusted(datagram: bytes) -> tuple[int, ...]:
    """Check the frame of every attribute (RFC 8489 section 14); gives the required types that nobody knows.

    What follows MESSAGE-INTEGRITY is not authenticated and ignored (section 9), but for FINGERPRINT.
    """
    seen: set[int] = set()
    unknown: list[int] = []
    for attribute in _attribute_types_untrusted(datagram):
        if _FINGERPRINT in seen:
            raise BadDatagram("something follows the fingerprint")
        if _MESSAGE_INTEGRITY in seen and attribute != _FINGERPRINT:
            continue
        if attribute in stun.ATTRIBUTES_BY_TYPE:
            if attribute in seen:
                raise BadDatagram("an attribute appears twice")
        elif attribute < _FIRST_OPTIONAL_TYPE and attribute not in seen:
            unknown.append(attribute)
        seen.add(attribute)
    return tuple(unknown)


def _attribute_types_untrusted(datagram: bytes) -> Iterator[int]:
    position = _HEADER.size
    while position < len(datagram):
        attribute, length = _TYPE_AND_LENGTH.unpack_from(datagram, position)
        position += _TYPE_AND_LENGTH.size + length + -length % 4
        if position > len(datagram):
            raise BadDatagram("an attribute is longer than what is left")
        yield attribute


def binding_success(request: BindingRequest, host: str, port: int, password: str) -> bytes:
    """The answer that tells the peer the address it was seen from (RFC 8489 section 7.3.1.1), IPv4 or IPv6."""
    mapped = stun.pack_xor_address((host, port), request.transaction_id)
    return _sealed(_BINDING_SUCCESS, request, [(_XOR_MAPPED_ADDRESS, mapped)], password)


def role_conflict(request: BindingRequest, password: str) -> bytes:
    """The 487 answer (RFC 8445 section 7.3.1.1): we are always controlled, so the peer has to control."""
    code = stun.pack_error_code((487, "Role Conflict"))
    return _sealed(_BINDING_ERROR, request, [(_ERROR_CODE, code)], password)


def unknown_attributes(request: BindingRequest, password: str) -> bytes:
    """The 420 answer (RFC 8489 section 6.3.1), which names the attributes that we do not know."""
    code = stun.pack_error_code((420, "Unknown Attribute"))
    types = struct.pack(f"!{len(request.unknown_attributes)}H", *request.unknown_attributes)
    return _sealed(_BINDING_ERROR, request, [(_ERROR_CODE, code), (_UNKNOWN_ATTRIBUTES, types)], password)


def _sealed(message_type: int, request: BindingRequest, attributes: list[tuple[int, bytes]], password: str) -> bytes:
    """The answer with MESSAGE-INTEGRITY and FINGERPRINT, which an ICE agent's must have (RFC 8445 section 7.3)."""
    header = _HEADER.pack(message_type, 0, _MAGIC_COOKIE, request.transaction_id)
    message = header + b"".join(_attribute(kind, value) for kind, value in attributes)
    message += _attribute(_MESSAGE_INTEGRITY, stun.message_integrity(message, password.encode()))
    message += _attribute(_FINGERPRINT, struct.pack("!I", stun.message_fingerprint(message)))
    return bytes(stun.set_body_length(message, len(message) - _HEADER.size))


def _attribute(kind: int, value: bytes) -> bytes:
    return _TYPE_AND_LENGTH.pack(kind, len(value)) + value + bytes(-len(value) % 4)
