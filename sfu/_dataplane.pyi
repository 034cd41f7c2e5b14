"""The native packet path.  What each command does and raises is said in :mod:`sfu.dataplane.interface`."""

from sfu.dataplane.core import RandomSource, SendDatagram
from sfu.dataplane.interface import (
    ConsumerId,
    ConsumerSpec,
    ConsumerStats,
    DropReason,
    Event,
    Path,
    PlaneTotals,
    ProducerId,
    ProducerSpec,
    ProducerStats,
    TransportId,
)
from sfu.wire.srtp import SrtpKeys

ENCODING_IDLE: float
"""An encoding without a packet for so long (seconds) does not flow."""
MAX_EVENTS: int
"""How many datagrams for the slow path are kept between two looks; the rest is dropped."""
MAX_SOURCES: int
"""How many SSRCs without media may send reports at a time; of each its replay window is kept."""

def self_test() -> None:
    """Carry a made-up call from one core to another, once; nothing leaves.

    Raises ``RuntimeError`` where it does not arrive: this build cannot carry calls on this machine.
    """

class Plane:
    """The commands, whoever moves the packets.  They may be called from any thread."""

    def add_transport(self, transport: TransportId) -> None: ...
    def set_keys(self, transport: TransportId, keys: SrtpKeys) -> None: ...
    def add_path(self, transport: TransportId, path: Path) -> None: ...
    def set_send_path(self, transport: TransportId, path: Path) -> None: ...
    def answer_bindings(self, transport: TransportId, username_fragment: str, password: str) -> None: ...
    def hand_up_bindings(self, transport: TransportId) -> None: ...
    def watch(self, transport: TransportId, heard_at: float, silent_after: float, lost_after: float) -> None: ...
    def note_binding(self, transport: TransportId, at: float) -> None: ...
    def heard_at(self, transport: TransportId) -> float | None: ...
    def media_heard_at(self, transport: TransportId) -> float | None: ...
    def remove_transport(self, transport: TransportId) -> None: ...
    def add_producer(self, transport: TransportId, producer: ProducerId, spec: ProducerSpec) -> None: ...
    def remove_producer(self, producer: ProducerId) -> None: ...
    def set_producer_paused(self, producer: ProducerId, paused: bool) -> None: ...
    def set_source_clock(self, producer: ProducerId, encoding: int, ntp: int, timestamp: int, at: float) -> None: ...
    def add_consumer(
        self, transport: TransportId, consumer: ConsumerId, producer: ProducerId, spec: ConsumerSpec
    ) -> None: ...
    def remove_consumer(self, consumer: ConsumerId) -> None: ...
    def set_consumer_paused(self, consumer: ConsumerId, paused: bool) -> None: ...
    def set_layers(self, consumer: ConsumerId, encoding: int | None, temporal: int | None) -> None: ...
    def send(self, path: Path, datagram: bytes) -> None: ...
    def send_rtcp(self, transport: TransportId, packet: bytes) -> None: ...
    def count_drop(self, reason: DropReason) -> None: ...
    def producer_stats(self, producer: ProducerId) -> ProducerStats: ...
    def consumer_stats(self, consumer: ConsumerId) -> ConsumerStats: ...
    def totals(self) -> PlaneTotals: ...

class DataPlaneCore(Plane):
    """Everything of :class:`sfu.dataplane.interface.DataPlane` but waiting and sockets, which a shell adds."""

    def __init__(self, transmit: SendDatagram, random: RandomSource) -> None: ...
    def receive(self, datagram: bytes, path: Path, now: float) -> None:
        """Work off one datagram, ``now`` in seconds.  Whatever it holds, nothing is raised.

        What comes of it goes to ``transmit`` before this returns.
        """

    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` has something to do next, in seconds; None for never."""

    def handle_timer(self, now: float) -> None:
        """It is ``now``, in seconds.  What comes of it goes to ``transmit`` before this returns."""

    def take_events(self) -> list[Event]:
        """What came of the datagrams since the last call: changes first, then what the slow path has to read."""

    def close(self) -> None:
        """Nothing leaves any more."""

class ThreadedPlane(Plane):
    """Moves packets between UDP sockets in a thread of its own, which never runs Python."""

    def __init__(self, descriptors: list[int], random: RandomSource, now: float) -> None:
        """Take over bound UDP sockets, by their descriptors; it is ``now`` on the caller's clock, in seconds.

        Raises ``OSError`` for what is no such socket.
        """

    def set_socket(self, index: int, descriptor: int | None) -> None:
        """From now on ``Path.local`` of this index is this bound UDP socket, or none; does nothing once closed.

        It takes the descriptor over.  A socket that was there closes after the thread's current batch.  Raises
        ``OSError`` for what is no such socket.
        """

    def fileno(self) -> int:
        """Readable while there are events; -1 once closed."""

    def take_events(self, limit: int) -> list[Event]:
        """What came since the last call: all that changed, and at most ``limit`` datagrams; nothing once closed."""

    def close(self) -> None:
        """End the thread and close the sockets.  Nothing leaves any more; calling it twice does nothing."""
