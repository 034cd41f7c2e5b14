"""What the owner of a peer is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.producer import Producer
    from sfu.settings import ConsumerEnd
    from sfu.transport import Transport


class PeerObserver(Protocol):
    """The owner of a peer, as it is told what it did not do itself.

    Every method is synchronous, and may call the peer.  An exception in one of the first four ends this peer's owner,
    through :meth:`failed`, and nobody else.
    """

    def transport_changed(self, transport: Transport) -> None:
        """It is connected, disconnected, failed or closed; see its ``state``.  Not after one's own close."""

    def producer_closed(self, producer: Producer) -> None:
        """It went with its transport."""

    def consumer_closed(self, consumer: Consumer, why: ConsumerEnd) -> None: ...

    def consumer_updated(self, consumer: Consumer) -> None:
        """Its producer was paused or resumed, or other layers are forwarded."""

    def failed(self, error: Exception) -> None:
        """Code that ran for this peer raised; the owner should end it."""
