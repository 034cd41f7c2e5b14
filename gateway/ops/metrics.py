"""What ``/metrics`` shows, as Prometheus text.

What *is* (sessions, channels, transports …) is read from the one truth when somebody asks and kept nowhere else, so
that it cannot drift.  What *happened* is counted here, by the methods that the code it happened in calls.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, get_args

from attrs import frozen
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import sfu
from gateway.ops.http_refusal import HttpRefusal
from gateway.ops.log_writer import lost_lines
from protocol.errors import CloseCode, ErrorCode
from protocol.events import LeaveReason
from sfu.dataplane.interface import PlaneTotals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LEAVE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# They would be one more sample for each, of the time at which we began, which the process has already.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation for it


class CountedPlane(Protocol):
    """The data plane, as far as it is shown."""

    def totals(self) -> PlaneTotals: ...


class RouterContext(Protocol):
    """The part of :class:`sfu.RouterContext` that is shown."""

    @property
    def plane(self) -> CountedPlane: ...
    @property
    def forced_cleanups(self) -> int: ...
    @property
    def failed_cleanups(self) -> int: ...
    @property
    def slow_path_errors(self) -> int: ...


class CountedRouter(Protocol):
    """The part of :class:`sfu.Router` that is shown."""

    @property
    def context(self) -> RouterContext: ...
    def counts(self) -> sfu.RouterCounts: ...


@frozen
class ChannelCounts:
    """Open connections, channels, and the members of all channels together."""

    connections: int
    channels: int
    members: int


class CountedChannels(Protocol):
    """All channels, as far as they are counted."""

    def counts(self) -> ChannelCounts: ...


class Metrics:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._joins = Counter("sfu_joins", "Sessions that joined a channel.", registry=self.registry)
        self._leaves = self._counter("sfu_leaves", "Sessions that left one.", "reason", get_args(LeaveReason))
        self._leave_to_told = Histogram(
            "sfu_leave_to_told_seconds",
            "From the moment a session began to end until the others were told.",
            buckets=_LEAVE_BUCKETS,
            registry=self.registry,
        )
        self._closes = self._counter(
            "sfu_closes",
            "WebSockets that the gateway closed on its own account.",
            "code",
            [str(int(code)) for code in CloseCode if code is not CloseCode.ABNORMAL],
        )
        self._errors = self._counter("sfu_request_errors", "Requests answered with an error.", "code", ErrorCode)
        self._session_errors = Counter(
            "sfu_session_errors", "Sessions ended by an exception in the gateway's own code.", registry=self.registry
        )
        self._forced_cleanups = self._failed_cleanups = 0
        self._http_responses = Counter(
            "sfu_http_responses", "HTTP responses begun, by status.", ["status"], registry=self.registry
        )
        self._refusals = self._counter("sfu_http_refusals", "Requests not served, by reason.", "reason", HttpRefusal)
        self._connection_errors = Counter(
            "sfu_connection_errors",
            "Connections ended by an exception before they were sessions.",
            registry=self.registry,
        )

    def _counter(self, name: str, meaning: str, label: str, values: Iterable[str]) -> Counter:
        """One by a label whose values are known: all are there from the start, or the first of each would go unseen."""
        counter = Counter(name, meaning, [label], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def joined(self) -> None:
        """A session has joined a channel."""
        self._joins.inc()

    def left(self, reason: str) -> None:
        """A session has left its channel; ``reason`` as in ``user_left``."""
        self._leaves.labels(reason).inc()

    def leave_to_told(self, seconds: float) -> None:
        """From the moment a session began to end until the others were told."""
        self._leave_to_told.observe(seconds)

    def closed(self, code: int) -> None:
        """The gateway has closed a WebSocket on its own account, with this close code."""
        self._closes.labels(str(int(code))).inc()

    def rejected(self, code: str) -> None:
        """A request was answered with this error code."""
        self._errors.labels(str(code)).inc()

    def session_error(self) -> None:
        """A session was ended by an exception in the gateway's own code."""
        self._session_errors.inc()

    def forced_cleanup(self, count: int = 1) -> None:
        """So many goodbyes of the gateway (not of the media, which counts its own) were cut off by their deadline."""
        self._forced_cleanups += count

    def failed_cleanup(self) -> None:
        """A step of an exit of the gateway (not of the media, which counts its own) raised."""
        self._failed_cleanups += 1

    def http_response(self, status: int) -> None:
        """An HTTP response with this status was begun."""
        self._http_responses.labels(str(status)).inc()

    def http_refusal(self, reason: HttpRefusal) -> None:
        """A request was not served."""
        self._refusals.labels(str(reason)).inc()

    def connection_error(self) -> None:
        """A connection was ended by an exception before it was a session."""
        self._connection_errors.inc()

    def watch(self, channels: CountedChannels, *routers: CountedRouter) -> None:
        """Show what these hold, from now on; the routers together.  Called once."""
        self.registry.register(_Now(channels, routers, lambda: (self._forced_cleanups, self._failed_cleanups)))

    def render(self) -> bytes:
        """Prometheus text, of :data:`CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _Now(Collector):
    """Reads the one truth at every scrape."""

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
        yield GaugeMetricFamily("sfu_peers", "Peers on the media ports.", sum(router.peers for router in live))
        yield GaugeMetricFamily("sfu_transports", "Transports.", sum(router.transports for router in live))
        yield GaugeMetricFamily("sfu_producers", "Producers.", sum(router.producers for router in live))
        yield GaugeMetricFamily("sfu_consumers", "Consumers.", sum(router.consumers for router in live))
        yield from self._packets([router.context.plane.totals() for router in self._routers])

        forced = CounterMetricFamily("sfu_forced_cleanups", "Goodbyes cut off by their deadline.", labels=["layer"])
        failed = CounterMetricFamily("sfu_failed_cleanups", "Steps of an exit that raised.", labels=["layer"])
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
            "Exceptions caught while dispatching datagrams.",
            sum(router.context.slow_path_errors for router in self._routers),
        )

        yield CounterMetricFamily("sfu_log_lines_lost", "Lines of the log that nobody took in time.", lost_lines())

    def _packets(self, planes: Sequence[PlaneTotals]) -> Iterable[Metric]:
        routes, paths = sum(plane.routes for plane in planes), sum(plane.paths for plane in planes)
        yield GaugeMetricFamily("sfu_routes", "Routes in the packet path: consumers that are connected.", routes)
        yield GaugeMetricFamily("sfu_paths", "Remote addresses that have authenticated.", paths)
        packets = CounterMetricFamily("sfu_packets", "Datagrams on the media ports.", labels=["direction"])
        packets.add_metric(["in"], sum(plane.packets_in for plane in planes))
        packets.add_metric(["out"], sum(plane.packets_out for plane in planes))
        yield packets
        size = CounterMetricFamily("sfu_bytes", "Bytes of those datagrams.", labels=["direction"])
        size.add_metric(["in"], sum(plane.bytes_in for plane in planes))
        size.add_metric(["out"], sum(plane.bytes_out for plane in planes))
        yield size
        drops = CounterMetricFamily(
            "sfu_drops", "Datagrams, or copies of one, that went no further.", labels=["reason"]
        )
        for reason in planes[0].drops:
            drops.add_metric([str(reason)], sum(plane.drops[reason] for plane in planes))
        yield drops
