"""Limits over time. Every method takes ``now``, in seconds on the caller's clock."""

from attrs import define, field


@define
class TokenBucket:
    """Lets ``burst`` pass at once and ``rate`` per second in the long run.

    A bucket that is not empty lets any cost pass and goes into debt. So a cost above ``burst`` may pass, and later
    costs wait until the debt is paid.
    """

    rate: float
    burst: float
    _level: float = field(init=False)
    _at: float | None = None

    def __attrs_post_init__(self) -> None:
        self._level = self.burst

    def take(self, cost: float, now: float) -> bool:
        """Return whether ``cost`` may pass. A refused cost is not charged."""
        self._fill(now)
        if self._level <= 0:
            return False
        self._level -= cost
        return True

    def charge(self, cost: float, now: float) -> None:
        """Charge a cost that nobody could refuse."""
        self._fill(now)
        self._level -= cost

    def debt(self, now: float) -> float:
        """Seconds until the debt is paid; 0 without one."""
        if self._level >= 0:  # time only adds to it
            return 0.0
        self._fill(now)
        return max(0.0, -self._level / self.rate)

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now


@define
class ErrorBudget:
    """Allows ``limit`` errors in any ``window`` seconds."""

    limit: int
    window: float
    _times: list[float] = field(factory=list)

    def spend(self, now: float) -> bool:
        """Count one error. Return False if it is one too many."""
        self._times = [*(time for time in self._times if time > now - self.window), now]
        return len(self._times) <= self.limit
