"""A member of a channel: its entry in the list, and the way to send it events."""

import hmac
from datetime import datetime

import trio
from attrs import define, field, frozen

import sfu
from gateway.channel.connection_quality import QualityMeter
from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from gateway.identity.rights import EVERYBODY, Rights
from protocol import limits
from protocol.events import LeaveReason
from protocol.vocabulary import Participant, ParticipantProducer, Source


@frozen(eq=False)
class Publication:
    """A producer of a member, with its source, which only signalling knows."""

    producer: sfu.Producer
    source: Source

    @property
    def entry(self) -> ParticipantProducer:
        """The producer's line in the list, with its present state."""
        producer = self.producer
        return ParticipantProducer(producer.id, producer.kind, self.source, producer.paused)


@define(eq=False)
class Member:
    """The client in a seat of a channel, with the means to notify it. Only the channel changes the list.

    ``secret`` proves that a socket belongs to the session, or that a later client may take its seat. ``participant`` is
    the entry in the list. ``peer`` is the member's media while it has any. ``came_at`` is the time at which it asked
    for the seat, and ``leaving_since`` that of its ``leave`` request. ``loudness`` is the recent loudness of its voice,
    from 0 to 1. ``quality`` is that of its connection. ``gone`` is set in the step that notifies the others of its
    leave. ``rights`` says what the client may ask for.
    """

    session_id: str
    connection: Connection
    participant: Participant
    secret: str = field(default="", repr=False)
    rights: Rights = EVERYBODY
    publications: dict[str, Publication] = field(factory=dict)
    peer: sfu.Peer | None = None
    came_at: float = field(factory=trio.current_time)
    leaving_since: float | None = None
    loudness: float = 0.0
    quality: QualityMeter = field(factory=QualityMeter)
    gone: trio.Event = field(factory=trio.Event)

    @property
    def user_id(self) -> str:
        return self.participant.user_id

    @property
    def is_ending(self) -> bool:
        """Whether the end of the session has begun. Then its secret neither resumes it nor guards its user id."""
        return self.connection.end_reason is not None or self.leaving_since is not None

    def may_take_over(self, secret: str) -> bool:
        """Whether this client may go on for a session of its user that has this secret.

        The owner of a token has proven who it is. The time of the comparison tells nothing about the secret.
        """
        return hmac.compare_digest(self.secret, secret) or self.rights.user_id is not None

    def leave(self) -> None:
        """Note the client's ``leave``. From now on the reason of this leave is ``left``, even if the connection
        breaks."""
        self.leaving_since = trio.current_time()
        self.connection.log.info("client left", why="leave")

    def seconds_since_end(self, now: float) -> float:
        """The number of seconds since the end was first noticed."""
        times = (self.leaving_since, self.connection.ended_at)
        return now - min((time for time in times if time is not None), default=now)

    @property
    def leave_reason(self) -> LeaveReason:
        """The reason for ``user_left``."""
        if self.leaving_since is not None:
            return "left"
        return self.connection.end_reason.leave_reason if self.connection.end_reason else "failed"

    @property
    def is_behind(self) -> bool:
        """Whether so many bytes wait in its outbox that its events leave out the whole list."""
        return self.connection.backlog > limits.LISTED_BACKLOG

    def forget_closed_publications(self) -> None:
        """Drop the publications whose producer has closed."""
        open_ones = {id_: found for id_, found in self.publications.items() if not found.producer.closed}
        self.publications = open_ones

    def forget_media(self) -> None:
        """Break the reference cycle between member and media. Otherwise only a garbage collection would free them."""
        self.peer = None
        self.publications = {}

    def arrive_elsewhere(self) -> None:
        """Make it new to the members of the next channel: they know nothing of its voice and its connection."""
        self.gone = trio.Event()
        self.forget_closed_publications()
        self.loudness = 0.0
        self.quality.announced, self.quality.announced_at = "excellent", 0.0
        for publication in self.publications.values():
            # The former channel had a say in these, and the next one decides anew.
            publication.producer.set_speaking(False)
            publication.producer.set_muted(False)

    def send(self, frame: Frame, *, kept: Frame | None = None) -> bool:
        """Send an event on another client's behalf, as :meth:`Connection.send` does.

        An exception ends this member's session and never the sender's.
        """
        try:
            return self.connection.send(frame, kept=kept)
        except Exception as error:
            self.connection.fail(error)
            return False


def format_instant(when: datetime) -> str:
    """Format a time in UTC as the protocol does: ISO 8601 with milliseconds."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
