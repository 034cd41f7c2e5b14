"""Sending a flight of a handshake again until it is answered (RFC 6347 section 4.2.4).

OpenSSL has a timer of its own, but that one runs in real time.  Here the records of the last flight are kept and sent
again as they were, under the caller's clock.
"""

from collections.abc import Sequence
from typing import Final

from sfu.wire.dtls_records import Record, pack

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

    def begin(self, records: Sequence[Record], now: float) -> list[bytes]:
        """These records are the next flight; gives the datagrams to send.

        Nothing comes of a flight that was sent before: OpenSSL's own timer repeats, too.
        """
        sequences = [record.message_sequence for record in records]
        numbers = [number for number in sequences if number is not None]
        if sequences[0] is not None and sequences[0] < self._next_message:
            return []
        self._next_message = max([self._next_message, *(number + 1 for number in numbers)])
        self._datagrams = pack(records)
        self._timeout = FIRST_TIMEOUT
        self.resends = 0
        self.resend_at = now + self._timeout
        self._last_sent_at = now
        return list(self._datagrams)

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
