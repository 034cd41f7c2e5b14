"""A stream that goes out to one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfu.dataplane.interface import ConsumerId
from sfu.errors import Conflict
from sfu.layers import Layers, choose_encoding

if TYPE_CHECKING:
    from sfu.dataplane.interface import ConsumerStats, LayersChanged
    from sfu.parameters import Kind, RtpParameters
    from sfu.producer import Producer
    from sfu.transport import Transport


class Consumer:
    """One producer's stream on one transport of another peer (or of the same).  A plain object, without a task.

    ``paused`` is its owner's wish; ``producer_paused`` the producer's.  ``bounds`` is how good the owner wants it at
    best.
    """

    def __init__(
        self,
        id_: str,
        transport: Transport,
        producer: Producer,
        rtp_parameters: RtpParameters,
        ssrc: int,
        paused: bool,
    ) -> None:
        self.id = id_
        self.plane_id = ConsumerId(transport.port.new_number())
        self.transport = transport
        self.producer = producer
        self._rtp_parameters: RtpParameters | None = rtp_parameters
        self.ssrc = ssrc
        self.paused = paused
        self.closed = False
        self.bounds: Layers | None = None
        self.layers: Layers | None = None
        self.target = 0

    @property
    def kind(self) -> Kind:
        return self.producer.kind

    @property
    def producer_paused(self) -> bool:
        return self.producer.paused

    def take_rtp_parameters(self) -> RtpParameters:
        """What its receiver has to be told, for who tells it: once, as thousands of consumers would keep it in vain."""
        parameters, self._rtp_parameters = self._rtp_parameters, None
        if parameters is None:
            raise Conflict("the parameters of this consumer were taken before")
        return parameters

    @property
    def flowing(self) -> bool:
        """Whether nothing but the packets themselves is missing."""
        return not (self.closed or self.paused or self.producer.paused) and self.transport.connected

    def stats(self) -> ConsumerStats:
        """What was sent so far."""
        return self.transport.plane.consumer_stats(self.plane_id)

    def may_flow(self, now: float) -> None:
        """Something that held it back is gone: where that was the last thing, it needs a key frame."""
        if self.flowing:
            self.ask_key_frame(now)

    def complain(self, now: float) -> None:
        """The receiver cannot decode: while it waits for another encoding, it needs a key frame of what it has, too."""
        if self.flowing and self.kind == "video":
            self._ask_key_frame(self.target, now)
            forwarded = self.stats().encoding
            if forwarded is not None and forwarded != self.target:
                self._ask_key_frame(forwarded, now)

    def ask_key_frame(self, now: float) -> None:
        """The receiver is about to begin, or to go on with another encoding."""
        if self.kind == "video":
            self._ask_key_frame(self.target, now)

    def _ask_key_frame(self, encoding: int, now: float) -> None:
        patience = self.transport.patience(self.producer, encoding)
        # Its owner is another client: what goes wrong there is not this one's.
        self.producer.transport.peer.guard(self.producer.ask_key_frame, encoding, self.id, patience, now)

    def needs_key_frame(self, encoding: int) -> bool:
        """Whether it would begin with one, or go on."""
        return self.flowing and (encoding == self.target or encoding == self.stats().encoding)

    def set_paused(self, paused: bool, now: float) -> None:
        if paused == self.paused:
            return
        self.paused = paused
        self.transport.plane.set_consumer_paused(self.plane_id, paused)
        self._forget_layers()
        self.may_flow(now)

    def _forget_layers(self) -> None:
        """What stops by a command is not told by the data plane; what begins is."""
        if self.paused or self.producer.paused:
            self.layers = None

    def producer_changed(self, now: float) -> None:
        """Its producer was paused or resumed.  Those told before may have closed this one meanwhile."""
        if not self.closed:
            self._forget_layers()
            self.may_flow(now)
            self.transport.peer.tell_consumer_updated(self)

    def set_bounds(self, bounds: Layers, now: float) -> None:
        """Forward nothing better than this."""
        self.bounds = bounds
        self.transport.plane.set_layers(self.plane_id, self.target, bounds.temporal)
        self.aim(self.producer.active_encodings(now), now)

    def best_encoding(self, active: list[bool]) -> int:
        """The best of those that flow within its bounds."""
        return choose_encoding(active, None if self.bounds is None else self.bounds.spatial, self.target)

    def aim(self, active: list[bool], now: float) -> None:
        """Go to the best encoding that flows and is within the bounds; a switch asks for a key frame."""
        target = self.best_encoding(active)
        if target != self.target:
            self.target = target
            self.transport.plane.set_layers(
                self.plane_id, target, None if self.bounds is None else self.bounds.temporal
            )
            self.may_flow(now)

    def review(self, active: list[bool], now: float) -> None:
        """Aim anew; and where the target flows and is still not forwarded, its key frame is what is missing."""
        if self.closed:
            return
        self.aim(active, now)
        if active[self.target] and self.flowing and self.stats().encoding != self.target:
            self.ask_key_frame(now)

    def layers_changed(self, event: LayersChanged, now: float) -> None:
        """What the data plane forwards now."""
        layered = len(self.producer.ssrcs) > 1 or event.temporal is not None
        now_forwarded = event.encoding is not None and layered
        layers = Layers(event.encoding or 0, event.temporal or 0) if now_forwarded else None
        if layers != self.layers:
            self.layers = layers
            self.transport.peer.tell_consumer_updated(self)

    def close(self) -> None:
        """Leave the packet path; the second time nothing."""
        if not self.closed:
            self.drop()

    def drop(self) -> None:
        """What :meth:`close` does, again as far as it failed before."""
        self.closed = True
        transport = self.transport
        for table in (transport.consumers, transport.peer.consumers, self.producer.consumers):
            table.pop(self.id, None)
        transport.consumers_by_ssrc.pop(self.ssrc, None)
        transport.port.consumers.pop(self.plane_id, None)
        transport.plane.remove_consumer(self.plane_id)
