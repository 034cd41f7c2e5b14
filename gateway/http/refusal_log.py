"""The log of refused HTTP requests and media streams, for operators. Any client can cause a line, so the rate is
limited."""

from collections import defaultdict
from typing import Final

import structlog
import trio
from attrs import define, field

from gateway.connection.rates import TokenBucket
from gateway.ops.http_refusal import HttpRefusal
from gateway.ops.limit_metrics import LIMITS
from gateway.ops.metrics import Metrics
from sfu import StreamRefusal

log = structlog.get_logger(__name__)

_LINES_AT_ONCE: Final = 5
_LINES_PER_SECOND: Final = 0.1
_MAX_CHARACTERS: Final = 300

_SETTINGS: Final = {
    HttpRefusal.HOST: "allowed_hosts",
    HttpRefusal.ORIGIN: "allowed_origins",
    HttpRefusal.HEAD_TOO_LARGE: "max_request_head_bytes",
    HttpRefusal.BODY_TOO_LARGE: "max_request_body_bytes",
    HttpRefusal.HALF_OPEN: "max_half_open_connections",
    HttpRefusal.TOO_MANY_CONNECTIONS: "max_http_connections",
    HttpRefusal.FULL: "max_connections",
    HttpRefusal.ADDRESS_FULL: "max_connections_per_address",
    HttpRefusal.RATE_LIMITED: "address_work_share",
}

_STREAM_SETTINGS: Final = {
    StreamRefusal.FULL: "max_media_streams",
    StreamRefusal.ADDRESS_FULL: "max_media_streams_per_address",
}


@define
class _LineBudget:
    """The lines that one reason may still have. ``left_out`` counts the lines left out since the last one."""

    allowed: TokenBucket = field(factory=lambda: TokenBucket(_LINES_PER_SECOND, _LINES_AT_ONCE))
    left_out: int = 0

    def say(self, setting: str | None, what: str, **fields: str | int) -> None:
        """Log this, unless too many lines had the same reason."""
        if not self.allowed.take(1, trio.current_time()):
            self.left_out += 1
            return
        if setting is not None:
            fields["setting"] = setting
        if self.left_out:
            fields["left_out"] = self.left_out
            self.left_out = 0
        (log.info if setting is None else log.warning)(what, **fields)


@define
class RefusalLog:
    """Counts every refusal. Of each reason it logs five at once, then one every 10 s.

    A line names the setting that decides, if there is one, and the number of lines left out before it.
    """

    metrics: Metrics
    _budgets: defaultdict[HttpRefusal, _LineBudget] = field(factory=lambda: defaultdict(_LineBudget), init=False)
    _stream_budgets: defaultdict[StreamRefusal, _LineBudget] = field(
        factory=lambda: defaultdict(_LineBudget), init=False
    )

    def record(self, reason: HttpRefusal, status: int | None, why: str, remote: str) -> None:
        """Count a refusal, and log it if its reason has lines left. ``why`` may quote the client, so this cuts it to a
        length. ``status`` is None if no answer was possible."""
        self.metrics.http_refusal(reason)
        setting, why = _SETTINGS.get(reason), why[:_MAX_CHARACTERS]
        if setting in LIMITS:
            self.metrics.limits.reached(setting)
        answered: dict[str, str | int] = {} if status is None else {"status": status}
        self._budgets[reason].say(setting, "request refused", remote=remote, reason=str(reason), why=why, **answered)

    def record_stream(self, reason: StreamRefusal, remote: str) -> None:
        """Count a media stream that was refused, and log it if its reason has lines left."""
        self.metrics.stream_refusal(reason)
        setting = _STREAM_SETTINGS.get(reason)
        if setting in LIMITS:
            self.metrics.limits.reached(setting)
        self._stream_budgets[reason].say(setting, "media stream refused", remote=remote, reason=str(reason))
