"""The participant list of one client, kept up to date by the gateway's events."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.events import VoiceState
from protocol.vocabulary import Participant, Position


class Roster:
    """A participant list that begins as the list in the answer to ``join``, and takes the changes of events."""

    def __init__(self, participants: Iterable[Participant], position: Position) -> None:
        self.position = position
        self._listed = {participant.user_id: participant for participant in participants}

    @property
    def users(self) -> tuple[str, ...]:
        """The user ids, in the order of joining."""
        return tuple(self._listed)

    def apply(self, event: VoiceState) -> bool:
        """Apply a change.  Return whether the change fits this list, and its result the list in the event, if any.

        If the two lists differ, the list in the event replaces this one.  So one error counts once.
        """
        user, listed = event.user_id, self._listed
        fits = (user in listed) == (event.type != "user_joined")
        self.position = Position(event.epoch, event.revision)
        if event.type == "user_left":
            listed.pop(user, None)
        else:
            listed[user] = event.participant
        fits = fits and event.count == len(listed)
        if event.participants is not None and event.participants != tuple(listed.values()):
            fits = False
            self._listed = {participant.user_id: participant for participant in event.participants}
        return fits
