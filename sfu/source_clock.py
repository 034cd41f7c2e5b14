"""The wall clock of a source, as its sender reports tell it (RFC 3550 section 6.4.1)."""

from attrs import define

from sfu.wire.ntp import middle, to_short

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

    @property
    def timeline(self) -> int | None:
        """What to add (mod 2**32) to its timestamps to get the NTP time in units of the clock rate.

        So all encodings of one sender meet on one timeline.  None before its first report.
        """
        if self.ntp is None:
            return None
        return ((self.ntp * self.clock_rate + NTP_SECOND // 2) // NTP_SECOND - self.timestamp) % (1 << 32)
