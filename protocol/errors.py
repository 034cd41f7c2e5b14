"""Error codes of single requests, and close codes of connections."""

import enum


class ErrorCode(enum.StrEnum):
    """Why a request failed."""

    MALFORMED = "malformed"
    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    NOT_JOINED = "not_joined"
    ALREADY_JOINED = "already_joined"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    LIMIT_EXCEEDED = "limit_exceeded"
    LOCKED = "locked"
    RATE_LIMITED = "rate_limited"
    MEDIA_FAILED = "media_failed"
    TIMEOUT = "timeout"
    INTERNAL = "internal"

    @property
    def meaning(self) -> str:
        """A description in one line, for people."""
        return _ERROR_MEANINGS[self]

    @property
    def is_counted(self) -> bool:
        """Whether the error counts against the error budget. A correct client never causes such an error."""
        return self in _COUNTED


_ERROR_MEANINGS = {
    ErrorCode.MALFORMED: "the frame cannot be read as a request",
    ErrorCode.INVALID: "a field is missing or not what the protocol allows; path says which",
    ErrorCode.UNKNOWN_TYPE: "there is no request of this type",
    ErrorCode.NOT_JOINED: "the client must join a channel first",
    ErrorCode.ALREADY_JOINED: "the client is in a channel already",
    ErrorCode.UNAUTHENTICATED: "the token is missing or not accepted",
    ErrorCode.FORBIDDEN: "this user may not do that",
    ErrorCode.NOT_FOUND: "there is no such object, or it has closed",
    ErrorCode.CONFLICT: "the request contradicts the present state",
    ErrorCode.UNSUPPORTED: "no codec in common",
    ErrorCode.LIMIT_EXCEEDED: "there are too many of these",
    ErrorCode.LOCKED: "a moderator locked the channel",
    ErrorCode.RATE_LIMITED: "too many requests in a short time, or no room for newcomers",
    ErrorCode.MEDIA_FAILED: "the media side failed",
    ErrorCode.TIMEOUT: "the request took too long",
    ErrorCode.INTERNAL: "an internal error of the gateway; reference finds it in the log",
}
_COUNTED = frozenset({ErrorCode.MALFORMED, ErrorCode.INVALID, ErrorCode.UNKNOWN_TYPE})


class NextStep(enum.StrEnum):
    """The step that a client takes after its connection has closed."""

    STOP = "stop"
    JOIN_AGAIN_AT_ONCE = "join_again_at_once"
    JOIN_AGAIN = "join_again"
    JOIN_AGAIN_LATER = "join_again_later"


class CloseCode(enum.IntEnum):
    """The code with which a WebSocket closes (RFC 6455 section 7.4), and the client's next step."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL = 1006
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    SERVICE_RESTART = 1012
    TOO_MANY_ERRORS = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    JOIN_TIMEOUT = 4408
    REPLACED = 4409
    ENDED = 4410
    TOO_SLOW = 4413
    RATE_LIMITED = 4429
    INTERNAL = 4500

    @property
    def meaning(self) -> str:
        """A description in one line, for people."""
        return _CLOSES[self][1]

    @property
    def next_step(self) -> NextStep:
        """The step that a client takes after this close."""
        return _CLOSES[self][0]


_CLOSES = {
    CloseCode.NORMAL: (NextStep.STOP, "the client left"),
    CloseCode.GOING_AWAY: (NextStep.JOIN_AGAIN_LATER, "the gateway is going away; another one may take the client"),
    CloseCode.PROTOCOL_ERROR: (NextStep.STOP, "a violation of RFC 6455: a bug"),
    CloseCode.UNSUPPORTED_DATA: (NextStep.STOP, "a frame that is not text: a bug"),
    CloseCode.ABNORMAL: (NextStep.JOIN_AGAIN, "the connection broke; no frame carries this code"),
    CloseCode.INVALID_TEXT: (NextStep.STOP, "a text frame that is not UTF-8: a bug"),
    CloseCode.TOO_BIG: (NextStep.STOP, "a message over the size limit: a bug"),
    CloseCode.SERVICE_RESTART: (NextStep.JOIN_AGAIN_AT_ONCE, "the gateway restarts; its successor takes the client"),
    CloseCode.TOO_MANY_ERRORS: (NextStep.STOP, "too many bad messages"),
    CloseCode.UNAUTHENTICATED: (NextStep.STOP, "not authenticated"),
    CloseCode.FORBIDDEN: (NextStep.STOP, "not allowed, or removed by a moderator"),
    CloseCode.JOIN_TIMEOUT: (NextStep.JOIN_AGAIN, "connected, but no join in time"),
    CloseCode.REPLACED: (NextStep.STOP, "a newer connection of the same user took its place"),
    CloseCode.ENDED: (NextStep.STOP, "a moderator ended the channel"),
    CloseCode.TOO_SLOW: (NextStep.JOIN_AGAIN, "the client reads too slowly"),
    CloseCode.RATE_LIMITED: (
        NextStep.JOIN_AGAIN_LATER,
        "too many requests in a short time, or no room for newcomers",
    ),
    CloseCode.INTERNAL: (NextStep.JOIN_AGAIN, "an internal error of the gateway"),
}


def next_step(code: int | None) -> NextStep:
    """Return a client's next step after a close with this code, even one that the protocol does not define.

    None stands for a close frame without a code. An unknown code comes from an intermediary, such as a restarting
    proxy. Then another try makes sense, but not at once.
    """
    try:
        return CloseCode(code or 0).next_step
    except ValueError:
        return NextStep.JOIN_AGAIN_LATER


class ProtocolError(Exception):
    """A frame from the other side is no message of this protocol. Decoding raises no other exception.

    ``path`` is the wire path of the wrong field. It is None if no single field is wrong. ``request_id`` is the id for
    the answer. It is None if the frame has no usable id.
    """

    def __init__(self, code: ErrorCode, message: str, path: str | None = None, request_id: int | None = None) -> None:
        super().__init__(code, message, path, request_id)
        self.code = code
        self.message = message
        self.path = path
        self.request_id = request_id

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.code}: {where}{self.message}"


class RequestError(Exception):
    """A request failed. The gateway raises this while it serves a request, the Python client when it gets an error.

    ``path`` is the wire path of the wrong field, and ``reference`` finds a line in the gateway's log.
    ``retry_after_ms`` is the shortest time to wait before the next try. All three may be None.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        path: str | None = None,
        reference: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code, message, path, reference, retry_after_ms)
        self.code = code
        self.message = message
        self.path = path
        self.reference = reference
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        reference = f" ({self.reference})" if self.reference else ""
        return f"{self.code}: {where}{self.message}{reference}"
