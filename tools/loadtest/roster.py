"""One client's view of its channel: the list as the gateway has told it, change by change."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.events import VoiceState
from protocol.vocabulary import Participant


class Roster:
    """Begins with the list in the answer to ``join``."""

    def __init__(self, participants: Iterable[Participant], revision: int) -> None:
        self.revision = revision
        self._listed = {participant.user_id: participant for participant in participants}

    @property
    def users(self) -> tuple[str, ...]:
        """In the order of joining."""
        return tuple(self._listed)

    def apply(self, event: VoiceState) -> bool:
        """Take over a change; whether it fits what was told before, and the list in the event the outcome.

        Where it does not, the list in the event holds from then on, so that one mistake counts once.
        """
        user, listed = event.user_id, self._listed
        fits = (user in listed) == (event.type != "user_joined")
        self.revision = event.revision
        if event.type == "user_left":
            listed.pop(user, None)
        else:
            listed[user] = event.participant
        fits = fits and event.count == len(listed)
        if event.participants is not None and event.participants != tuple(listed.values()):
            fits = False
            self._listed = {participant.user_id: participant for participant in event.participants}
        return fits
