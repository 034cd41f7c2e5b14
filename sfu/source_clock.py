"""The wall clock of a source, as its sender reports tell it (RFC 3550 section 6.4.1)."""

from attrs import define

from sfu.wire.ntp import from_short, middle, to_short

#: One second in the 64-bit NTP format of sender reports.
NTP_SECOND = 1 << 32


@define
class SourceClock:
    """Which NTP time of the sender belongs to which RTP timestamp, from its newest report.

    Sender reports to receivers are made from it: the pair is moved on by the time that has passed here, so both
    halves stay on the sender's own clocks and audio and video of one sender stay in step at every receiver.
    """

    clock_rate: int
    ntp: int | None = None
    timestamp: int = 0
    at: float = 0

    def report(self, ntp: int, timestamp: int, now: float) -> None:
        """A sender report came: its 64-bit NTP time and RTP timestamp."""
        self.ntp, self.timestamp, self.at = ntp, timestamp, now

    def read(self, now: float) -> tuple[int, int] | None:
        """The sender's NTP time and RTP timestamp (before any offset) now, or None before its first report."""
        if self.ntp is None:
            return None
        passed = max(0.0, now - self.at)
        ntp = (self.ntp + int(passed * NTP_SECOND)) % (1 << 64)
        return ntp, (self.timestamp + int(passed * self.clock_rate)) % (1 << 32)

    def last_report(self, now: float) -> tuple[int, int]:
        """LSR and DLSR of a report block about this source (RFC 3550 section 6.4.1); zeros before its first report."""
        if self.ntp is None:
            return 0, 0
        return middle(self.ntp), to_short(now - self.at)

    def round_trip(self, last_report: int, delay: int, now: float) -> float | None:
        """The round trip in seconds to a receiver that reports this LSR and DLSR of reports made by :meth:`read`."""
        reading = self.read(now)
        if reading is None or not last_report:
            return None
        trip = (middle(reading[0]) - last_report - delay) & 0xFFFFFFFF
        # A negative trip (clocks stepping, a receiver that lies) is no measurement.
        return from_short(trip) if trip < 1 << 31 else None


def offset_between(reference: SourceClock, other: SourceClock) -> int | None:
    """What to add (mod 2**32) to ``other``'s timestamps to get ``reference``'s, for encodings of one producer."""
    if reference.ntp is None or other.ntp is None:
        return None
    apart = (other.ntp - reference.ntp + (1 << 63)) % (1 << 64) - (1 << 63)
    in_reference = reference.timestamp + round(apart * reference.clock_rate / NTP_SECOND)
    return (in_reference - other.timestamp) % (1 << 32)
