"""The boundary between decisions (Python, for each event) and packets (Rust, for each packet).

A data plane holds no policy.  It opens, rewrites, seals, forwards and counts packets.  It neither asks for key frames
nor chooses layers by itself.  It reports events, and its caller decides.

Every call is synchronous and takes effect before it returns: after ``remove_…`` no packet of that object leaves any
more.  Commands may be called from any thread.  The caller chooses the identifiers of transports, producers and
consumers, and never uses one twice.

The source is in ``sfu/dataplane/src``.  The classes of values are in this module too; ``values.pyi`` describes them.
"""

from collections.abc import Sequence

from sfu.dataplane.core import RandomSource, SendDatagram
from sfu.dataplane.interface import ConsumerId, DropReason, Path, ProducerId, TransportId
from sfu.dataplane.values import (
    BandwidthCrossed as BandwidthCrossed,
)
from sfu.dataplane.values import (
    BandwidthStats as BandwidthStats,
)
from sfu.dataplane.values import (
    CameBack as CameBack,
)
from sfu.dataplane.values import (
    ConsentExpired as ConsentExpired,
)
from sfu.dataplane.values import (
    ConsumerFormat as ConsumerFormat,
)
from sfu.dataplane.values import (
    ConsumerStats as ConsumerStats,
)
from sfu.dataplane.values import (
    DtlsArrived as DtlsArrived,
)
from sfu.dataplane.values import (
    EncodingFlows as EncodingFlows,
)
from sfu.dataplane.values import (
    EncodingLearned as EncodingLearned,
)
from sfu.dataplane.values import (
    EncodingSpec as EncodingSpec,
)
from sfu.dataplane.values import (
    EncodingStats as EncodingStats,
)
from sfu.dataplane.values import (
    Event as Event,
)
from sfu.dataplane.values import (
    FellSilent as FellSilent,
)
from sfu.dataplane.values import (
    KeyFrameRequested as KeyFrameRequested,
)
from sfu.dataplane.values import (
    LayersChanged as LayersChanged,
)
from sfu.dataplane.values import (
    LimitsExceeded as LimitsExceeded,
)
from sfu.dataplane.values import (
    PathSelected as PathSelected,
)
from sfu.dataplane.values import (
    PlaneFailed as PlaneFailed,
)
from sfu.dataplane.values import (
    PlaneTotals as PlaneTotals,
)
from sfu.dataplane.values import (
    ProducerSpec as ProducerSpec,
)
from sfu.dataplane.values import (
    ProducerStats as ProducerStats,
)
from sfu.dataplane.values import (
    ReceptionReport as ReceptionReport,
)
from sfu.dataplane.values import (
    RepairFailed as RepairFailed,
)
from sfu.dataplane.values import (
    TransportStats as TransportStats,
)
from sfu.wire.srtp import SrtpKeys

ENCODING_IDLE: float
"""An encoding without a packet for this long (seconds) does not flow."""
MAX_EVENTS: int
"""At most this many datagrams wait for the slow path.  The data plane drops and counts further ones."""
MAX_SOURCES: int
"""A transport keeps rollover counters and replay windows of this many SSRCs.  For a further one it forgets an SSRC that
no producer takes: the one that has been quiet for the longest time."""

def self_test() -> None:
    """Forward a made-up frame from one core to another with each protection profile; nothing leaves the process.

    Raises ``RuntimeError`` if a packet does not arrive: this build cannot carry calls on this machine.
    """

