"""The newest sender report of one encoding, for the receiver reports that answer it (RFC 3550 section 6.4.1)."""

from attrs import define

from sfu.wire.ntp import middle, to_short


@define
class LastSenderReport:
    """``ntp`` is its 64-bit NTP time, None before the first report; ``at`` is when it came, in seconds."""

    ntp: int | None = None
    at: float = 0

    def on_report(self, ntp: int, now: float) -> None:
        """A sender report came."""
        self.ntp, self.at = ntp, now

    def lsr_and_dlsr(self, now: float) -> tuple[int, int]:
        """The LSR and DLSR fields of a report block; zeros before the first report."""
        if self.ntp is None:
            return 0, 0
        return middle(self.ntp), to_short(now - self.at)
