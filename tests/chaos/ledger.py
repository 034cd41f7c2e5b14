"""The list as one member sees it, and whether every event fits what it saw before."""

from attrs import define, field

from protocol import Joined
from protocol.events import VoiceState
from protocol.vocabulary import Participant


class Violation(Exception):
    """The gateway has broken one of its promises about the list; says which, in words."""


@define
class Ledger:
    """The participants by user id, in the order in which they are listed, and the list's revision."""

    own_id: str
    revision: int
    listed: dict[str, Participant] = field(factory=dict)

    @classmethod
    def of(cls, joined: Joined, *, newer_than: int) -> "Ledger":
        """What ``join`` was answered with; the channel was at ``newer_than`` when this user last looked."""
        _demand(
            joined.revision > newer_than,
            f"joined at revision {joined.revision}, having been told of {newer_than} before",
        )
        listed = {participant.user_id: participant for participant in joined.participants}
        _demand(len(listed) == len(joined.participants), f"somebody is listed twice in {list(joined.participants)}")
        _demand(joined.user_id in listed, f"joined at revision {joined.revision} and is not listed itself")
        return cls(joined.user_id, joined.revision, listed)

    def apply(self, event: VoiceState) -> None:
        """Take in a change.  Raises :exc:`Violation`."""
        who, at = event.user_id, f"at revision {event.revision}"
        _demand(event.revision == self.revision + 1, f"revision {event.revision} came after {self.revision}")
        self.revision = event.revision
        match event.type:
            case "user_joined":
                _demand(who not in self.listed, f"{who} joined {at} and was listed already")
                self.listed[who] = event.participant
            case "user_left":
                _demand(who in self.listed, f"{who} left {at} and was not listed")
                _demand(who != self.own_id, f"told {at} of its own leaving, {event.reason}")
                del self.listed[who]
            case "user_updated":
                _demand(who in self.listed, f"{who} changed {at} and was not listed")
                self.listed[who] = event.participant
        _demand(event.count == len(self.listed), f"{at} {event.count} are said to be here, not {len(self.listed)}")
        if event.participants is not None:
            _demand(
                list(event.participants) == list(self.listed.values()),
                f"{at} the list is {[one.user_id for one in event.participants]}, the events add up to {self.users}",
            )

    @property
    def users(self) -> list[str]:
        return list(self.listed)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
