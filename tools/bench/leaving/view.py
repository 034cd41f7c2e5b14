"""What one member was told, checked: the list after each change, its revision, and that each leaves exactly once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from attrs import define, field

from tools.bench.leaving import BenchError


@define
class View:
    """The list as one member knows it, from the snapshot in ``join``'s answer on.

    ``users`` are in the order of joining; ``left`` and ``reasons`` are what ``user_left`` said since they were emptied.
    """

    users: dict[str, None]
    revision: int
    left: Counter[str] = field(factory=Counter)
    reasons: dict[str, str] = field(factory=dict)

    @classmethod
    def of(cls, joined: dict[str, Any]) -> View:
        return cls(_users(joined["participants"]), joined["revision"])

    def apply(self, event: dict[str, Any]) -> None:
        """One event of the gateway's.  Raises :exc:`BenchError` for a gap or a list that is not what it was told."""
        if event["type"] != "voice_state":
            return
        change = event["data"]
        self.revision += 1
        if change["revision"] != self.revision:
            raise BenchError(f"revision {change['revision']} came where {self.revision} was due")
        self._change(change)
        if change["count"] != len(self.users):
            raise BenchError(f"a list of {len(self.users)} was said to have {change['count']}")
        if (listed := change.get("participants")) is not None and list(_users(listed)) != list(self.users):
            raise BenchError("a list is not what the changes before it make of it")

    def _change(self, change: dict[str, Any]) -> None:
        user = change["userId"]
        if change["type"] == "user_joined":
            if user in self.users:
                raise BenchError(f"{user} joined twice")
            self.users[user] = None
        elif change["type"] == "user_left":
            if user not in self.users:
                raise BenchError(f"{user} left without being there")
            del self.users[user]
            self.left[user] += 1
            self.reasons[user] = change["reason"]


class Decoder:
    """Decodes each frame once, however many members got it."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[str, Any]] = {}

    def decode(self, frame: bytes) -> dict[str, Any]:
        event = self._known.get(frame)
        if event is None:
            event = self._known[frame] = json.loads(frame)
        return event


def _users(participants: list[dict[str, Any]]) -> dict[str, None]:
    return {participant["userId"]: None for participant in participants}
