"""What the conductor and its workers tell each other over their pipes.

Facts carry the time of the machine's monotonic clock (``time.monotonic()``), which all of them share.  A worker sends
its facts in the order of their times, and each batch says until when it is complete.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

import trio
from attrs import define, field, frozen

from protocol.events import LeaveReason, VoiceStateType
from protocol.vocabulary import MediaKind
from tools.light import Histogram, PacketCounts, Traffic
from tools.light.media_loop import MediaLoop
from tools.loadtest.plan import ChurnKind, Plan, Slot

_SIZE: Final = struct.Struct("!I")
MAX_MESSAGE: Final = 256 * 1024 * 1024
_READ: Final = 256 * 1024

# From the conductor.


@frozen
class Begin:
    """Let these clients join, the one with number n at ``start_at + n / plan.ramp``."""

    plan: Plan
    slots: tuple[Slot, ...]
    media: dict[MediaKind, MediaLoop]
    start_at: float


@frozen
class Churn:
    """Let this client leave like this, and come back."""

    slot: int
    kind: ChurnKind


@frozen
class StopSending:
    """Nobody sends any more; answered by :class:`Sent`."""


@frozen
class Settle:
    """What each source sent in all, by its SSRC: count what is missing at the end of each stream, and say what each
    client's list is now, by a :class:`Quiet` each; answered by :class:`Settled`."""

    sent: dict[int, int]


@frozen
class Finish:
    """Let all clients leave, in order; answered by :class:`Done`."""


Command = Begin | Churn | StopSending | Settle | Finish

# From a worker: facts about its own clients.


@frozen
class Asked:
    """A client is about to ask to be let in, for the ``visit``-th time."""

    at: float
    channel_id: str
    user_id: str
    visit: int


@frozen
class Joined:
    """It is in, and was shown this list."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    revision: int
    listed: tuple[str, ...]


@frozen
class Leaving:
    """It is about to leave, on purpose."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    kind: ChurnKind


@frozen
class Ended:
    """Its connection is over; ``planned`` where it had left, else something went wrong."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    planned: bool


@frozen
class Told:
    """A client (``user_id``, in its ``visit``) was told a change of the list.

    ``agrees`` says that the change fits what it was told before, and the list in it, if there is one, the outcome.
    """

    at: float
    channel_id: str
    user_id: str
    visit: int
    revision: int
    change: VoiceStateType
    about: str
    reason: LeaveReason | None
    agrees: bool


@frozen
class Quiet:
    """What a client's list is, and its revision, when nothing has happened for a while."""

    at: float
    channel_id: str
    user_id: str
    visit: int
    revision: int
    listed: tuple[str, ...]


Fact = Asked | Joined | Leaving | Ended | Told | Quiet

# From a worker: figures.


@define
class Sending:
    """Totals of what was sent of one kind.  ``octets`` are whole plain RTP packets."""

    frames: int = 0
    key_frames: int = 0
    packets: int = 0
    octets: int = 0
    key_frame_requests: int = 0
    skipped: int = 0


@define
class Snapshot:
    """What a worker has counted.

    Totals since its beginning, except for what was measured since the last one: ``latency`` by kind, ``join`` (from
    asking to joined), ``first_media`` (from joined to the first packet), ``lag`` (the longest, in seconds).
    ``failures`` counts by what happened; ``failed`` are clients that will not come (back), ``silent`` streams that
    never began.
    """

    joined: int = 0
    joins: int = 0
    leaves: int = 0
    failed: int = 0
    silent: int = 0
    strays: int = 0
    sending: dict[MediaKind, Sending] = field(factory=dict)
    received: dict[MediaKind, PacketCounts] = field(factory=dict)
    traffic: Traffic = field(factory=Traffic)
    failures: dict[str, int] = field(factory=dict)
    latency: dict[MediaKind, Histogram] = field(factory=dict)
    join: Histogram = field(factory=Histogram)
    first_media: Histogram = field(factory=Histogram)
    lag: float = 0.0
    cpu: float = 0.0


@frozen
class Ready:
    """It can begin."""


@frozen
class Batch:
    """All facts up to ``at``, from the last batch on."""

    at: float
    facts: list[Fact]
    snapshot: Snapshot


@frozen
class Sent:
    """By SSRC, what each source that was there to the end has sent in all."""

    packets: dict[int, int]


@frozen
class Settled:
    """All that was asked for is in the batches before this."""


@frozen
class Done:
    """Everybody has left."""


Report = Ready | Batch | Sent | Settled | Done


async def send(stream: trio.abc.SendStream, message: Command | Report) -> None:
    """Raises what the stream raises."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    await stream.send_all(_SIZE.pack(len(body)) + body)


@define
class Receiver:
    """Messages from a pipe whose other end is a process of our own (pickle trusts what it reads)."""

    _stream: trio.abc.ReceiveStream
    _buffer: bytearray = field(factory=bytearray)

    async def receive(self) -> Any:
        """The next message, None at the end.  Raises ``ValueError`` for what is no message."""
        header = await self._take(_SIZE.size)
        if header is None:
            return None
        [size] = _SIZE.unpack(header)
        if size > MAX_MESSAGE:
            raise ValueError(f"a message of {size} bytes")
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
