"""The requests of one connection, in order. This module also answers frames that are no request."""

import trio
from attrs import define, field

from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.rates import TokenBucket
from protocol.codec import decode_request
from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.requests import Request
from protocol.responses import Error

REQUEST_BYTES_PER_TOKEN = 8192
"""A request costs one token, plus one for every 8 KiB, since a large request takes longer to decode."""
HARD_LIMIT_FACTOR = 2
"""A client above the rate limit gets errors. Above this multiple of the limit, the gateway closes its connection."""


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
            text, size = await self.connection.inbox.get()
            now, cost = trio.current_time(), 1 + size // REQUEST_BYTES_PER_TOKEN
            if not self._hard_limit.take(cost, now):
                self.connection.end(end_reasons.RATE_LIMITED)
                continue
            try:
                request = decode_request(text)
            except ProtocolError as error:
                self.connection.respond(Error.for_frame(error))
                continue
            if self._soft_limit.take(cost, now):
                return request
            refused = RequestError(ErrorCode.RATE_LIMITED, "too many requests in too short a time")
            self.connection.respond(Error.for_request(request.id, refused))
