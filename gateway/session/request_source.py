"""The requests of one connection, in the order in which they came; what is no request is answered here."""

import trio
from attrs import define, field

from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.rates import TokenBucket
from protocol.codec import decode_request
from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.requests import Request
from protocol.responses import Error

BYTES_PER_TOKEN = 8192
"""A request costs one token, and one more for each so many bytes: reading it costs more, too."""
HARD_LIMIT_FACTOR = 2
"""Who asks so many times faster than allowed is closed; who asks a little too fast is only told so."""


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
        """The next request.  Always a checkpoint."""
        while True:
            text, size = await self.connection.inbox.get()
            now, cost = trio.current_time(), 1 + size // BYTES_PER_TOKEN
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
