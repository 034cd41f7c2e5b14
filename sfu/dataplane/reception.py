"""What was received of one SSRC, as receiver reports want it (RFC 3550 appendices A.1, A.3, A.8)."""

_MAX_DROPOUT = 3000  # RFC 3550 appendix A.1: whoever skips more has begun anew and lost nothing
_MAX_PAUSE = 5.0  # seconds; a timestamp that jumps further says nothing about the network


class Reception:
    """Counts and extends sequence numbers.

    Every packet has authenticated and passed replay protection, so appendix A.1's probation is not needed: a sequence
    number is within half a cycle of the newest, and that decides the cycle.
    """

    __slots__ = (
        "_base",
        "_clock_rate",
        "_jitter",
        "_transit",
        "bytes",
        "highest_sequence",
        "last_at",
        "last_timestamp",
        "packets",
    )

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._base = 0
        self._jitter = 0.0
        self._transit = 0.0
        self.packets = 0
        self.bytes = 0
        self.highest_sequence = 0
        self.last_timestamp = 0
        self.last_at: float | None = None

    def arrived(self, sequence_number: int, timestamp: int, size: int, now: float) -> int:
        """Count a packet of ``size`` bytes; its sequence number, extended by its cycles."""
        self.packets += 1
        self.bytes += size
        if self.last_at is None:
            self._base = self.highest_sequence = extended = sequence_number
            self._transit = now * self._clock_rate - timestamp
        else:
            step = ((sequence_number - self.highest_sequence + 0x8000) & 0xFFFF) - 0x8000
            extended = self.highest_sequence + step
            if step <= 0:
                return extended
            if step >= _MAX_DROPOUT:
                self._base += step - 1
            self.highest_sequence = extended
            if timestamp != self.last_timestamp:
                self._measure_jitter(timestamp, now)
        self.last_timestamp = timestamp
        self.last_at = now
        return extended

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        """Once per timestamp: the packets of one video frame leave in a burst, which is not the network's doing."""
        transit = now * self._clock_rate - timestamp
        # Timestamps wrap; what counts is the difference, which is small.
        change = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
        self._transit = transit
        if change < _MAX_PAUSE * self._clock_rate:
            self._jitter += (change - self._jitter) / 16

    @property
    def expected(self) -> int:
        return self.highest_sequence - self._base + 1 if self.packets else 0

    @property
    def lost(self) -> int:
        return self.expected - self.packets

    @property
    def jitter(self) -> int:
        """In timestamp units."""
        return int(self._jitter)
