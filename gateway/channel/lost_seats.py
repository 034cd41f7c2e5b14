"""Seats that were lost a moment ago, so that their owners are no newcomers when they come back."""

import hmac
from typing import Final

from attrs import define, field

SECONDS: Final = 60.0
"""Seconds for which a lost seat is remembered. The clients of this project try again within 30 s."""


@define(eq=False)
class LostSeats:
    """The secrets of sessions that ended although their clients wanted to stay.

    There are at most ``maximum``. Past it, the one that was lost first is forgotten. Times are in seconds on the
    caller's clock.
    """

    maximum: int
    # By channel and user id: the secret, and until when it counts. The order is that of the losses.
    _lost: dict[tuple[str, str], tuple[str, float]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._lost)

    def add(self, channel_id: str, user_id: str, secret: str, now: float) -> None:
        """Remember the seat of a session that has just ended."""
        self._lost.pop((channel_id, user_id), None)
        while self._lost and (len(self._lost) >= self.maximum or self._oldest[1] <= now):
            del self._lost[next(iter(self._lost))]
        self._lost[channel_id, user_id] = secret, now + SECONDS

    @property
    def _oldest(self) -> tuple[str, float]:
        return next(iter(self._lost.values()))

    def is_owner(self, channel_id: str, user_id: str, secret: str | None, now: float) -> bool:
        """Whether a client that joins has lost this seat a moment ago. Without ``secret``, it has proven its user id
        in another way."""
        lost, until = self._lost.get((channel_id, user_id), ("", now))
        return until > now and (secret is None or hmac.compare_digest(lost, secret))
