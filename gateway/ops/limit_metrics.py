"""How full the gateway is, and which of its limits clients reach: the metrics that have the name of a setting."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

LIMITS: Final = (
    "max_connections",
    "max_http_connections",
    "max_half_open_connections",
    "max_connections_per_address",
    "max_media_streams",
    "max_media_streams_per_address",
    "max_request_head_bytes",
    "max_request_body_bytes",
    "max_channels",
    "max_members",
    "max_removals",
    "max_kept_rules",
    "max_watched_channels",
    "max_watches",
    "max_presence_streams",
    "max_producers",
    "max_consumers",
    "max_message_bytes",
    "max_stranger_bytes",
    "outbox_bytes",
    "outbox_age",
    "inbox_messages",
    "inbox_bytes",
    "unread_bytes",
    "message_backlog_bytes",
    "request_rate",
    "message_rate",
    "work_share",
    "address_work_share",
    "error_budget",
)
"""The settings whose limits count each time that somebody reaches them. A rate stands for its burst as well."""


class LimitMetrics:
    """``sfu_limits_reached_total``, ``sfu_limit`` and ``sfu_limit_used``, each by setting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        label = ["setting"]
        self._reached = Counter(
            "sfu_limits_reached", "Times that somebody reached a limit, by its setting.", label, registry=registry
        )
        self._values = Gauge("sfu_limit", "The value of a limit, by its setting.", label, registry=registry)
        self._used = Gauge("sfu_limit_used", "How much of a limit is in use now, by setting.", label, registry=registry)
        for setting in LIMITS:
            self._reached.labels(setting)

    def reached(self, setting: str, times: int = 1) -> None:
        """Count that somebody reached the limit of a setting, which is one of :data:`LIMITS`."""
        assert setting in LIMITS
        self._reached.labels(setting).inc(times)

    def export(self, config: object, used: Mapping[str, Callable[[], float]] = MappingProxyType({})) -> None:
        """Export the limits of a configuration, and how much of some is in use, from now on."""
        for setting in LIMITS:
            self._values.labels(setting).set(getattr(config, setting))
        for setting, count in used.items():
            assert setting in LIMITS
            self._used.labels(setting).set_function(count)
