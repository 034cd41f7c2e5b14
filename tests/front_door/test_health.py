"""Health checks and metrics, as a monitoring system sees them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest
from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

import sfu
from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.metrics import ChannelCounts, Metrics
from protocol.errors import ErrorCode
from protocol.events import LeaveReason
from sfu.dataplane.interface import DropReason
from sfu.dataplane.values import PlaneTotals
from tests.front_door.memory_front_door import Clients, Door, request, upgrade
from tests.front_door.stand_ins import no_channels


class Channels:
    """Stands in for the channels, with fixed counts."""

    def counts(self) -> ChannelCounts:
        return ChannelCounts(connections=5, channels=2, members=4)


@frozen
class Plane:
    """Stands in for the data plane, with fixed counts."""

    def totals(self) -> PlaneTotals:
        return PlaneTotals(
            packets_in=100,
            bytes_in=10_000,
            packets_out=300,
            bytes_out=30_000,
            drops={DropReason.REPLAYED: 7, DropReason.EMPTY: 0},
            transports=8,
            producers=6,
            routes=12,
            paths=9,
            usernames=8,
            requested_of_senders=40,
            repaired=38,
            given_up=1,
            requested_by_receivers=90,
            resent=80,
            stored_packets=50,
            stored_bytes=60_000,
            stored_bytes_limit=1_000_000,
            feedback_to_senders=70,
            feedback_of_receivers=20,
            probe_bytes=3_000,
            short_transports=2,
        )

    def receive_drops(self) -> int:
        return 8

    def stream_counts(self) -> tuple[int, int]:
        return 5, 12_000


@frozen
class Context:
    """Stands in for a router's context, with fixed counts."""

    plane: Plane = Plane()
    forced_cleanups: int = 3
    failed_cleanups: int = 1
    slow_path_errors: int = 1


@frozen
class Router:
    """Stands in for a router, with fixed counts."""

    context: Context = Context()

    def counts(self) -> sfu.RouterCounts:
        return sfu.RouterCounts(peers=4, transports=8, producers=6, consumers=14)


def shown(metrics: Metrics) -> dict[str, float]:
    """Return each sample by its name and labels."""
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_gauges_are_read_at_every_scrape() -> None:
    metrics = Metrics()
    metrics.watch(Channels(), Router())
    now = shown(metrics)
    expected = {
        "sfu_sessions": 5,
        "sfu_channels": 2,
        "sfu_members": 4,
        "sfu_peers": 4,
        "sfu_transports": 8,
        "sfu_producers": 6,
        "sfu_consumers": 14,
        "sfu_routes": 12,
        "sfu_paths": 9,
        "sfu_packets_total[in]": 100,
        "sfu_packets_total[out]": 300,
        "sfu_bytes_total[in]": 10_000,
        "sfu_bytes_total[out]": 30_000,
        "sfu_requested_packets_total[in]": 40,
        "sfu_requested_packets_total[out]": 90,
        "sfu_repaired_packets_total": 38,
        "sfu_given_up_packets_total": 1,
        "sfu_resent_packets_total": 80,
        "sfu_feedback_packets_total[out]": 70,
        "sfu_stored_packets": 50,
        "sfu_stored_bytes": 60_000,
        "sfu_stored_bytes_limit": 1_000_000,
        "sfu_feedback_packets_total[in]": 20,
        "sfu_probe_bytes_total": 3_000,
        "sfu_short_transports": 2,
        "sfu_drops_total[replayed]": 7,
        "sfu_drops_total[empty]": 0,
        "sfu_forced_cleanups_total[media]": 3,
        "sfu_forced_cleanups_total[gateway]": 0,
        "sfu_failed_cleanups_total[media]": 1,
        "sfu_failed_cleanups_total[gateway]": 0,
        "sfu_slow_path_errors_total": 1,
    }
    assert {name: now[name] for name in expected} == expected


