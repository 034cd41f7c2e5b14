"""Finding the object that an event belongs to."""

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
    """The present numbers of a router's objects.  All are zero when no client is there."""

    peers: int
    transports: int
    producers: int
    consumers: int


@define(eq=False)
class Directory:
    """The objects of one router by the data plane's numbers.

    It owns nothing, because the nesting of blocks decides what closes what (docs/closures.md).
    """

    peers: set[int] = field(factory=set)
    transports: dict[TransportId, Transport] = field(factory=dict)
    producers: dict[ProducerId, Producer] = field(factory=dict)
    consumers: dict[ConsumerId, Consumer] = field(factory=dict)

    def counts(self) -> RouterCounts:
        return RouterCounts(len(self.peers), len(self.transports), len(self.producers), len(self.consumers))
