"""Random deeds: killing, stopping, cutting off, and all ways back."""

import random
from collections.abc import Callable
from typing import Literal

import trio
from attrs import define

from tests.chaos.crowd import Crowd, Someone

MOST_ABSENT = 0.6
"""Of all; with fewer left there would soon be nobody to see a ghost."""


@define
class Storm:
    """Each deed is drawn anew, and what cannot be done just now is drawn again.  ``spared`` see it from end to end."""

    crowd: Crowd
    rng: random.Random
    spared: frozenset[str]

    async def rage(self, seconds: float) -> None:
        """A deed every tenth of a second to half of one; several at once now and then."""
        with trio.move_on_after(seconds):
            while True:
                for _ in range(self.rng.choice((1, 1, 1, 1, 6))):
                    self.strike()
                await trio.sleep(self.rng.uniform(0.1, 0.5))

    def strike(self) -> None:
        deeds: list[Callable[[], bool]] = [
            *[self.kill] * 4,
            *[self.kill_and_start] * 3,
            *[self.start] * 5,
            *[self.stop] * 4,
            *[self.wake] * 4,
            *[self.kill_stopped] * 1,
            *[self.cut] * 1,
            *[self.heal] * 2,
        ]
        while not self.rng.choice(deeds)():
            pass

    def kill(self) -> bool:
        return self._each(self._one("running", leaves=True), self.crowd.kill)

    def kill_and_start(self) -> bool:
        """Back before the gateway can have noticed."""
        return self._each(self._one("running"), self.crowd.kill, self.crowd.start)

    def kill_stopped(self) -> bool:
        """Killed without ever having run again."""
        return self._each(self._one("stopped"), self.crowd.kill)

    def start(self) -> bool:
        return self._each(self._one("dead"), self.crowd.start)

    def stop(self) -> bool:
        return self._each(self._one("running", leaves=True), self.crowd.stop)

    def wake(self) -> bool:
        """After a tenth of a second, or after longer than the gateway waits."""
        return self._each(self._one("stopped"), self.crowd.wake)

    def cut(self) -> bool:
        whole = [place for place in range(len(self.crowd.network.places)) if place not in self.crowd.cut_off]
        if whole and not self._is_full:
            self.crowd.cut(self.rng.choice(whole))
            return True
        return False

    def heal(self) -> bool:
        if self.crowd.cut_off:
            self.crowd.heal(self.rng.choice(sorted(self.crowd.cut_off)))
            return True
        return False

    @property
    def _is_full(self) -> bool:
        return len(self.crowd.present()) < (1 - MOST_ABSENT) * len(self.crowd.everybody)

    def _one(self, state: Literal["running", "stopped", "dead"], *, leaves: bool = False) -> Someone | None:
        """Somebody in this state; nobody where enough are absent already."""
        if leaves and self._is_full:
            return None
        candidates = [one for one in self.crowd.everybody.values() if one.state == state]
        candidates = [one for one in candidates if one.user not in self.spared]
        return self.rng.choice(candidates) if candidates else None

    def _each(self, someone: Someone | None, *deeds: Callable[[Someone], None]) -> bool:
        if someone is None:
            return False
        for deed in deeds:
            deed(someone)
        return True
