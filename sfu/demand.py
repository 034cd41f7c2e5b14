"""Which encodings of a producer its consumers want, so that the sender need not send the others."""

import math
from collections.abc import Container
from typing import Final

from attrs import define, field

OFF_AFTER: Final = 5.0
"""Seconds for which nobody wants an encoding before its sender may stop.

A receiver that looks away for a moment costs no key frame.  And the sender's encoder starts at most once in this time,
however often a receiver changes its mind.
"""


@define
class EncodingDemand:
    """Counts the consumers of one producer by the best encoding that each of them wants.

    A consumer that wants an encoding also wants those below, to fall back on them.  ``active`` says which encodings the
    sender should send, in rising quality: those that a consumer wants, and those that one has wanted within
    :data:`OFF_AFTER`.  At first all are active, because a sender begins with all.

    A change takes constant time.  It only marks ``active`` as stale, and :meth:`update` chooses anew.
    """

    encodings: int
    active: tuple[bool, ...] = field(init=False)
    # Consumers by the best encoding that they want.
    _consumers: list[int] = field(init=False)
    # When each unwanted encoding stops being active; None while it is wanted or not active.
    _off_at: list[float | None] = field(init=False)
    _is_stale: bool = True

    def __attrs_post_init__(self) -> None:
        self.active = (True,) * self.encodings
        self._consumers = [0] * self.encodings
        self._off_at = [None] * self.encodings

    def change(self, before: int | None, after: int | None) -> bool:
        """A consumer wants encodings up to ``after``, and wanted them up to ``before``.  None stands for no encoding.

        Returns whether :meth:`update` has something to do.
        """
        best = self._best_wanted()
        if before is not None:
            self._consumers[before] -= 1
        if after is not None:
            self._consumers[after] += 1
        self._is_stale |= self._best_wanted() != best
        return self._is_stale

    def update(self, now: float, resting: Container[int] = ()) -> bool:
        """Choose the active encodings again, without those that are ``resting``.  Returns whether they have changed."""
        before, best = self.active, self._best_wanted()
        wanted = [self._is_active(encoding, best, now) for encoding in range(self.encodings)]
        self.active = tuple(active and encoding not in resting for encoding, active in enumerate(wanted))
        self._is_stale = False
        return self.active != before

    def _is_active(self, encoding: int, best: int, now: float) -> bool:
        if encoding <= best:
            self._off_at[encoding] = None
            return True
        if not self.active[encoding]:
            self._off_at[encoding] = None  # it may have begun to rest meanwhile
            return False
        off_at = self._off_at[encoding]
        off_at = now + OFF_AFTER if off_at is None else off_at
        is_active = now < off_at
        self._off_at[encoding] = off_at if is_active else None
        return is_active

    def get_timer(self) -> float | None:
        """When to call :meth:`update` next, in seconds.  None for never, minus infinity for at once."""
        if self._is_stale:
            return -math.inf
        return min((off_at for off_at in self._off_at if off_at is not None), default=None)

    def _best_wanted(self) -> int:
        """The best encoding that a consumer wants, -1 if there is none."""
        return next((best for best in range(self.encodings - 1, -1, -1) if self._consumers[best]), -1)
