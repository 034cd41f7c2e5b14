"""Finding the object that an event or a datagram belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, frozen

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.dataplane.interface import ConsumerId, ProducerId, TransportId
    from sfu.producer import Producer
    from sfu.transport import Transport


@frozen
class RouterCounts:
    """How many objects a router has now; all zero when no client is there."""

    peers: int
    transports: int
    producers: int
    consumers: int


@define(eq=False)
class Directory:
    """The objects of one router by the data plane's numbers, and the transports by ICE username fragment.

    It owns nothing: the nesting of blocks decides who closes whom (docs/closures.md).
    """

    peers: set[int] = field(factory=set)
    transports: dict[TransportId, Transport] = field(factory=dict)
    producers: dict[ProducerId, Producer] = field(factory=dict)
    consumers: dict[ConsumerId, Consumer] = field(factory=dict)
    usernames: dict[str, Transport] = field(factory=dict)

    def counts(self) -> RouterCounts:
        return RouterCounts(len(self.peers), len(self.transports), len(self.producers), len(self.consumers))

    def update_usernames(self, transport: Transport) -> None:
        """The ICE credentials of this transport may have changed."""
        if transport.ice.ufrags == transport.known_usernames:
            return
        self._forget_usernames(transport)
        transport.known_usernames = transport.ice.ufrags
        for ufrag in transport.known_usernames:
            self.usernames[ufrag] = transport

    def forget_transport(self, transport: Transport) -> None:
        """Find it by neither its number nor its usernames any more."""
        self._forget_usernames(transport)
        self.transports.pop(transport.plane_id, None)

    def _forget_usernames(self, transport: Transport) -> None:
        for ufrag in transport.known_usernames:
            self.usernames.pop(ufrag, None)
        transport.known_usernames = ()
