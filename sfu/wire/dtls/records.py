"""The parts of DTLS records (RFC 6347 section 4.1) that are readable without keys."""

import struct
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from sfu.wire.errors import BadDatagram

MAX_DATAGRAM: Final = 1200
"""Largest datagram that we send, in bytes: it passes every path that carries WebRTC."""

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23

_HEADER = struct.Struct("!BHHHIH")
_MESSAGE_HEADER_SIZE: Final = 12
_VERSIONS: Final = (0xFEFF, 0xFEFD)
_FATAL: Final = 2
_MAX_RECORD: Final = 2**14 + 2048
_MAX_MESSAGE: Final = 2**14
"""Largest handshake message in bytes.  OpenSSL allocates the size that a fragment claims."""


@frozen
class Record:
    """One record.  ``raw`` is the whole record, ``fragment`` its content behind the header."""

    content_type: int
    epoch: int
    raw: bytes

    @property
    def fragment(self) -> bytes:
        return self.raw[_HEADER.size :]

    @property
    def message_sequence(self) -> int | None:
        """The number of the handshake message that a plain-text record begins with (RFC 6347 section 4.2.2)."""
        if self.content_type != HANDSHAKE or self.epoch != 0:
            return None
        return int.from_bytes(self.fragment[4:6], "big")

    def renumbered(self, sequence: int) -> bytes:
        """The record with another sequence number.  Only plain-text records stay valid with it."""
        return self.raw[:5] + sequence.to_bytes(6, "big") + self.raw[11:]


def parse_records_untrusted(datagram: bytes) -> list[Record]:
    """The records of a datagram.

    Raises ``BadDatagram`` for wrong framing, for versions above DTLS 1.2, and for epochs that only a renegotiation has.
    """
    if not datagram:
        raise BadDatagram("an empty datagram")
    records = []
    position = 0
    while position < len(datagram):
        if len(datagram) - position < _HEADER.size:
            raise BadDatagram("less than a record header")
        content_type, version, epoch, _, _, length = _HEADER.unpack_from(datagram, position)
        end = position + _HEADER.size + length
        if version not in _VERSIONS or not 0 < length <= _MAX_RECORD or end > len(datagram):
            raise BadDatagram("not a record of DTLS 1.2")
        if not CHANGE_CIPHER_SPEC <= content_type <= APPLICATION_DATA or epoch > 1:
            raise BadDatagram("a record of no use here")
        records.append(Record(content_type, epoch, datagram[position:end]))
        position = end
    return records


def is_plausible_untrusted(record: Record, messages: frozenset[int]) -> bool:
    """Whether this record may be part of a handshake in which the peer sends these types of messages.

    RFC 6347 section 4.1.2.7 wants invalid records ignored.  But OpenSSL ends a handshake after nonsense in plain text,
    and after a handful of warnings.  So none of these reach it.  The keys decide about encrypted records.
    """
    if record.epoch != 0:
        return True
    if record.content_type == HANDSHAKE:
        return _holds_messages_untrusted(record.fragment, messages)
    if record.content_type == ALERT:
        return len(record.fragment) == 2 and record.fragment[0] == _FATAL
    return record.content_type == CHANGE_CIPHER_SPEC and record.fragment == b"\x01"


def _holds_messages_untrusted(fragment: bytes, messages: frozenset[int]) -> bool:
    """Whether it holds whole fragments of handshake messages of these types (RFC 6347 section 4.2.2)."""
    position = 0
    while position < len(fragment):
        if len(fragment) - position < _MESSAGE_HEADER_SIZE or fragment[position] not in messages:
            return False
        length, offset, size = (
            int.from_bytes(fragment[position + start : position + start + 3], "big") for start in (1, 6, 9)
        )
        if length > _MAX_MESSAGE or offset + size > length or (size == 0 and length != 0):
            return False
        position += _MESSAGE_HEADER_SIZE + size
    return position == len(fragment)


def pack(records: Iterable[Record]) -> list[bytes]:
    """Put records, in order, into as few datagrams as hold them."""
    datagrams: list[bytes] = []
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record.raw) <= MAX_DATAGRAM:
            datagrams[-1] += record.raw
        else:
            datagrams.append(record.raw)
    return datagrams
