"""Whose cameras come first where bandwidth is short: the people who speak, or did so a moment ago."""

from collections.abc import Collection, Iterable
from typing import Final

from attrs import define, field

HOLD: Final = 3.0
"""Seconds for which a speaker keeps the place in silence. People pause between sentences, and answer each other. Each
change of the layers costs a key frame, which everybody pays who gets that encoding."""
MOST_SPEAKERS: Final = 4
"""If everybody came first, nobody would."""


@define
class RecentSpeakers:
    """The user ids of at most :data:`MOST_SPEAKERS` people.

    Nobody takes the place of another one. A newcomer waits until a place is free, for at most :data:`HOLD` seconds
    unless all of them go on to speak. Otherwise five people who speak in turn would change the layers all the time.
    """

    _spoke_at: dict[str, float] = field(factory=dict)

    @property
    def user_ids(self) -> Collection[str]:
        return self._spoke_at.keys()

    def update(self, speakers: Iterable[str], now: float) -> list[str]:
        """Take in the present speakers, the loudest first, at ``now`` in seconds. Return those who lose their place."""
        present = list(speakers)
        self._spoke_at.update((user_id, now) for user_id in present if user_id in self._spoke_at)
        ended = [user_id for user_id, spoke_at in self._spoke_at.items() if now - spoke_at >= HOLD]
        for user_id in ended:
            del self._spoke_at[user_id]
        new = [user_id for user_id in present if user_id not in self._spoke_at]
        self._spoke_at.update((user_id, now) for user_id in new[: MOST_SPEAKERS - len(self._spoke_at)])
        return ended
