"""Sending a flight of a handshake again until it is answered (RFC 6347 section 4.2.4).

OpenSSL's own timer runs in real time.  This one runs on the caller's clock: it keeps the records of the last flight and
sends them again unchanged.
"""

from collections.abc import Sequence
from typing import Final

from sfu.wire.dtls.records import Record, pack

FIRST_TIMEOUT: Final = 1.0
LONGEST_TIMEOUT: Final = 8.0
MAX_RESENDS: Final = 12
"""The handshake fails after this many repetitions without an answer, some 80 s.  A transport gives up earlier."""

REPEAT_GAP: Final = 0.02
"""Seconds between repetitions that the peer causes: its repeated flight is several datagrams, and one is enough."""


class Flight:
    """The flight that waits for its answer, with its timer."""

    def __init__(self) -> None:
        self.resend_at: float | None = None
        self.resends = 0
        self._datagrams: list[bytes] = []
        self._timeout = FIRST_TIMEOUT
        self._began_at = 0.0
        self._last_sent_at = 0.0
        self._next_message = 0
        self._changed_cipher = False

    def begin(self, records: Sequence[Record], now: float) -> list[bytes]:
        """Begin a new flight with the new ones of these records.  Returns the datagrams to send, if any.

        Records that were sent before are left out: OpenSSL repeats them on its own timer, even before a new flight.
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
        self._began_at = self._last_sent_at = now
        return list(self._datagrams)

    def since(self, now: float) -> float:
        """Seconds since the flight was first sent.  At its answer this is a round trip, or more after a loss."""
        return now - self._began_at

    def _is_new(self, record: Record) -> bool:
        # The cipher changes once in a handshake.  Later records are encrypted, so their message numbers are hidden.
        if record.message_sequence is None:
            return not self._changed_cipher
        return record.message_sequence >= self._next_message

    def resend(self, now: float) -> list[bytes]:
        """Send the flight again, and wait twice as long."""
        self.resends += 1
        self._timeout = min(self._timeout * 2, LONGEST_TIMEOUT)
        self.resend_at = now + self._timeout
        self._last_sent_at = now
        return list(self._datagrams)

    def finish(self, *, keep: bool) -> None:
        """The handshake is done.  ``keep`` our flight if it was the last, which nobody acknowledges."""
        self.resend_at = None
        if not keep:
            self._datagrams = []

    def repeat(self, now: float) -> list[bytes]:
        """The peer repeated its flight, so our answer was lost.  Returns our flight, unless it left just now."""
        if now - self._last_sent_at < REPEAT_GAP:
            return []
        self._last_sent_at = now
        return list(self._datagrams)