class DataPlane:
    """The commands of the slow path.  The subclasses differ in how packets come and go.

    Every method raises ``KeyError`` for an identifier that is unknown, and ``ValueError`` for one that is taken.  The
    removal of an object that does not exist does nothing, since the removal of its transport removes it too.
    """

    def add_transport(self, transport: TransportId) -> None: ...
    def set_keys(self, transport: TransportId, keys: SrtpKeys) -> None:
        """Let media flow from now on, both ways.  Raises ``ValueError`` the second time."""

    def set_round_trip(self, transport: TransportId, round_trip: float) -> None:
        """Set the round trip to the client, in seconds, as its handshake showed it.  It counts until the first report.

        Packets are kept for about two round trips, so that a receiver can ask for them again.
        """

    def set_credentials(self, transport: TransportId, username_fragment: str, password: str) -> None:
        """Answer Binding requests with these credentials, as an ICE-lite agent (RFC 8445 sections 2.5 and 7.3).

        The second call is an ICE restart (section 9): the old credentials stay valid until the first authentic request
        with the new ones.  Raises ``ValueError`` for a username fragment that is in use.

        Datagrams from the path of an authentic request belong to this transport from then on.  It keeps its newest 16
        paths.  A silent path of another transport moves here.  :class:`PathSelected` names the path that the transport
        sends on.  ``docs/closures.md`` says when that is another one.
        """

    def set_client_credentials(self, transport: TransportId, credentials: tuple[str, str] | None) -> None:
        """Check paths with these credentials of the client from now on: its username fragment and its password.

        Then only the client can answer the checks, and must (RFC 8445 section 7.2.2).  None stands for a client that
        did not tell them.  Its checks have no credentials.  Raises ``ValueError`` before :meth:`set_credentials`.
        """

    def watch(self, transport: TransportId, heard_at: float, silent_after: float, lost_after: float) -> None:
        """Report when the client, which was heard at ``heard_at``, gives no more signs of life.  Times in seconds.

        :class:`FellSilent` comes after ``silent_after`` without a sign, :class:`CameBack` at the next authentic one,
        :class:`ConsentExpired` after ``lost_after`` without an authentic one.

        Authentic signs are RTP and RTCP that authenticated and are no replay, and Binding requests and indications with
        the right integrity (RFC 7675 section 5.1).  Anybody who knows an address can forge a Binding indication without
        integrity (RFC 8445 section 11).  Such an indication puts off :class:`FellSilent` if it comes from one of the
        transport's paths, and does nothing else.
        """

    def heard_at(self, transport: TransportId) -> float | None:
        """When the newest authentic sign of life came, in seconds; None for never."""

    def media_heard_at(self, transport: TransportId) -> float | None:
        """When the newest authentic RTP or RTCP came that is no replay, in seconds; None for never."""

    def remove_transport(self, transport: TransportId) -> None:
        """Forget its keys and paths, with every producer and consumer still on it."""

    def add_producer(self, transport: TransportId, producer: ProducerId, spec: ProducerSpec) -> None:
        """Take in a stream.

        Raises ``ValueError`` if another producer of this transport has one of its SSRCs or its MID.  Without MIDs, it
        also raises for a RID that another producer has.  It also raises for an encoding without SSRC and RID.  Only a
        single encoding may have a MID instead.
        """

    def remove_producer(self, producer: ProducerId) -> None:
        """Forget the producer and stop its consumers.  The consumers stay until they are removed."""

    def set_producer_paused(self, producer: ProducerId, paused: bool) -> None:
        """Drop the packets of a paused producer.  Its video consumers start again at a key frame."""

    def set_producer_muted(self, producer: ProducerId, muted: bool) -> None:
        """Drop the packets of a muted producer, but go on reading their audio levels (RFC 6464).

        Its consumers go on without a gap when it is no longer muted.  Muting causes no :class:`LayersChanged`.
        """

    def voice_levels(self, producers: Sequence[ProducerId]) -> list[tuple[int, float]]:
        """For each producer, ``voice_packets`` and ``voice_amplitude`` of its :class:`ProducerStats`, in one step.

        Both are zero for a producer that does not exist.
        """

    def set_rtcp_source(self, ssrc: int, cname: str) -> None:
        """Set our SSRC and canonical name in receiver reports and key frame requests (RFC 3550 section 6)."""

    def set_media_limits(self, packets_per_second: float, bits_per_second: float) -> None:
        """Limit the RTP and RTCP that each client may send on a transport.  At first there is no limit.

        A client may send as much as in one second at once.  The rest is dropped (``too_much_media``).  Clients that go
        on sending much more cause :class:`LimitsExceeded`.
        """

    def start_reports(self, transport: TransportId, first_at: float, interval: float) -> None:
        """Send the client receiver reports about the streams that it sends (RFC 3550 section 6.4.2).

        The first leaves at ``first_at``, the others ``interval`` apart, both in seconds.  None leaves before the first
        packet of a stream.  Raises ``ValueError`` for an interval that is not above zero.
        """

    def request_key_frame(self, producer: ProducerId, encoding: int, *, full_intra: bool) -> None:
        """Ask the client for a key frame: with FIR (RFC 5104 section 4.3.1), or PLI (RFC 4585 section 6.3.1).

        Nothing leaves while the SSRC of the encoding is not known, and without keys and a path.  Raises ``ValueError``
        for an encoding that the producer does not have.
        """

    def add_consumer(
        self,
        transport: TransportId,
        consumer: ConsumerId,
        producer: ProducerId,
        consumer_format: ConsumerFormat,
        ssrc: int,
        mid: str | None = None,
        *,
        encoding: int | None = 0,
        temporal: int | None = None,
        spatial: int | None = None,
        paused: bool = True,
        rtx_ssrc: int | None = None,
    ) -> None:
        """Send a producer's stream to this transport.  :meth:`set_layers` says what the three layers mean.

        With ``rtx_ssrc`` the consumer answers NACKs of its receiver (RFC 4585 section 6.2.1) by retransmissions with
        that SSRC (RFC 4588).

        Raises ``ValueError`` for an encoding that the producer does not have.  It also raises for an SSRC that this
        transport ever sent with: both streams would share a key stream (RFC 3711 section 9.1).
        """

    def remove_consumer(self, consumer: ConsumerId) -> None: ...
    def set_consumer_paused(self, consumer: ConsumerId, paused: bool) -> None:
        """A video consumer that is resumed starts at the next key frame.  Sequence numbers go on without a gap."""

    def set_layers(
        self, consumer: ConsumerId, encoding: int | None, temporal: int | None, spatial: int | None = None
    ) -> None:
        """Set the target: switch to this encoding at its next key frame (None: forward nothing).

        Of a codec with temporal layers, forward those up to ``temporal`` (None: all).  Of an encoding with spatial
        layers of its own (VP9 and AV1), forward those up to ``spatial`` (None: all).  Lower layers take effect at the
        next picture, higher spatial layers at the next key frame.
        """

    def aim_bandwidth(self, transport: TransportId, used: float, next_rate: float | None, wanted: float) -> None:
        """Measure the bandwidth to the client with these rates of all its video in mind, in bits per second.

        ``used`` is in use now.  ``next_rate`` is the whole rate after the next step up (None: there is none), and
        ``wanted`` is the rate that everything would need.  :class:`BandwidthCrossed` comes when the estimate falls
        below ``used``, and when the path has carried ``next_rate`` for long enough.  Without this call, the plane sends
        no probe.  The call takes effect with the next packet or deadline of the plane, after half a second at most.

        Raises ``ValueError`` for a rate that is negative or no number.
        """

    def bandwidth_stats(self, transport: TransportId) -> BandwidthStats | None:
        """The estimate of the bandwidth to the client; None before the first packet with a transport-wide number."""

    def send(self, path: Path, datagram: bytes) -> None:
        """Send a DTLS datagram as it is."""

    def adopt_stream(self, descriptor: int, frame: bytes) -> str | None:
        """Use a TCP connection as a path of the transport whose password its client knows (ICE-TCP, RFC 6544).

        ``frame`` is everything that was read from it: a Binding request behind its length (RFC 4571).  The caller keeps
        ``descriptor``, which is open during the call and does not block, and closes it.  The connection lives on until
        the client closes it, or until no transport has taken datagrams from it for 2 s.

        Returns the reason if the connection was not taken, one of :class:`sfu.streams.StreamRefusal`.
        """

    def stream_counts(self) -> tuple[int, int]:
        """The number of streams, and the bytes that wait in them for slow clients."""

    def count_drop(self, reason: DropReason) -> None:
        """Count a datagram that the slow path dropped for this reason."""

    def transport_stats(self, transports: Sequence[TransportId]) -> list[TransportStats | None]:
        """The statistics of each of these transports, in one step.  None for one that does not exist."""

    def producer_stats(self, producer: ProducerId) -> ProducerStats: ...
    def consumer_stats(self, consumer: ConsumerId) -> ConsumerStats: ...
    def totals(self) -> PlaneTotals: ...
    def stalled_for(self) -> float:
        """For how many seconds the plane's thread has stood still.

        Infinite if it has ended by itself, 0 without a thread and once closed.  It never waits for the thread.
        """

    def busy_seconds(self) -> float:
        """For how many seconds the plane's thread has been busy since its start: it did not wait for packets.

        0 without a thread.  It never waits for the thread.
        """

    # Subclasses written in Python add these three.

    def receive_drops(self) -> int:
        """Datagrams that the system dropped because the plane read too slowly: the buffer of a socket was full."""

    async def wait(self) -> None:
        """Return when :meth:`poll` may have something; always a checkpoint.

        Raises ``trio.ClosedResourceError`` once the plane is closed, also while it waits.
        """

    def poll(self, now: float) -> Sequence[Event]:
        """Hand over a bounded batch of events; the next call hands over the rest.

        Changes come first, once for each object and in their newest state: paths, SSRCs, flowing encodings and layers.
        Then come datagrams in their order, and among them the clients that fell silent or came back.  A command causes
        no event, not even a pause that stops a consumer.  ``now`` is in seconds on the caller's clock
        (``trio.current_time()``).
        """

    def close(self) -> None:
        """Close the sockets.  Nothing leaves any more.  Calling it twice does nothing."""

