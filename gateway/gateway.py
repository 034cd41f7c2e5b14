"""One gateway: what its connections share."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Never
from weakref import WeakValueDictionary

import structlog
from attrs import define, field
from structlog.typing import FilteringBoundLogger

import protocol.media
import sfu
import sfu.parameters
from gateway.channel import speakers
from gateway.channel.channel import Channel
from gateway.channel.channels import Channels
from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.end_reasons import EndReason
from gateway.media_objects import convert
from gateway.ops.log import new_reference
from gateway.ops.metrics import Metrics


def _random_id() -> str:
    """96 random bits: nobody guesses another's."""
    return secrets.token_hex(12)


def _today() -> datetime:
    return datetime.now(UTC)


@define(eq=False)
class Gateway:
    """Configuration, media ports, channels and open connections.

    There is one router for each plane; a channel's media is on one of them (:meth:`router_of`).  ``connections`` are
    the open ones in the order in which they came, ``ended_connections`` counts those that are gone.
    ``new_id`` makes ids, ``new_reference`` those of failures, ``today`` tells the date (in UTC); they are injected
    where the same run is wanted again.
    """

    config: Config
    routers: Sequence[sfu.Router]
    metrics: Metrics
    new_id: Callable[[], str] = _random_id
    new_reference: Callable[[], str] = new_reference
    today: Callable[[], datetime] = _today
    draining: bool = False
    ended_connections: int = 0
    connections: dict[str, Connection] = field(factory=dict, init=False)
    channels: Channels = field(init=False)
    capabilities: protocol.media.RtpCapabilities = field(init=False)
    log: FilteringBoundLogger = field(factory=structlog.get_logger, init=False)
    _interned: "WeakValueDictionary[str, sfu.parameters.RtpCapabilities]" = field(
        factory=WeakValueDictionary, init=False
    )

    def __attrs_post_init__(self) -> None:
        self.channels = Channels(self.config, self.metrics, self.log, self.connections, self._choose_plane)
        self.capabilities = convert(self.routers[0].context.capabilities, protocol.media.RtpCapabilities)

    def intern_capabilities(self, capabilities: sfu.parameters.RtpCapabilities) -> sfu.parameters.RtpCapabilities:
        """Equal ones once: a browser's take some 20 kB, and most members have the same browser."""
        return self._interned.setdefault(repr(capabilities), capabilities)

    def router_of(self, channel: Channel) -> sfu.Router:
        """Where the media of this channel's members is."""
        return self.routers[channel.plane]

    def _choose_plane(self) -> int:
        """The plane that has least to do: of those with fewest streams the one with fewest channels."""
        channels = Counter(channel.plane for channel in self.channels.channels.values())
        return min(
            range(len(self.routers)), key=lambda plane: (self.routers[plane].counts().consumers, channels[plane])
        )

    @contextmanager
    def register_connection(self, remote: str) -> Iterator[Connection]:
        """A new connection, among ``connections`` for as long as the block runs."""
        name = self.new_id()
        log = self.log.bind(connection=name, remote=remote)
        self.connections[name] = Connection(self.config, self.metrics, log, self.new_reference)
        try:
            yield self.connections[name]
        finally:
            del self.connections[name]
            self.ended_connections += 1

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self.connections)

    async def run(self) -> Never:
        """What goes on besides the connections; runs as long as the gateway does."""
        await speakers.watch_speakers(self.channels.channels.values)

    def end_all(self, end_reason: EndReason = end_reasons.DRAINING) -> None:
        """End every connection; each one closes its media and leaves its channel before it is closed."""
        for connection in list(self.connections.values()):
            try:
                connection.end(end_reason)
            except Exception as error:  # one that cannot be ended keeps none of the others
                connection.fail(error)
