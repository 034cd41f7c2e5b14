"""Why a connection ends: the one table of reasons, what the others are told, and the close code (docs/closures.md)."""

from typing import Final

from attrs import field, frozen

from protocol.errors import CloseCode
from protocol.events import LeaveReason


@frozen
class Ending:
    """One way in which a connection ends.

    ``why`` is a phrase for people, in the log and in ``closing``.  ``left`` is what ``user_left`` says.  ``code`` is
    the close code with which the gateway closes on its own account; None where there is nobody left to tell.
    ``retry_after_ms`` asks the client not to come back sooner.  ``backlog`` says whether what still waits to be sent
    is worth sending first.
    """

    why: str
    left: LeaveReason
    code: CloseCode | None = None
    retry_after_ms: int | None = field(default=None, kw_only=True)
    backlog: bool = field(default=True, kw_only=True)


# The client, or the network between, ended it.
CLOSED: Final = Ending("the client closed the connection", "left")
DISCONNECTED: Final = Ending("the connection is gone", "disconnected")
TIMED_OUT: Final = Ending("nothing came, not even a pong", "timed_out")
BROKE_WEBSOCKET: Final = Ending("the client broke the WebSocket protocol", "failed")

# The gateway ends it.
NOT_TEXT: Final = Ending("a frame that is not text", "failed", CloseCode.UNSUPPORTED_DATA)
TOO_BIG: Final = Ending("a message is too big", "failed", CloseCode.TOO_BIG)
TOO_MANY_ERRORS: Final = Ending("too many bad messages", "failed", CloseCode.TOO_MANY_ERRORS)
UNAUTHENTICATED: Final = Ending("not authenticated", "failed", CloseCode.UNAUTHENTICATED)
REMOVED: Final = Ending("removed by a moderator", "removed", CloseCode.FORBIDDEN)
NO_JOIN: Final = Ending("no join in time", "failed", CloseCode.JOIN_TIMEOUT)
REPLACED: Final = Ending("replaced by a newer connection of the same user", "replaced", CloseCode.REPLACED)
TOO_SLOW: Final = Ending("reads too slowly", "failed", CloseCode.TOO_SLOW, backlog=False)
RATE_LIMITED: Final = Ending("too many requests", "failed", CloseCode.RATE_LIMITED, retry_after_ms=5000)
INTERNAL: Final = Ending("internal error", "failed", CloseCode.INTERNAL)
DRAINING: Final = Ending("the gateway is going away", "draining", CloseCode.GOING_AWAY, retry_after_ms=1000)
