"""Replacements for the parts behind the front door that a test does not need."""

import threading
from collections.abc import Mapping
from types import MappingProxyType

from attrs import define, field, frozen


@frozen
class Room:
    """A channel with members."""

    members: dict[str, object]


@define
class Rooms:
    """Channels by id. ``threads`` records the threads that asked for a removal, and ``seconds`` for how long."""

    by_id: dict[str, list[str]] = field(factory=dict)
    threads: set[int] = field(factory=set)
    seconds: list[int | None] = field(factory=list)

    @property
    def channels(self) -> Mapping[str, Room]:
        return MappingProxyType({name: Room(dict.fromkeys(members)) for name, members in self.by_id.items()})

    def expel(self, channel_id: str, user_id: str, seconds: int | None = None) -> bool:
        self.threads.add(threading.get_ident())
        self.seconds.append(seconds)
        members = self.by_id.get(channel_id, [])
        if user_id not in members:
            return False
        members.remove(user_id)
        return True