def test_counters_count_events() -> None:
    metrics = Metrics()
    metrics.watch(Channels(), Router())
    metrics.joined()
    metrics.left("disconnected")
    metrics.observe_leave(0.003)
    metrics.closed(4409)
    metrics.request_error("not_found")
    metrics.session_error()
    metrics.forced_cleanup(2)
    now = shown(metrics)
    assert now["sfu_joins_total"] == 1
    assert now["sfu_leaves_total[disconnected]"] == 1
    assert now["sfu_leave_to_told_seconds_count"] == 1
    assert now["sfu_leave_to_told_seconds_bucket[0.0025]"] == 0
    assert now["sfu_leave_to_told_seconds_bucket[0.005]"] == 1
    assert now["sfu_closes_total[4409]"] == 1
    assert now["sfu_request_errors_total[not_found]"] == 1
    assert now["sfu_session_errors_total"] == 1
    assert now["sfu_forced_cleanups_total[gateway]"] == 2


def test_every_reason_and_code_has_a_sample_from_the_start() -> None:
    """If a counter appears with its first event, Prometheus' rate() misses that event."""
    now = shown(Metrics())
    assert {now[f"sfu_leaves_total[{reason}]"] for reason in get_args(LeaveReason)} == {0}
    assert {now[f"sfu_request_errors_total[{code}]"] for code in ErrorCode} == {0}
    assert {now[f"sfu_closes_total[{code}]"] for code in (1001, 4403, 4409, 4413, 4500)} == {0}


def test_names_follow_the_rules_of_prometheus() -> None:
    metrics = Metrics()
    metrics.watch(Channels(), Router())
    metrics.http_response(200)
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert all(family.documentation.endswith(".") for family in families)
    for family in families:
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert not sample.name.endswith("_created")


def test_two_gateways_in_one_process_count_separately() -> None:
    first, second = Metrics(), Metrics()
    first.joined()
    assert shown(first)["sfu_joins_total"] == 1
    assert shown(second)["sfu_joins_total"] == 0


async def test_metrics_are_prometheus_text_with_the_process_in_it() -> None:
    metrics = Metrics()
    metrics.watch(Channels(), Router())
    door = Door(app=make_app(Config(), metrics, no_channels(), lambda: True), metrics=metrics)
    answer = await door.ask(request("/metrics"))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "\nprocess_open_fds " in answer.text
    assert "\nprocess_resident_memory_bytes " in answer.text
    assert "\nprocess_cpu_seconds_total " in answer.text
    assert "\nsfu_transports 8.0\n" in answer.text


async def test_responses_are_counted_by_status() -> None:
    door = Door()
    await door.ask(request())
    await door.ask(request())
    await door.raw(b"nonsense\r\n\r\n")
    await door.raw(upgrade())
    now = shown(door.metrics)
    assert now["sfu_http_responses_total[200]"] == 2
    assert now["sfu_http_responses_total[400]"] == 1
    assert "sfu_http_responses_total[204]" not in now


@contextmanager
def occupied(door: Door) -> Iterator[None]:
    """Keep one client connected."""
    door.front.clients += 1
    yield
    door.front.clients -= 1


async def test_the_gateway_is_always_alive_and_ready_while_it_accepts_clients() -> None:
    door = Door(
        Config(max_connections=1), make_app(Config(), Metrics(), no_channels(), lambda: door.front.is_ready), Clients()
    )
    assert (await door.ask(request("/readyz"))).status == 200
    with occupied(door):
        answer = await door.ask(request("/readyz"))
        assert (answer.status, answer.text) == (503, "not taking new sessions\n")
        assert (await door.ask(request("/healthz"))).status == 200
    door.front.accepts_clients = False
    assert (await door.ask(request("/readyz"))).status == 503
    assert (await door.ask(request("/healthz"))).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_health_can_only_be_read(path: str) -> None:
    metrics = Metrics()
    door = Door(app=make_app(Config(), metrics, no_channels(), lambda: True))
    assert (await door.ask(request(path, "HEAD"), "HEAD")).status == 200
    answer = await door.ask(request(path, "PUT", {"Content-Length": "0"}))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