class DataPlaneCore(DataPlane):
    """A data plane without sockets and clock: a subclass or a test brings both."""

    def __init__(self, transmit: SendDatagram, random: RandomSource) -> None: ...
    def receive(self, datagram: bytes, path: Path, now: float) -> None:
        """Take in one datagram, at ``now`` in seconds.  It may hold any bytes, and none of them make this raise.

        Its copies go to ``transmit`` before this returns.
        """

    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` has something to do next, in seconds; None for never."""

    def handle_timer(self, now: float) -> None:
        """Handle the deadlines up to ``now``, in seconds.  Datagrams go to ``transmit`` before this returns."""

    def take_events(self) -> list[Event]:
        """Hand over all events since the last call, in the order of :meth:`DataPlane.poll`."""

class ThreadedPlane(DataPlane):
    """Moves packets between UDP sockets in a thread of its own, which never runs Python."""

    def __init__(self, descriptors: list[int], random: RandomSource, now: float) -> None:
        """Take over bound UDP sockets, by their descriptors.  ``now`` is the time on the caller's clock, in seconds.

        Raises ``OSError`` for a descriptor that is no such socket.
        """

    def set_socket(self, index: int, descriptor: int | None) -> None:
        """Use this bound UDP socket for the index in ``Path.local`` from now on, or no socket.

        The plane takes over the descriptor.  A socket that was there closes after the thread's current batch.  Does
        nothing once closed.  Raises ``OSError`` for a descriptor that is no such socket.
        """

    def fileno(self) -> int:
        """A descriptor that is readable while there are events; -1 once closed."""

    def take_events(self, limit: int) -> list[Event]:
        """Hand over all changes and at most ``limit`` datagrams since the last call; nothing once closed."""
