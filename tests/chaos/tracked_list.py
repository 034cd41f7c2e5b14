"""The participant list as one member sees it.  It checks that every event fits the events before."""

from attrs import define, field

from protocol import Joined
from protocol.events import VoiceState
from protocol.vocabulary import Participant


class Violation(Exception):
    """The gateway has broken one of its promises about the list.  The text says which one."""


@define
class TrackedList:
    """The participants by user id, in the order of the list, and the list's revision."""

    own_id: str
    revision: int
    listed: dict[str, Participant] = field(factory=dict)

    @classmethod
    def of(cls, joined: Joined, *, newer_than: int) -> "TrackedList":
        """The list in the answer to ``join``.  Its revision has to be higher than ``newer_than``."""
        _require(
            joined.revision > newer_than,
            f"joined at revision {joined.revision}, but was at {newer_than} before",
        )
        listed = {participant.user_id: participant for participant in joined.participants}
        _require(len(listed) == len(joined.participants), f"a user is listed twice in {list(joined.participants)}")
        _require(joined.user_id in listed, f"joined at revision {joined.revision} and is not listed itself")
        return cls(joined.user_id, joined.revision, listed)

    def apply(self, event: VoiceState) -> None:
        """Apply a change.  Raises :exc:`Violation`."""
        who, at = event.user_id, f"at revision {event.revision}"
        _require(event.revision == self.revision + 1, f"revision {event.revision} came after {self.revision}")
        self.revision = event.revision
        match event.type:
            case "user_joined":
                _require(who not in self.listed, f"{who} joined {at} and was listed already")
                self.listed[who] = event.participant
            case "user_left":
                _require(who in self.listed, f"{who} left {at} and was not listed")
                _require(who != self.own_id, f"got {at} its own user_left, {event.reason}")
                del self.listed[who]
            case "user_updated":
                _require(who in self.listed, f"{who} changed {at} and was not listed")
                self.listed[who] = event.participant
        _require(event.count == len(self.listed), f"{at} the count is {event.count}, but {len(self.listed)} are listed")
        if event.participants is not None:
            _require(
                list(event.participants) == list(self.listed.values()),
                f"{at} the list is {[one.user_id for one in event.participants]}, but the events lead to {self.users}",
            )

    @property
    def users(self) -> list[str]:
        return list(self.listed)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
