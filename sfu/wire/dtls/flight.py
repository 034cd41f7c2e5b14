"""Sending a flight of a handshake again until it is answered (RFC 6347 section 4.2.4).

OpenSSL has a timer of its own, but that one runs in real time.  Here the records of the last flight are kept and sent
again as they were, under the caller's clock.
"""

from collections.abc import Sequence
from typing import Final

from sfu.wire.dtls.records import Record, pack

FIRST_TIMEOUT: Final = 1.0
LONGEST_TIMEOUT: Final = 8.0
MAX_RESENDS: Final = 12
"""After so many without an answer the peer is given up, some 80 s; whoever owns the transport is less patient."""

REPEAT_GAP: Final = 0.02
"""A flight is not repeated for a peer's sake more often than this, in seconds: its own is several datagrams."""


class Flight:
    """The flight that waits for its answer, with its timer."""

    def __init__(self) -> None:
        self.resend_at: float | None = None
        self.resends = 0
        self._datagrams: list[bytes] = []
        self._timeout = FIRST_TIMEOUT
        self._last_sent_at = 0.0
        self._next_message = 0
        self._changed_cipher = False

    def begin(self, records: Sequence[Record], now: float) -> list[bytes]:
        """The next flight is among these records; gives the datagrams to send, none where there is none.

        What was sent before is left out: OpenSSL's own timer repeats, too, even in front of a new flight.
        """
        records = [record for record in records if self._is_new(record)]
        if not records:
            return []
        numbers = [record.message_sequence for record in records if record.message_sequence is not None]
        self._next_message = max([self._next_message, *(number + 1 for number in numbers)])
        self._changed_cipher = self._changed_cipher or len(numbers) < len(records)
        self._datagrams = pack(records)
        self._timeout = FIRST_TIMEOUT
        self.resends = 0
        self.resend_at = now + self._timeout
        self._last_sent_at = now
        return list(self._datagrams)

    def _is_new(self, record: Record) -> bool:
        # The cipher changes once in a handshake, and behind that everything is encrypted and has no number to see.
        if record.message_sequence is None:
            return not self._changed_cipher
        return record.message_sequence >= self._next_message

    def resend(self, now: float) -> list[bytes]:
        """The time has come: send it again, and wait twice as long."""
        self.resends += 1
        self._timeout = min(self._timeout * 2, LONGEST_TIMEOUT)
        self.resend_at = now + self._timeout
        self._last_sent_at = now
        return list(self._datagrams)

    def finish(self, *, keep: bool) -> None:
        """The handshake is done.  Keep the flight where ours was the last: nobody acknowledges it."""
        self.resend_at = None
        if not keep:
            self._datagrams = []

    def repeat(self, now: float) -> list[bytes]:
        """The peer repeats the flight that this one answers, so this one was lost: send it again."""
        if now - self._last_sent_at < REPEAT_GAP:
            return []
        self._last_sent_at = now
        return list(self._datagrams)
