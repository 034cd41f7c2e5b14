"""Random actions: killing, stopping and cutting off clients, and bringing them back."""

import random
from collections.abc import Callable
from typing import Literal

import trio
from attrs import define

from tests.chaos.crowd import ClientProcess, Crowd

MOST_ABSENT = 0.6
"""The largest share of absent clients.  With fewer present ones, nobody might be left to see a ghost."""


@define
class Storm:
    """Draws random actions.  If an action is impossible now, it draws again.  The users in ``spared`` always stay."""

    crowd: Crowd
    rng: random.Random
    spared: frozenset[str]

    async def run(self, seconds: float) -> None:
        """Act every 0.1 to 0.5 seconds, and now and then do several actions at once."""
        with trio.move_on_after(seconds):
            while True:
                for _ in range(self.rng.choice((1, 1, 1, 1, 6))):
                    self.act()
                await trio.sleep(self.rng.uniform(0.1, 0.5))

    def act(self) -> None:
        actions: list[Callable[[], bool]] = [
            *[self.kill] * 4,
            *[self.kill_and_start] * 3,
            *[self.start] * 5,
            *[self.stop] * 4,
            *[self.wake] * 4,
            *[self.kill_stopped] * 1,
            *[self.cut] * 1,
            *[self.heal] * 2,
        ]
        while not self.rng.choice(actions)():
            pass

    def kill(self) -> bool:
        return self._each(self._one("running", leaves=True), self.crowd.kill)

    def kill_and_start(self) -> bool:
        """Kill a process and start a new one before the gateway can have noticed."""
        return self._each(self._one("running"), self.crowd.kill, self.crowd.start)

    def kill_stopped(self) -> bool:
        """Kill a stopped process, which never runs again."""
        return self._each(self._one("stopped"), self.crowd.kill)

    def start(self) -> bool:
        return self._each(self._one("dead"), self.crowd.start)

    def stop(self) -> bool:
        return self._each(self._one("running", leaves=True), self.crowd.stop)

    def wake(self) -> bool:
        """Wake a stopped process, perhaps after longer than the gateway waits."""
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
        return len(self.crowd.present()) < (1 - MOST_ABSENT) * len(self.crowd.clients)

    def _one(self, state: Literal["running", "stopped", "dead"], *, leaves: bool = False) -> ClientProcess | None:
        """A client in this state, or None.  With ``leaves`` also None if enough are absent already."""
        if leaves and self._is_full:
            return None
        candidates = [one for one in self.crowd.clients.values() if one.state == state]
        candidates = [one for one in candidates if one.user not in self.spared]
        return self.rng.choice(candidates) if candidates else None

    def _each(self, client: ClientProcess | None, *actions: Callable[[ClientProcess], None]) -> bool:
        if client is None:
            return False
        for action in actions:
            action(client)
        return True
