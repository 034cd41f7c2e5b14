"""The newest sender report of a source, as the reports that answer it want it (RFC 3550 section 6.4.1)."""

from attrs import define

from sfu.wire.ntp import middle, to_short


@define
class SourceClock:
    """Its 64-bit NTP time, and when it came."""

    ntp: int | None = None
    at: float = 0

    def report(self, ntp: int, now: float) -> None:
        """A sender report came."""
        self.ntp, self.at = ntp, now

    def last_report(self, now: float) -> tuple[int, int]:
        """LSR and DLSR of a report block about this source; zeros before its first report."""
        if self.ntp is None:
            return 0, 0
        return middle(self.ntp), to_short(now - self.at)
