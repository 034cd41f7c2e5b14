"""Someone in a channel: what the list says of them, and the way to tell them something."""

from datetime import datetime

import trio
from attrs import define, field, frozen

import sfu
from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from protocol import limits
from protocol.events import LeaveReason
from protocol.vocabulary import Participant, ParticipantProducer, Source


@frozen(eq=False)
class Publication:
    """A producer of a member, with what only signalling knows of it."""

    producer: sfu.Producer
    source: Source

    @property
    def entry(self) -> ParticipantProducer:
        """The line of the list about it, as it is now."""
        producer = self.producer
        return ParticipantProducer(producer.id, producer.kind, self.source, producer.paused)


@define(eq=False)
class Member:
    """A seat in a channel, taken by one connection.  The channel is the only one that changes the list.

    ``participant`` is the entry of the list.  ``peer`` is the member's media, once it has any.  ``leaving_since`` is
    when ``leave`` was asked for, ``loudness`` how loud its voice was lately (0–1).  ``gone`` is set in the step in
    which the others are told.
    """

    session_id: str
    connection: Connection
    participant: Participant
    publications: dict[str, Publication] = field(factory=dict)
    peer: sfu.Peer | None = None
    leaving_since: float | None = None
    loudness: float = 0.0
    gone: trio.Event = field(factory=trio.Event)

    @property
    def user_id(self) -> str:
        return self.participant.user_id

    def leave(self) -> None:
        """The client has asked to leave: whatever ends the connection from now on, it left."""
        self.leaving_since = trio.current_time()
        self.connection.log.info("client left", why="leave")

    def seconds_since_end(self, now: float) -> float:
        """How many seconds ago the end was first seen."""
        times = (self.leaving_since, self.connection.ended_at)
        return now - min((time for time in times if time is not None), default=now)

    @property
    def leave_reason(self) -> LeaveReason:
        """What ``user_left`` will say."""
        if self.leaving_since is not None:
            return "left"
        return self.connection.end_reason.leave_reason if self.connection.end_reason else "failed"

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for it that it is told only what has changed, without the whole list."""
        return self.connection.outbox.size > limits.LISTED_BACKLOG

    def forget_closed_publications(self) -> None:
        """Drop the publications whose producer has closed, in whichever way."""
        open_ones = {id_: found for id_, found in self.publications.items() if not found.producer.closed}
        self.publications = open_ones

    def forget_media(self) -> None:
        """It is gone: member and media would keep each other alive until a collection."""
        self.peer = None
        self.publications = {}

    def send(self, frame: Frame) -> bool:
        """Tell it, on somebody else's behalf: an exception ends this member's session and never the teller's."""
        try:
            return self.connection.send(frame)
        except Exception as error:
            self.connection.fail(error)
            return False


def format_instant(when: datetime) -> str:
    """ISO 8601 with milliseconds, as the protocol has it; ``when`` is in UTC."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
