"""The way of a media stream (ICE-TCP, RFC 6544) through the front door: from its first byte to the data plane.

Everybody can open a connection and be silent, so each step has a bound. Only a client that knows the password of a
transport gets to the data plane, which then owns the connection. Clients of one address share a bound of their own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import trio

from gateway.config import Config
from gateway.connection.accounts import site_of
from gateway.http.http1 import ClientGone
from gateway.http.refusal_log import RefusalLog
from gateway.http.stream_places import StreamPlaces
from gateway.ops.metrics import Metrics
from sfu import StreamRefusal
from sfu.streams import Connection, may_begin, missing_bytes

_FIRST_FRAME_TIMEOUT: Final = 5
_MOST_WAITING_OF_SITE: Final = 256
"""The most connections of one site that have not sent their first frame yet. A site is one IPv4 address, or the /64 of
an IPv6 address."""


class AdoptingRouter(Protocol):
    """The part of :class:`sfu.Router` that takes media streams."""

    def adopt_stream(self, connection: Connection, frame: bytes) -> StreamRefusal | None: ...
    def stream_counts(self) -> tuple[int, int]: ...


class MediaStreams:
    """Reads the first frame of each media stream, and gives the stream to the router that knows its username.

    ``waiting`` counts the streams whose first frame has not come yet. ``places`` counts all streams by address.
    """

    def __init__(self, config: Config, routers: Sequence[AdoptingRouter], metrics: Metrics) -> None:
        self.places = StreamPlaces(config.max_media_streams_per_address)
        self.reconfigure(config)
        self._routers = routers
        self._refusals = RefusalLog(metrics)
        self._waiting_of: Counter[str] = Counter()
        self.waiting = 0

    def reconfigure(self, config: Config) -> None:
        """Use other limits from the next stream on."""
        self.most = config.max_media_streams
        self.places.most = config.max_media_streams_per_address

    def may_begin(self, first: bytes) -> bool:
        """Whether a connection whose first bytes are these may be a media stream. No HTTP request begins in this
        way."""
        return may_begin(first)

    async def take(self, stream: trio.abc.Stream, first: bytes, remote: str, *, is_shared: bool = False) -> None:
        """Read on behind the ``first`` bytes, and hand the connection over.

        ``is_shared`` says that ``remote`` is a proxy, which does not name the client's address. Then the bound for one
        address does not apply. The caller closes its ``stream`` in any case. A connection that was handed over stays
        open. Raises :exc:`ClientGone` if the client closed it.
        """
        refusal = await self._take(stream, first, remote, "" if is_shared else remote)
        if refusal is not None:
            self._refusals.record_stream(refusal, remote)

    async def _take(self, stream: trio.abc.Stream, first: bytes, remote: str, owner: str) -> StreamRefusal | None:
        """Take a stream. ``owner`` is the address whose place it takes. It is empty if nobody knows the address."""
        if self.waiting + sum(router.stream_counts()[0] for router in self._routers) >= self.most:
            return StreamRefusal.FULL
        if self.places.is_full(owner):
            return StreamRefusal.ADDRESS_FULL
        site = site_of(remote) or remote.rpartition(":")[0]
        if self._waiting_of[site] >= _MOST_WAITING_OF_SITE:
            return StreamRefusal.TOO_MANY_OF_ADDRESS
        with self.places.hold(owner), self._waits(site):
            with trio.move_on_after(_FIRST_FRAME_TIMEOUT) as scope:
                frame = await _read_frame(stream, first)
            return StreamRefusal.TOO_SLOW if scope.cancelled_caught else self._hand_over(stream, frame, owner)

    @contextmanager
    def _waits(self, site: str) -> Iterator[None]:
        self.waiting += 1
        self._waiting_of[site] += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self._waiting_of[site] -= 1
            if not self._waiting_of[site]:
                del self._waiting_of[site]

    def _hand_over(self, stream: trio.abc.Stream, frame: bytes, owner: str) -> StreamRefusal | None:
        if not frame or not isinstance(stream, trio.SocketStream):
            return StreamRefusal.MALFORMED
        for router in self._routers:
            refusal = router.adopt_stream(stream.socket, frame)
            if refusal is None:
                self.places.take(stream.socket, owner)
            if refusal is not StreamRefusal.UNKNOWN_USERNAME:
                return refusal
        return StreamRefusal.UNKNOWN_USERNAME


async def _read_frame(stream: trio.abc.Stream, first: bytes) -> bytes:
    """Read exactly the first frame. Return nothing if it is no Binding request. Raises :exc:`ClientGone`."""
    frame = bytearray(first)
    while may_begin(frame) and (missing := missing_bytes(frame)):
        try:
            data = await stream.receive_some(missing)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        frame += data
    return bytes(frame) if may_begin(frame) else b""
