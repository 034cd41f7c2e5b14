"""A client's record of the frames that it received and of the channels that it was in, and its errors."""

from __future__ import annotations

from typing import Any

from attrs import define, frozen

Json = dict[str, Any]


class Gone(Exception):
    """A client's connection is over.

    ``client`` is the client's name.  ``code`` is the close code, or None if the connection broke without one.
    """

    def __init__(self, client: str, code: int | None = None) -> None:
        super().__init__(client, code)
        self.client = client
        self.code = code


class Refused(AssertionError):
    """The gateway answered a request with an error, whose code is ``code``."""

    def __init__(self, client: str, kind: str, error: Json) -> None:
        super().__init__(f"{client}: {kind} was refused: {error}")
        self.code = error["code"]


@frozen
class ReceivedFrame:
    """A received frame without its ``seq``, its place in the order of all events of the run, and its time."""

    order: int
    at: float
    frame: Json
    sequence: int | None = None


@define
class Stay:
    """One stay in a channel as the client knows it, from the answer to ``join`` or ``move`` to that of ``leave`` or of
    the next ``move``.

    ``events`` is the ``seq`` of the session's last event before it.
    """

    channel: str
    user: str
    joined: ReceivedFrame
    left: ReceivedFrame | None = None
    events: int = 0

    @property
    def revision(self) -> int:
        """The revision of the list when the client joined."""
        return int(self.joined.frame["data"]["revision"])
