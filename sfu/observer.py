"""The notices that the owner of a peer gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.producer import Producer
    from sfu.settings import ConsumerEndReason
    from sfu.transport import Transport


class PeerObserver(Protocol):
    """The owner of a peer.  It gets a notice of every change that it did not make itself.

    Every method is synchronous, and may call the peer.  If one of the first five raises, :meth:`failed` gets the
    exception.  So only the owner of this peer ends.
    """

    def transport_changed(self, transport: Transport) -> None:
        """The transport is now connected, disconnected, failed or closed (see its ``state``).

        There is no notice after the owner's own close.
        """

    def producer_closed(self, producer: Producer) -> None:
        """The producer closed with its transport."""

    def demand_changed(self, producer: Producer) -> None:
        """Its receivers want other encodings than before (see its ``wanted_encodings``)."""

    def consumer_closed(self, consumer: Consumer, why: ConsumerEndReason) -> None:
        """The consumer closed, and the owner did not ask for it."""

    def consumer_updated(self, consumer: Consumer) -> None:
        """The consumer's producer was paused or resumed, or the data plane forwards other layers.

        The same if the receiver's path has no room for it, or has room again (see its ``starved``).
        """

    def failed(self, error: Exception) -> None:
        """Code that ran for this peer raised ``error``.  The owner should end the peer."""
