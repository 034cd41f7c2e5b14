"""The requests of one connection, in order. This module also answers frames that are no request."""

import trio
from attrs import define, field

from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.inbox import ReceivedMessage
from gateway.connection.outbox import Frame
from gateway.connection.rates import TokenBucket
from protocol.codec import decode_request
from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.requests import Request
from protocol.responses import Error

REQUEST_BYTES_PER_TOKEN = 8192
"""A request costs one token, plus one for every 8 KiB, since a large request takes longer to decode."""
HARD_LIMIT_FACTOR = 2
"""A client above the rate limit gets errors. Above this multiple of the limit, the gateway closes its connection."""

MOST_DEBT = 30.0
"""A client whose own debt needs more seconds than this to be paid is closed. For the debt of its address it waits, but
no longer than this."""


@define(eq=False)
class RequestSource:
    """Reads the inbox of one connection."""

    connection: Connection
    _soft_limit: TokenBucket = field(init=False)
    _hard_limit: TokenBucket = field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.connection.config
        self._soft_limit = TokenBucket(config.request_rate, config.request_burst)
        self._hard_limit = TokenBucket(
            HARD_LIMIT_FACTOR * config.request_rate, HARD_LIMIT_FACTOR * config.request_burst
        )

    async def next(self) -> Request:
        """Return the next request. Always a checkpoint."""
        while True:
            message = await self.connection.inbox.get()
            await self._wait_paid()
            now, cost = trio.current_time(), 1 + message.size // REQUEST_BYTES_PER_TOKEN
            if not self._hard_limit.take(cost, now):
                self.connection.end(end_reasons.RATE_LIMITED, "request_rate")
                continue
            try:
                request = decode_request(message.text)
            except ProtocolError as error:
                self.connection.respond(Error.for_frame(error))
                continue
            if self._is_repeated(request.id, message):
                continue
            if self._soft_limit.take(cost + request.data.weight, now):
                return request
            self.connection.metrics.limits.reached("request_rate")
            refused = RequestError(ErrorCode.RATE_LIMITED, "too many requests in too short a time")
            self.connection.respond(Error.for_request(request.id, refused))

    async def _wait_paid(self) -> None:
        """Serve a client later that has used more of the gateway's time than it may."""
        if self.connection.own_debt > MOST_DEBT:
            self.connection.end(end_reasons.RATE_LIMITED, "work_share")
        if debt := self.connection.debt:
            is_own = self.connection.own_debt >= debt
            self.connection.metrics.limits.reached("work_share" if is_own else "address_work_share")
            await trio.sleep(min(debt, MOST_DEBT))

    def _is_repeated(self, request_id: int, message: ReceivedMessage) -> bool:
        """Whether this request of the session came before. If so, answer it, and do not serve it again."""
        connection = self.connection
        log = connection.replay_log
        if log is None or not connection.in_session:
            return False
        if (known := log.answer_to(request_id, message.text)) is not None:
            # If the first one was still waiting when this one came, its answer went out since then.
            if known.number <= message.answers:
                connection.repeat(known.frame)
            return True
        if log.has_forgotten(request_id):
            error = RequestError(ErrorCode.CONFLICT, "this request was answered, and its answer is gone")
            connection.repeat(Frame.of(Error.for_request(request_id, error)))
            return True
        log.take_request(request_id, message.text)
        return False
