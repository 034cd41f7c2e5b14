"""The metrics of ``/metrics``, as Prometheus text.

Each scrape reads the gauges (sessions, channels, transports …) from their owners. This module keeps no copy of them,
which could drift. It keeps the counters: the code in which an event happens calls the method that counts the event.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol, get_args

from attrs import frozen
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import sfu
from gateway.ops.http_refusal import HttpRefusal
from gateway.ops.limit_metrics import LimitMetrics
from gateway.ops.log_writer import lost_lines
from gateway.ops.room import Room
from gateway.ops.room_metrics import RoomMetrics
from protocol.errors import CloseCode, ErrorCode
from protocol.events import LeaveReason
from sfu.dataplane.values import PlaneTotals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ModeratorAction = Literal[
    "remove", "readmit", "mute", "unmute", "deafen", "undeafen", "lock", "unlock", "limit", "end_limit", "end", "move"
]
_LEAVE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW_STEP_BUCKETS: Final = (0.2, 0.5, 1, 2, 5, 10)

# Each counter would have one more sample, with the time of the start. The process metrics have this time already.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation for it


class CountedPlane(Protocol):
    """The part of a data plane that the metrics read."""

    def totals(self) -> PlaneTotals: ...
    def receive_drops(self) -> int: ...
    def stream_counts(self) -> tuple[int, int]: ...


class CountedContext(Protocol):
    """The part of a router's shared state that the metrics read."""

    @property
    def plane(self) -> CountedPlane: ...
    @property
    def forced_cleanups(self) -> int: ...
    @property
    def failed_cleanups(self) -> int: ...
    @property
    def slow_path_errors(self) -> int: ...


class CountedRouter(Protocol):
    """The part of :class:`sfu.Router` that the metrics read."""

    @property
    def context(self) -> CountedContext: ...
    def counts(self) -> sfu.RouterCounts: ...


@frozen
class ChannelCounts:
    """The numbers of open connections, of channels, and of members in all channels."""

    connections: int
    channels: int
    members: int


class JournalFigures(Protocol):
    """The part of :class:`gateway.presence.durable.JournalFigures` that the metrics read."""

    waiting: int
    failures: int
    gaps: int


