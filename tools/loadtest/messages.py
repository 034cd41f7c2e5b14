"""The messages between the conductor and its workers.

Facts carry times of the machine's monotonic clock (``time.monotonic()``), which all processes share.  A worker sends
its facts in the order of their times.  Each batch says up to which time it is complete.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

import trio
from attrs import define, field, frozen

from protocol.events import LeaveReason, VoiceStateType
from protocol.vocabulary import MediaKind, Position
from tools.light import DatagramCounts, Histogram, PacketCounts
from tools.light.media_loop import MediaLoop
from tools.loadtest.plan import ChurnKind, LeaveKind, Plan, Slot

#: Encodings by kind.
Media = dict[MediaKind, tuple[MediaLoop, ...]]

_SIZE: Final = struct.Struct("!I")
MAX_MESSAGE: Final = 256 * 1024 * 1024
_READ: Final = 256 * 1024

# Messages of the conductor to a worker.


@frozen
class Begin:
    """Let the clients of these slots join, number n at ``start_at + n / plan.ramp``.

    ``media`` has the encodings of each kind, in rising quality.
    """

    plan: Plan
    slots: tuple[Slot, ...]
    media: Media
    start_at: float


@frozen
class Churn:
    """Let a slot's client leave in this way and come back, or let it change its network."""

    slot: int
    kind: ChurnKind


@frozen
class StopSending:
    """Let all clients stop sending.  The answer is :class:`SentPackets`."""


@frozen
class Settle:
    """Let all clients count the packets that are missing at the end of each stream, and report their lists.

    ``sent`` has the number of packets that each source sent in all, by SSRC.  Each client reports a
    :class:`FinalListFact`.  After these facts comes the answer :class:`Settled`.
    """

    sent: dict[int, int]


@frozen
class Finish:
    """Let all clients leave.  The answer is :class:`Finished`."""


ConductorMessage = Begin | Churn | StopSending | Settle | Finish

# From a worker: facts about its clients.


@frozen
class JoiningFact:
    """A client is about to ask to join, for the ``visit``-th time."""

    at: float
    channel_id: str
    user_id: str
    visit: int


@frozen
class JoinedFact:
    """The client has joined, and got this list."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    position: Position
    listed: tuple[str, ...]


@frozen
class LeavingFact:
    """The client is about to leave on purpose."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    kind: LeaveKind


@frozen
class EndedFact:
    """The client's connection has ended.  ``planned`` is False if a failure ended it."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    planned: bool


@frozen
class ChangeFact:
    """A client got a ``voice_state`` event: a ``change`` of the list ``about`` one user.

    ``agrees`` says whether the change fits the client's list.  If the event has the whole list, that must also equal
    the client's list after the change.
    """

    at: float
    channel_id: str
    user_id: str
    visit: int
    position: Position
    change: VoiceStateType
    about: str
    reason: LeaveReason | None
    agrees: bool


@frozen
class FinalListFact:
    """A client's list after some time without changes."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    listed: tuple[str, ...]


Fact = JoiningFact | JoinedFact | LeavingFact | EndedFact | ChangeFact | FinalListFact

# From a worker: figures.


@define
class SentTotals:
    """Totals of the streams of one kind.

    ``octets`` counts whole unencrypted RTP packets.  The gateway asked for ``requested`` packets again, and the clients
    sent ``resent`` of them.
    """

    frames: int = 0
    key_frames: int = 0
    packets: int = 0
    octets: int = 0
    key_frame_requests: int = 0
    requested: int = 0
    resent: int = 0
    skipped: int = 0


@define
class Snapshot:
    """The counts of a worker since its beginning, and its measurements since the last snapshot.

    Measurements are ``latency`` and ``waited`` (from the notice of a gap to the missing packet) by kind, ``join`` (from
    connecting to joined), ``first_media`` (from joined to the first packet), and ``lag``, the process's longest delay
    in seconds.  ``failed`` counts clients that will not come back.  ``silent`` counts streams without any packet.
    ``failures`` counts failures by their reason.  ``moves`` counts changes of the network, ``moves_without_media``
    those after which nothing came, and ``lost_sessions`` clients that lost their session by moving.  ``move`` measures
    the time from a move until media flows again.
    """

    joined: int = 0
    joins: int = 0
    leaves: int = 0
    failed: int = 0
    silent: int = 0
    strays: int = 0
    sending: dict[MediaKind, SentTotals] = field(factory=dict)
    received: dict[MediaKind, PacketCounts] = field(factory=dict)
    traffic: DatagramCounts = field(factory=DatagramCounts)
    failures: dict[str, int] = field(factory=dict)
    latency: dict[MediaKind, Histogram] = field(factory=dict)
    waited: dict[MediaKind, Histogram] = field(factory=dict)
    join: Histogram = field(factory=Histogram)
    first_media: Histogram = field(factory=Histogram)
    moves: int = 0
    moves_without_media: int = 0
    lost_sessions: int = 0
    move: Histogram = field(factory=Histogram)
    lag: float = 0.0
    cpu: float = 0.0


@frozen
class Ready:
    """The worker can begin."""


@frozen
class Batch:
    """All facts since the last batch, up to ``at``."""

    at: float
    facts: list[Fact]
    snapshot: Snapshot


@frozen
class SentPackets:
    """The number of packets that each source sent in all, by SSRC, for clients that stayed to the end."""

    packets: dict[int, int]


@frozen
class Settled:
    """All lists are in the batches before this message."""


@frozen
class Finished:
    """All clients have left."""


WorkerMessage = Ready | Batch | SentPackets | Settled | Finished


async def send(stream: trio.abc.SendStream, message: ConductorMessage | WorkerMessage) -> None:
    """Send a message.  Raises what the stream raises."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    await stream.send_all(_SIZE.pack(len(body)) + body)


@define
class MessageReader:
    """Reads messages from a pipe.  Use it only for our own processes, because pickle trusts its input."""

    _stream: trio.abc.ReceiveStream
    _buffer: bytearray = field(factory=bytearray)

    async def receive(self) -> Any:
        """Return the next message, or None at the end.  Raises ``ValueError`` for a message that is too large."""
        header = await self._take(_SIZE.size)
        if header is None:
            return None
        [size] = _SIZE.unpack(header)
        if size > MAX_MESSAGE:
            raise ValueError(f"a message has {size} bytes, at most {MAX_MESSAGE} are allowed")
        body = await self._take(size)
        return None if body is None else pickle.loads(body)

    async def _take(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            data = await self._stream.receive_some(_READ)
            if not data:
                return None
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
