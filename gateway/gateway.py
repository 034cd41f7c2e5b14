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
from gateway.connection.end_reasons import Ending
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

    ``port`` is the first of the media ``ports``; a channel's media is on one of them (:meth:`port_of`).
    ``sessions`` are the open connections in the order in which they came, ``ended`` counts those that are gone.
    ``new_id`` makes ids, ``new_reference`` those of failures, ``today`` tells the date (in UTC); they are injected
    where the same run is wanted again.
    """

    config: Config
    port: sfu.Port
    metrics: Metrics
    new_id: Callable[[], str] = _random_id
    new_reference: Callable[[], str] = new_reference
    today: Callable[[], datetime] = _today
    more_ports: Sequence[sfu.Port] = ()
    draining: bool = False
    ended: int = 0
    sessions: dict[str, Connection] = field(factory=dict, init=False)
    channels: Channels = field(init=False)
    capabilities: protocol.media.RtpCapabilities = field(init=False)
    log: FilteringBoundLogger = field(factory=structlog.get_logger, init=False)
    _shared: "WeakValueDictionary[str, sfu.parameters.RtpCapabilities]" = field(factory=WeakValueDictionary, init=False)

    def __attrs_post_init__(self) -> None:
        self.channels = Channels(self.config, self.metrics, self.log, self.sessions, self._choose_plane)
        self.capabilities = convert(self.port.capabilities, protocol.media.RtpCapabilities)

    def share(self, capabilities: sfu.parameters.RtpCapabilities) -> sfu.parameters.RtpCapabilities:
        """Equal ones once: a browser's take some 20 kB, and most members have the same browser."""
        return self._shared.setdefault(repr(capabilities), capabilities)

    @property
    def ports(self) -> Sequence[sfu.Port]:
        return (self.port, *self.more_ports)

    def port_of(self, channel: Channel) -> sfu.Port:
        """Where the media of this channel's members is."""
        return self.ports[channel.plane]

    def _choose_plane(self) -> int:
        """The plane that has least to do: of those with fewest streams the one with fewest channels."""
        channels = Counter(channel.plane for channel in self.channels.channels.values())
        return min(range(len(self.ports)), key=lambda plane: (self.ports[plane].census().consumers, channels[plane]))

    @contextmanager
    def connection(self, remote: str) -> Iterator[Connection]:
        """A new connection, among ``sessions`` for as long as the block runs."""
        name = self.new_id()
        log = self.log.bind(connection=name, remote=remote)
        self.sessions[name] = Connection(self.config, self.metrics, log, self.new_reference)
        try:
            yield self.sessions[name]
        finally:
            del self.sessions[name]
            self.ended += 1

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self.sessions)

    async def run(self) -> Never:
        """What goes on besides the connections; runs as long as the gateway does."""
        await speakers.listen_to_all(self.channels.channels.values)

    def end_all(self, ending: Ending = end_reasons.DRAINING) -> None:
        """End every connection; each one closes its media and leaves its channel before it is closed."""
        for connection in list(self.sessions.values()):
            try:
                connection.end(ending)
            except Exception as error:  # one that cannot be ended keeps none of the others
                connection.fail(error)