class CountedChannels(Protocol):
    """The part of :class:`gateway.channel.channels.Channels` that the metrics read."""

    def counts(self) -> ChannelCounts: ...


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.limits = LimitMetrics(self.registry)
        self._joins = Counter("sfu_joins", "Sessions that joined a channel.", registry=self.registry)
        self._leaves = self._counter(
            "sfu_leaves", "Sessions that left a channel, by reason.", "reason", get_args(LeaveReason)
        )
        self._resumes = self._counter(
            "sfu_resumes",
            "Sessions that went on over another WebSocket, by what the client needed.",
            "sent",
            ("missing_messages", "whole_state"),
        )
        self._leave_to_told = Histogram(
            "sfu_leave_to_told_seconds",
            "Seconds from the end of a session until the other members were notified.",
            buckets=_LEAVE_BUCKETS,
            registry=self.registry,
        )
        self._closes = self._counter(
            "sfu_closes",
            "WebSockets that the gateway closed, by close code.",
            "code",
            [str(int(code)) for code in CloseCode if code is not CloseCode.ABNORMAL],
        )
        self._errors = self._counter(
            "sfu_request_errors", "Requests answered with an error, by code.", "code", ErrorCode
        )
        self._moderations = self._counter(
            "sfu_moderations", "Decisions of moderators, by action.", "action", get_args(ModeratorAction)
        )
        self._session_errors = self._plain_counter(
            "sfu_session_errors", "Sessions that an exception of the gateway's own code ended."
        )
        self._forced_cleanups = self._failed_cleanups = 0
        self._http_responses = Counter(
            "sfu_http_responses", "HTTP responses, by status.", ["status"], registry=self.registry
        )
        self._refusals = self._counter(
            "sfu_http_refusals", "HTTP requests that were not served, by reason.", "reason", HttpRefusal
        )
        self._stream_refusals = self._counter(
            "sfu_media_stream_refusals",
            "TCP connections that did not become media streams, by reason.",
            "reason",
            sfu.StreamRefusal,
        )
        self._slow_steps = Histogram(
            "sfu_slow_step_seconds",
            "Steps of the event loop that kept all other tasks waiting for 0.1 s or longer.",
            buckets=_SLOW_STEP_BUCKETS,
            registry=self.registry,
        )
        self._newcomers_refused = self._plain_counter(
            "sfu_newcomers_refused", "Joins that were refused because the gateway was overloaded."
        )
        self._connection_errors = self._plain_counter(
            "sfu_connection_errors", "Connections that an exception ended before they were sessions."
        )

    def watch_gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Export a gauge that ``read`` returns at each scrape."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def watch_journal(self, figures: JournalFigures) -> None:
        """Export how the journal gets to the disk."""
        self.watch_gauge("sfu_journal_waiting", "Changes that wait for the disk.", lambda: figures.waiting)
        self.watch_gauge("sfu_journal_failures", "Attempts to write the journal that failed.", lambda: figures.failures)
        self.watch_gauge("sfu_journal_gaps", "Times that too much waited for the disk.", lambda: figures.gaps)

    def _plain_counter(self, name: str, meaning: str) -> Counter:
        return Counter(name, meaning, registry=self.registry)

    def _counter(self, name: str, meaning: str, label: str, values: Iterable[str]) -> Counter:
        """Make a counter with a label. All known values exist from the start. Otherwise Prometheus would miss the first
        event of each."""
        counter = Counter(name, meaning, [label], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def joined(self) -> None:
        """Count a session that joined a channel."""
        self._joins.inc()

    def resumed(self, *, lost: bool) -> None:
        """Count a session that went on over another WebSocket. ``lost`` says that the client got the whole state."""
        self._resumes.labels("whole_state" if lost else "missing_messages").inc()

    def left(self, reason: str) -> None:
        """Count a session that left its channel, by the reason in ``user_left``."""
        self._leaves.labels(reason).inc()

    def observe_leave(self, seconds: float) -> None:
        """Observe the time from the end of a session until the others were notified."""
        self._leave_to_told.observe(seconds)

    def closed(self, code: int) -> None:
        """Count a WebSocket that the gateway closed, by its close code."""
        self._closes.labels(str(int(code))).inc()

    def request_error(self, code: str) -> None:
        """Count a request that was answered with an error, by its code."""
        self._errors.labels(str(code)).inc()

    def moderated(self, action: ModeratorAction) -> None:
        """Count a decision of a moderator."""
        self._moderations.labels(action).inc()

    def session_error(self) -> None:
        """Count a session that an exception of the gateway's own code ended."""
        self._session_errors.inc()

    def forced_cleanup(self, count: int = 1) -> None:
        """Count goodbyes of the gateway that were cut off at their deadline. The media side counts its own goodbyes."""
        self._forced_cleanups += count

    def failed_cleanup(self) -> None:
        """Count a cleanup step of the gateway that raised. The media side counts its own steps."""
        self._failed_cleanups += 1

    def http_response(self, status: int) -> None:
        """Count an HTTP response, by its status."""
        self._http_responses.labels(str(status)).inc()

    def http_refusal(self, reason: HttpRefusal) -> None:
        """Count a request that was not served, by its reason."""
        self._refusals.labels(str(reason)).inc()

    def stream_refusal(self, reason: sfu.StreamRefusal) -> None:
        """Count a TCP connection that did not become a media stream, by the reason."""
        self._stream_refusals.labels(str(reason)).inc()

    def connection_error(self) -> None:
        """Count a connection that an exception ended before it was a session."""
        self._connection_errors.inc()

    def newcomer_refused(self) -> None:
        """Count a newcomer that was refused because the gateway is overloaded."""
        self._newcomers_refused.inc()

    def slow_step(self, seconds: float) -> None:
        """Count a step of the event loop that kept all other tasks waiting."""
        self._slow_steps.observe(seconds)

    def watch(self, channels: CountedChannels, *routers: CountedRouter) -> None:
        """Export the gauges of these objects from now on, each as the sum of all routers. Call this once."""
        self.registry.register(_Gauges(channels, routers, lambda: (self._forced_cleanups, self._failed_cleanups)))

    def watch_room(self, room: Room) -> None:
        """Export the load from now on. Call this once."""
        self.registry.register(RoomMetrics(room))

    def render(self) -> bytes:
        """Return the metrics as Prometheus text, of the type :data:`CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    """Reads the gauges from their owners at every scrape."""

    def __init__(
        self, channels: CountedChannels, routers: Sequence[CountedRouter], cleanups: Callable[[], tuple[int, int]]
    ) -> None:
        self._channels = channels
        self._routers = routers
        self._cleanups = cleanups

    def collect(self) -> Iterable[Metric]:
        now = self._channels.counts()
        yield GaugeMetricFamily("sfu_sessions", "Open WebSocket connections.", now.connections)
        yield GaugeMetricFamily("sfu_channels", "Channels.", now.channels)
        yield GaugeMetricFamily("sfu_members", "Members of all channels together.", now.members)

        live = [router.counts() for router in self._routers]
        yield GaugeMetricFamily("sfu_peers", "Peers of all routers together.", sum(router.peers for router in live))
        yield GaugeMetricFamily("sfu_transports", "Transports.", sum(router.transports for router in live))
        yield GaugeMetricFamily("sfu_producers", "Producers.", sum(router.producers for router in live))
        yield GaugeMetricFamily("sfu_consumers", "Consumers.", sum(router.consumers for router in live))
        planes = [router.context.plane.totals() for router in self._routers]
        yield from self._packets(planes)
        yield from self._recovery(planes)
        yield from self._bandwidth(planes)
        streams = [router.context.plane.stream_counts() for router in self._routers]
        count, waiting = sum(count for count, _ in streams), sum(waiting for _, waiting in streams)
        yield GaugeMetricFamily("sfu_media_streams", "TCP connections that carry media.", count)
        yield GaugeMetricFamily("sfu_media_stream_queued_bytes", "Bytes that wait for their slow clients.", waiting)

        forced = CounterMetricFamily(
            "sfu_forced_cleanups", "Goodbyes that their deadline cut off, by layer.", labels=["layer"]
        )
        failed = CounterMetricFamily(
            "sfu_failed_cleanups", "Cleanup steps that raised an exception, by layer.", labels=["layer"]
        )
        in_media = (
            sum(router.context.forced_cleanups for router in self._routers),
            sum(router.context.failed_cleanups for router in self._routers),
        )
        for family, gateway, media in zip((forced, failed), self._cleanups(), in_media, strict=True):
            family.add_metric(["gateway"], gateway)
            family.add_metric(["media"], media)
            yield family
        yield CounterMetricFamily(
            "sfu_slow_path_errors",
            "Exceptions of the gateway's own code in the slow path of media.",
            sum(router.context.slow_path_errors for router in self._routers),
        )

        yield CounterMetricFamily(
            "sfu_log_lines_lost", "Log lines that could not be written, or not in time.", lost_lines()
        )

    def _packets(self, planes: Sequence[PlaneTotals]) -> Iterable[Metric]:
        routes, paths = sum(plane.routes for plane in planes), sum(plane.paths for plane in planes)
        yield GaugeMetricFamily("sfu_routes", "Consumers in the packet path that still have their producer.", routes)
        yield GaugeMetricFamily("sfu_paths", "Remote addresses that passed an authenticated STUN check.", paths)
        packets = CounterMetricFamily("sfu_packets", "Datagrams on the media ports.", labels=["direction"])
        packets.add_metric(["in"], sum(plane.packets_in for plane in planes))
        packets.add_metric(["out"], sum(plane.packets_out for plane in planes))
        yield packets
        size = CounterMetricFamily("sfu_bytes", "Bytes of those datagrams.", labels=["direction"])
        size.add_metric(["in"], sum(plane.bytes_in for plane in planes))
        size.add_metric(["out"], sum(plane.bytes_out for plane in planes))
        yield size
        feedback = CounterMetricFamily(
            "sfu_feedback_packets",
            "Packets of transport-wide feedback: sent to senders (out), and read from receivers (in).",
            labels=["direction"],
        )
        feedback.add_metric(["out"], sum(plane.feedback_to_senders for plane in planes))
        feedback.add_metric(["in"], sum(plane.feedback_of_receivers for plane in planes))
        yield feedback
        drops = CounterMetricFamily(
            "sfu_drops", "Datagrams, or copies of datagrams, that were dropped, by reason.", labels=["reason"]
        )
        for reason in planes[0].drops:
            drops.add_metric([str(reason)], sum(plane.drops[reason] for plane in planes))
        yield drops
        lost = sum(router.context.plane.receive_drops() for router in self._routers)
        yield CounterMetricFamily(
            "sfu_receive_drops", "Datagrams that did not fit into the receive buffers of the media sockets.", lost
        )

    def _recovery(self, planes: Sequence[PlaneTotals]) -> Iterable[Metric]:
        """The recovery of lost packets.  The drops have the reasons why packets were not sent again."""
        requested = CounterMetricFamily(
            "sfu_requested_packets",
            "Missing packets: those that the gateway asked senders for (in), and those that receivers asked for (out).",
            labels=["direction"],
        )
        requested.add_metric(["in"], sum(plane.requested_of_senders for plane in planes))
        requested.add_metric(["out"], sum(plane.requested_by_receivers for plane in planes))
        yield requested
        for name, meaning, total in (
            ("repaired", "Missing packets of senders that came after all.", sum(plane.repaired for plane in planes)),
            ("given_up", "Missing packets that nobody asks for any more.", sum(plane.given_up for plane in planes)),
            ("resent", "Packets that the gateway sent to receivers again.", sum(plane.resent for plane in planes)),
        ):
            yield CounterMetricFamily(f"sfu_{name}_packets", meaning, total)
        packets, size = sum(plane.stored_packets for plane in planes), sum(plane.stored_bytes for plane in planes)
        yield GaugeMetricFamily("sfu_stored_packets", "Packets that the gateway keeps, to send them again.", packets)
        yield GaugeMetricFamily("sfu_stored_bytes", "Bytes of memory that are reserved for those packets.", size)
        limit = sum(plane.stored_bytes_limit for plane in planes)
        yield GaugeMetricFamily(
            "sfu_stored_bytes_limit", "The most bytes of memory that may be reserved for such packets.", limit
        )

    def _bandwidth(self, planes: Sequence[PlaneTotals]) -> Iterable[Metric]:
        """The measurement of how much the networks of receivers carry."""
        probes = sum(plane.probe_bytes for plane in planes)
        yield CounterMetricFamily("sfu_probe_bytes", "Bytes sent to receivers only to measure their networks.", probes)
        short = sum(plane.short_transports for plane in planes)
        yield GaugeMetricFamily(
            "sfu_short_transports", "Transports whose network carries less than is sent to them.", short
        )
