"""Encodings that cannot be repaired at present: their sender's network has no room for them."""

import math
from collections.abc import Callable
from typing import Final

from attrs import define, evolve, field, frozen

PATIENCE: Final = 0.32
"""Seconds from a failed repair until a key frame must have come, besides two round trips.

libwebrtc does not follow a second request within 0.3 s, so an earlier one for a lower encoding would be in vain."""
REST: Final = 3.0
"""Seconds for which the sender need not send a damaged encoding.  After that it may, if its network has room again."""
GIVEN_UP: Final = 15.0
"""Seconds after which an encoding counts as whole again, even if no key frame came.  Its receivers ask for one then."""
LOOK: Final = 0.5
"""Seconds between two looks for the key frame of a damaged encoding."""


@frozen
class _Damage:
    """The encoding is damaged ``since`` this time, and had sent ``key_frames`` key frames when its rest ended."""

    key_frames: int
    since: float


@frozen
class _Awaited:
    """The encoding had sent ``key_frames`` key frames, and has ``patience`` seconds for the next one.

    They end at the ``deadline``, which is infinite until the sender is asked.
    """

    key_frames: int
    patience: float
    deadline: float = math.inf


@define
class DamagedEncodings:
    """The damaged encodings of one producer with simulcast.

    If an encoding lost packets for good, its receivers need a key frame.  A sender whose network has become narrow
    cannot send one: its encoder has stopped, and what it encoded before still waits in its queue, in front of the
    lower encodings.  So an encoding whose key frame does not come is *damaged*: receivers get a lower one, and for a
    moment the sender is told not to send it, so that it drops what waits.  The next key frame after this rest ends the
    damage.  Until then nobody asks for one: a sender without room would send one of its lower encodings instead.

    The lowest encoding is never damaged, since nothing could take its place.
    """

    _awaited: dict[int, _Awaited] = field(factory=dict)
    _damaged: dict[int, _Damage] = field(factory=dict)
    _look_at: float = math.inf

    def __contains__(self, encoding: int | None) -> bool:
        return encoding in self._damaged

    def resting(self, now: float) -> set[int]:
        """The encodings that the sender need not send now."""
        return {encoding for encoding, damage in self._damaged.items() if now < damage.since + REST}

    def on_repair_failed(self, encoding: int, key_frames: int, patience: float, now: float) -> bool:
        """It had sent ``key_frames`` key frames ``now``.

        The next one must come within ``patience`` seconds from the time at which :meth:`on_asked` is called.  Returns
        whether the encoding is damaged already.
        """
        if encoding == 0:
            return False
        if encoding not in self._damaged:
            if patience > 0:
                awaited = self._awaited.get(encoding)
                if awaited is None or math.isinf(awaited.deadline):
                    self._awaited[encoding] = _Awaited(key_frames, patience)
            else:
                self._awaited.pop(encoding, None)
                self._damaged[encoding] = _Damage(key_frames, now)
                self._look_at = now + LOOK
        return encoding in self._damaged

    def on_asked(self, encoding: int, now: float) -> None:
        """The sender is asked for a key frame of this encoding ``now``, or was before and has not answered."""
        awaited = self._awaited.get(encoding)
        if awaited is not None and math.isinf(awaited.deadline):
            self._awaited[encoding] = evolve(awaited, deadline=now + awaited.patience)

    def update(self, key_frames: Callable[[int], int], now: float) -> bool:
        """See what has come.  Returns whether other encodings are damaged than before."""
        timer = self.get_timer()
        if timer is None or now < timer:
            return False
        before = set(self._damaged)
        for encoding, awaited in list(self._awaited.items()):
            if now >= awaited.deadline:
                del self._awaited[encoding]
                if key_frames(encoding) == awaited.key_frames:
                    self._damaged[encoding] = _Damage(awaited.key_frames, now)
        for encoding, damage in list(self._damaged.items()):
            frames = key_frames(encoding)
            if now < damage.since + REST:
                # It was encoded before, and its other packets may never come.
                self._damaged[encoding] = evolve(damage, key_frames=frames)
            elif frames != damage.key_frames or now >= damage.since + GIVEN_UP:
                del self._damaged[encoding]
        self._look_at = now + LOOK
        return before != set(self._damaged)

    def forget(self, encoding: int) -> None:
        """The encoding begins anew, so it is whole."""
        self._awaited.pop(encoding, None)
        self._damaged.pop(encoding, None)

    def await_none(self) -> None:
        """The sender has paused, and sends no key frame."""
        self._awaited.clear()

    def clear(self) -> None:
        """No encoding is damaged any more, and none is awaited."""
        self._awaited.clear()
        self._damaged.clear()

    def get_timer(self) -> float | None:
        """When to call :meth:`update` next, in seconds.  None for never."""
        timer = min((awaited.deadline for awaited in self._awaited.values()), default=math.inf)
        if self._damaged:
            timer = min(timer, self._look_at)
        return timer if math.isfinite(timer) else None
