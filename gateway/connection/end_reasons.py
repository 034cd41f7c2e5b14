"""The reasons why a connection ends, each with its ``user_left`` reason and close code (docs/closures.md)."""

from typing import Final

from attrs import field, frozen

from protocol import limits
from protocol.errors import CloseCode, NextStep
from protocol.events import LeaveReason


@frozen
class EndReason:
    """One way in which a connection ends.

    ``text`` is a phrase for people, in the log and in ``closing``. ``leave_reason`` is the reason in ``user_left``.
    ``code`` is the close code that the gateway sends, or None if no client is left to get it. ``retry_after_ms`` asks
    the client to wait before it returns. ``keep_queued`` tells whether the gateway sends the queued messages before the
    goodbye.
    """

    text: str
    leave_reason: LeaveReason
    code: CloseCode | None = None
    retry_after_ms: int | None = field(default=None, kw_only=True)
    keep_queued: bool = field(default=True, kw_only=True)

    @property
    def comes_back(self) -> bool:
        """Whether the client wanted to stay, and the protocol lets it join again at once."""
        if self.code is None:
            return self.leave_reason in ("disconnected", "timed_out")
        return self.code.next_step is NextStep.JOIN_AGAIN


# The client or the network ends the connection.
CLOSED: Final = EndReason("the client closed the connection", "left")
DISCONNECTED: Final = EndReason("the connection is gone", "disconnected")
TIMED_OUT: Final = EndReason("no sign of life, not even a pong", "timed_out")
BROKE_WEBSOCKET: Final = EndReason("the client broke the WebSocket protocol", "failed")

# The gateway ends the connection.
NOT_TEXT: Final = EndReason("a frame that is not text", "failed", CloseCode.UNSUPPORTED_DATA)
TOO_BIG: Final = EndReason("a message is too big", "failed", CloseCode.TOO_BIG)
TOO_MANY_ERRORS: Final = EndReason("too many bad messages", "failed", CloseCode.TOO_MANY_ERRORS)
UNAUTHENTICATED: Final = EndReason("not authenticated", "failed", CloseCode.UNAUTHENTICATED)
REMOVED: Final = EndReason("removed by a moderator", "removed", CloseCode.FORBIDDEN)
ENDED: Final = EndReason("a moderator ended the channel", "ended", CloseCode.ENDED)
NO_JOIN: Final = EndReason("no join in time", "failed", CloseCode.JOIN_TIMEOUT)
REPLACED: Final = EndReason("replaced by a newer connection of the same user", "replaced", CloseCode.REPLACED)
TOO_SLOW: Final = EndReason("the client reads too slowly", "failed", CloseCode.TOO_SLOW, keep_queued=False)
RATE_LIMITED: Final = EndReason("too many requests", "failed", CloseCode.RATE_LIMITED, retry_after_ms=5000)
NO_ROOM: Final = EndReason(
    "the gateway has no room for newcomers now", "failed", CloseCode.RATE_LIMITED, retry_after_ms=5000
)
INTERNAL: Final = EndReason("internal error", "failed", CloseCode.INTERNAL)
PLANE_STALLED: Final = EndReason(
    "the gateway's media has stopped; it is a fault of the gateway", "failed", CloseCode.INTERNAL, retry_after_ms=1000
)
RESTARTING: Final = EndReason(
    "the gateway restarts", "draining", CloseCode.SERVICE_RESTART, retry_after_ms=limits.MOST_RESTART_WAIT_MS
)
DRAINING: Final = EndReason("the gateway is going away", "draining", CloseCode.GOING_AWAY, retry_after_ms=1000)


def of_exception(error: BaseException) -> EndReason:
    """The reason of an end by an exception: a fault of the gateway, unless it is only cancelled."""
    group = error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup("", [error])
    return INTERNAL if group.subgroup(Exception) is not None else DRAINING
