"""One client's ICE-lite, DTLS and SRTP association, and what runs over it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import structlog
import trio

from sfu import reports
from sfu.dataplane.interface import DropReason, Path, TransportId
from sfu.errors import Conflict, InvalidParameters
from sfu.keyframes import Patience
from sfu.settings import TransportState
from sfu.wire.dtls.dtls import Dtls, DtlsClosed, DtlsConnected, DtlsEvent, DtlsFailed, DtlsRole, DtlsState
from sfu.wire.errors import BadDatagram, UnknownUsername, WrongPassword
from sfu.wire.ice import IceAgent

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.parameters import DtlsParameters, IceCandidate, IceParameters, RtpCapabilities
    from sfu.peer import Peer
    from sfu.producer import Producer
    from sfu.wire.stun import BindingRequest

Direction = Literal["send", "receive"]

log = structlog.get_logger(__name__)


class Transport:
    """A transport of one peer.  ``direction`` is the client's: it sends on a ``send`` transport.

    Datagrams are handed in by the port; time passes in :meth:`run`, the one task it has.  Nothing is cleaned up in
    that task: :meth:`close` is synchronous and complete, whoever calls it.
    """

    def __init__(self, peer: Peer, direction: Direction, rtp_capabilities: RtpCapabilities | None) -> None:
        port = peer.port
        self.peer = peer
        self.port = port
        self.settings = port.settings
        self.plane = port.plane
        self.direction = direction
        self.rtp_capabilities = rtp_capabilities
        self.id = port.new_id()
        self.plane_id = TransportId(port.new_number())
        self.state = TransportState.NEW
        self.closed = False
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.consumers_by_ssrc: dict[int, Consumer] = {}
        self._patience: WeakKeyDictionary[Producer, dict[int, Patience]] = WeakKeyDictionary()
        self.ice = IceAgent(port.random_bytes)
        self.known_usernames: tuple[str, ...] = ()
        self.dtls: Dtls | None = None
        self._mids = 0
        self._path: Path | None = None
        self._handshake_deadline = math.inf
        self._next_report = math.inf
        self._scope = trio.CancelScope()
        self._wake = trio.Event()
        self.plane.add_transport(self.plane_id)

    # What the client needs to know.

    @property
    def ice_parameters(self) -> IceParameters:
        return self.ice.parameters

    @property
    def ice_candidates(self) -> tuple[IceCandidate, ...]:
        return self.port.candidates

    @property
    def dtls_parameters(self) -> DtlsParameters:
        return self.port.dtls_parameters

    # What the client asks for.

    def connect(self, parameters: DtlsParameters, now: float) -> None:
        """Begin: the client's fingerprints and role are known.  ``Conflict`` the second time.

        The client's role ``client`` makes us the DTLS server, which waits; otherwise we begin the handshake, with the
        first authenticated STUN binding (before that there is no address to send to).
        """
        if self.dtls is not None:
            raise Conflict("this transport is connected already")
        role = DtlsRole.SERVER if parameters.role == "client" else DtlsRole.CLIENT
        try:
            self.dtls = Dtls(self.port.dtls_context, role, parameters.fingerprints)
        except ValueError as error:
            raise InvalidParameters(str(error), "fingerprints") from error
        self.state = TransportState.CONNECTING
        self._handshake_deadline = now + self.settings.handshake_timeout
        if role is DtlsRole.SERVER or self._path is not None:
            self._start_handshake(now)
        self.wake()

    def restart_ice(self) -> IceParameters:
        """New credentials (RFC 8445 section 2.4); the old ones hold until the client uses the new."""
        self.plane.hand_up_bindings(self.plane_id)
        parameters = self.ice.restart()
        self.port.learn_usernames(self)
        return parameters

    def next_mid(self) -> str:
        """A MID that this transport has not used before (RFC 8843)."""
        self._mids += 1
        return str(self._mids - 1)

    def patience(self, producer: Producer, encoding: int) -> Patience:
        """For the client's key frame requests: a consumer that is closed and made again is no new receiver."""
        return self._patience.setdefault(producer, {}).setdefault(encoding, Patience())

    # What comes from the network.

    def receive_stun(self, request: BindingRequest, path: Path, now: float) -> None:
        """A binding request with one of our usernames; whether the password is right too is seen here."""
        try:
            answer = self.ice.receive_binding(request, path.host, path.port)
        except WrongPassword:
            self.plane.count_drop(DropReason.WRONG_PASSWORD)
            return
        except UnknownUsername:
            self.plane.count_drop(DropReason.UNKNOWN_USERNAME)
            return
        self.port.learn_usernames(self)
        self.plane.note_binding(self.plane_id, now)
        if answer.valid:
            # Before the answer: it is followed by DTLS at once, and the data plane does not wait for us.
            self.plane.add_path(self.plane_id, path)
        self.plane.send(path, answer.datagram)
        if answer.valid:
            self._use_path(path, nominated=answer.nominated, now=now)
        self.came_back(now)
        self._hand_bindings_down()

    def _use_path(self, path: Path, *, nominated: bool, now: float) -> None:
        """Every authenticated address stays good to receive from; the newest nominated one is sent to."""
        if self._path is None or nominated:
            self._path = path
            self.plane.set_send_path(self.plane_id, path)
        if self.dtls is not None and self.dtls.state is DtlsState.NEW:
            self._start_handshake(now)

    def _hand_bindings_down(self) -> None:
        """While they change nothing, they need not come up here (RFC 7675)."""
        credentials = self.ice.only_credentials
        if self.connected and credentials is not None:
            self.plane.answer_bindings(self.plane_id, credentials.username_fragment, credentials.password)

    # Signs of life, which the data plane notes.

    def fell_silent(self, last_at: float) -> None:
        """There was none since then, for as long as makes a client disconnected."""
        if self.state is TransportState.CONNECTED and not self._heard_since(last_at):
            self._change(TransportState.DISCONNECTED)

    def came_back(self, now: float) -> None:
        """There is one again, if there was none: who waits for the client's key frames need not wait any longer."""
        if self.state is TransportState.DISCONNECTED:
            self._change(TransportState.CONNECTED)
            for producer in self.producers.values():
                producer.may_answer(now)

    def lose_consent(self, last_at: float) -> None:
        """There was none since then, for as long as may be sent to a client without (RFC 7675 section 5.1)."""
        if not self._heard_since(last_at):
            self.fail("no sign of life from the client any more")

    def _heard_since(self, last_at: float) -> bool:
        """Whether a sign came while the silence was on its way up here."""
        heard_at = self.plane.heard_at(self.plane_id)
        return heard_at is not None and heard_at > last_at

    def media_heard_at(self) -> float:
        """When its newest authentic RTP or RTCP came, in seconds; minus infinity for never."""
        try:
            heard_at = self.plane.media_heard_at(self.plane_id)
        except KeyError:  # the data plane has failed, and we are about to be told
            heard_at = None
        return -math.inf if heard_at is None else heard_at

    def receive_dtls(self, datagram: bytes, now: float) -> None:
        """A datagram of the handshake, or what comes after it: only a close_notify or an alert matters then."""
        if self.dtls is None:
            self.plane.count_drop(DropReason.UNEXPECTED_DTLS)
            return
        try:
            self.dtls.receive(datagram, now)
        except BadDatagram:
            self.plane.count_drop(DropReason.MALFORMED_DTLS)
        self._flush_dtls(now)

    def receive_rtcp(self, packet: bytes, at: float) -> None:
        try:
            reports.receive(self, packet, at)
        except BadDatagram:
            self.plane.count_drop(DropReason.MALFORMED_RTCP)

    # Time.

    async def run(self) -> None:
        """Let time pass until the transport closes."""
        with self._scope:
            while True:
                self._wake = trio.Event()
                with trio.move_on_at(self.get_timer()):
                    await self._wake.wait()
                # Failed once, it would fail again at once: the owner has to end it.
                if not self.peer.guard(self.handle_timer, trio.current_time()):
                    return

    def wake(self) -> None:
        """Something may be due earlier than before."""
        self._wake.set()

    def get_timer(self) -> float:
        """When :meth:`handle_timer` has something to do next; infinity for never."""
        timers = [self._handshake_deadline]
        if self.producers:
            timers.append(self._next_report)
        if self.dtls is not None:
            timers.append(_never_if_none(self.dtls.get_timer()))
        timers += [_never_if_none(producer.get_timer()) for producer in self.producers.values()]
        return min(timers)

    def handle_timer(self, now: float) -> None:
        if now >= self._handshake_deadline:
            self.fail("the DTLS handshake was not done in time")
            return
        if self.dtls is not None:
            self.dtls.handle_timer(now)
            self._flush_dtls(now)
        if self.closed:
            return
        for producer in self.producers.values():
            producer.pump(now)
        if self.producers and now >= self._next_report:
            self._report(now)
            self._next_report = now + self.settings.report_interval

    def _report(self, now: float) -> None:
        for packet in reports.due(self, now):
            self.plane.send_rtcp(self.plane_id, packet)
        for producer in self.producers.values():
            producer.review_consumers(now)

    # The handshake.

    def _start_handshake(self, now: float) -> None:
        assert self.dtls is not None
        self.dtls.start(now)
        self._flush_dtls(now)

    def _flush_dtls(self, now: float) -> None:
        """Send what the handshake left to be sent, then see what became of it.

        The keys come first: our last flight is followed by media at once, and the data plane does not wait for us.
        """
        assert self.dtls is not None
        datagrams, event = self.dtls.datagrams_to_send(), self.dtls.next_event()
        if isinstance(event, DtlsConnected):
            self.plane.set_keys(self.plane_id, event.keys)
        if self._path is not None:
            for datagram in datagrams:
                self.plane.send(self._path, datagram)
        while event is not None and not self.closed:
            self._follow_dtls(event, now)
            event = self.dtls.next_event()
        self.wake()

    def _follow_dtls(self, event: DtlsEvent, now: float) -> None:
        match event:
            case DtlsConnected():
                self._handshake_deadline = math.inf
                # A random phase, or those that connect at once would all report at once for ever.
                self._next_report = now + self.settings.report_interval * self.port.random.random()
                settings = self.settings
                self.plane.watch(self.plane_id, now, settings.disconnected_after, settings.silence_timeout)
                self._change(TransportState.CONNECTED)
                self._hand_bindings_down()
                self._begin_media(now)
            case DtlsFailed(reason):
                self.fail(reason)
            case DtlsClosed():
                self.peer.lose_transport(self, failed=False)

    def _begin_media(self, now: float) -> None:
        for consumer in self.consumers.values():
            consumer.may_flow(now)
        for producer in self.producers.values():
            producer.pump(now)

    @property
    def connected(self) -> bool:
        return self.state in {TransportState.CONNECTED, TransportState.DISCONNECTED}

    def _change(self, state: TransportState) -> None:
        self.state = state
        log.debug("transport", peer=self.peer.name, transport=self.id, state=str(state))
        self.wake()
        self.peer.tell_transport_changed(self)

    # The end.

    def fail(self, why: str) -> None:
        """End it because something went wrong: its owner is told ``failed``, then ``closed``."""
        if self.closed:
            return
        log.info("transport failed", peer=self.peer.name, transport=self.id, why=why)
        self.peer.lose_transport(self, failed=True)

    def close(self) -> None:
        """Leave the packet path: synchronous, complete, and the second time nothing.

        Its producers and consumers must be closed before; :class:`sfu.peer.Peer` sees to the order.
        """
        if not self.closed:
            self.drop()

    def drop(self) -> None:
        """What :meth:`close` does, again as far as it failed before."""
        self.closed = True
        self.state = TransportState.CLOSED
        self._scope.cancel()
        self.port.forget_transport(self)
        self.plane.remove_transport(self.plane_id)

    async def say_goodbye(self) -> None:
        """The courtesy after :meth:`close`: a close_notify, so that the client need not wait for silence."""
        await trio.lowlevel.checkpoint()
        if self.dtls is not None and self._path is not None:
            self.dtls.close()
            for datagram in self.dtls.datagrams_to_send():
                self.plane.send(self._path, datagram)


def _never_if_none(timer: float | None) -> float:
    return math.inf if timer is None else timer
