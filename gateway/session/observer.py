"""Turns the media side's reports about one peer into events for its client and changes of the list."""

from attrs import define

import sfu
from gateway.channel.channel import Seat
from gateway.channel.member import Member
from gateway.media_objects import convert
from protocol.events import ConsumerClosed, ConsumerUpdated, ProducerLayers, TransportState, TransportStateChanged
from protocol.vocabulary import Layers

_REPORTED_STATES: dict[sfu.TransportState, TransportState] = {
    sfu.TransportState.CONNECTED: "connected",
    sfu.TransportState.DISCONNECTED: "disconnected",
    sfu.TransportState.FAILED: "failed",
    sfu.TransportState.CLOSED: "closed",
}


@define(eq=False)
class MemberObserver:
    """The :class:`sfu.PeerObserver` of one member. It only fills outboxes and never waits."""

    seat: Seat

    @property
    def member(self) -> Member:
        """The member whose peer this is."""
        return self.seat.member

    def transport_changed(self, transport: sfu.Transport) -> None:
        """Send the new state. The transport's producers closed in the same step, so the list changes once."""
        self.seat.channel.update(self.member)
        state = _REPORTED_STATES[transport.state]
        self.member.connection.send_event(TransportStateChanged(transport.id, state))

    def producer_closed(self, producer: sfu.Producer) -> None:
        """Do nothing. The producer closed with its transport, and :meth:`transport_changed` comes next and updates the
        list."""

    def demand_changed(self, producer: sfu.Producer) -> None:
        if (event := demand_on(producer)) is not None:
            self.member.connection.send_event(event)

    def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
        self.member.connection.send_event(ConsumerClosed(consumer.id, why.value))

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        layers = None if consumer.layers is None else convert(consumer.layers, Layers)
        event = ConsumerUpdated(consumer.id, consumer.producer_paused, layers, consumer.starved)
        self.member.connection.send_event(event)

    def failed(self, error: Exception) -> None:
        """End this peer's session, because code that ran for it raised while the gateway served another client."""
        self.member.connection.fail(error)


def demand_on(producer: sfu.Producer) -> ProducerLayers | None:
    """The event with the encodings of this producer that somebody wants. None for audio, which is always wanted."""
    wanted = producer.wanted_encodings
    return None if wanted is None else ProducerLayers(producer.id, wanted)
