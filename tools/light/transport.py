"""The client's side of one transport, sans-IO: a controlling ICE agent, DTLS and SRTP."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pylibsrtp
from aioice import stun
from attrs import frozen

import protocol.media
import sfu.parameters
from sfu.wire.certificate import Certificate, generate_certificate
from sfu.wire.dtls.dtls import Dtls, DtlsConnected, DtlsContext, DtlsFailed, DtlsRole, DtlsState
from sfu.wire.errors import BadDatagram
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tools.light.wire.demux import Protocol, classify

IceParameters = sfu.parameters.IceParameters | protocol.media.IceParameters
DtlsParameters = sfu.parameters.DtlsParameters | protocol.media.DtlsParameters

#: Seconds between connectivity checks before the first answer, and between consent checks after it (RFC 7675 section
#: 5.1).
CHECK_INTERVAL = 0.1
CONSENT_INTERVAL = 2.5

_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


@frozen
class Identity:
    """A client's certificate and the DTLS context made from it.  Clients may share one."""

    certificate: Certificate
    context: DtlsContext

    @classmethod
    def of(cls, certificate: Certificate) -> Identity:
        return cls(certificate, DtlsContext(certificate))

    @classmethod
    def new(cls) -> Identity:
        """Make a certificate that is valid from now on."""
        return cls.of(generate_certificate(datetime.now(UTC)))


class LightTransport:
    """One association with a server.

    Feed it datagrams and time.  Send the datagrams that :meth:`datagrams_to_send` returns.  ``rtp`` and ``rtcp``
    collect decrypted packets until the caller empties them.  ``unopened`` counts datagrams that could not be decrypted
    or parsed.

    ``dtls_role`` is the client's own role.  ``password`` is the client's own ICE password.  Without it, the first use
    of :attr:`ice_credentials` makes one.  A client with a password answers the server's connectivity checks (RFC 8445
    section 7.3).  Without, or if the server does not know the password, it answers with an error, as browsers do.
    ``peer`` is the address of the server, which answers contain if it is known.
    """

    def __init__(
        self,
        identity: Identity,
        ice: IceParameters,
        dtls: DtlsParameters,
        *,
        dtls_role: Literal["client", "server"] = "client",
        rng: random.Random,
        password: str | None = None,
        peer: tuple[str, int] | None = None,
    ) -> None:
        self._ice = ice
        self._rng = rng
        self._password = password
        self._peer = peer
        self._ufrag = f"{rng.getrandbits(32):08x}"
        self._tie_breaker = rng.getrandbits(64)
        self._fingerprint = identity.certificate.fingerprint
        self._role = DtlsRole.CLIENT if dtls_role == "client" else DtlsRole.SERVER
        fingerprints = [sfu.parameters.DtlsFingerprint(one.algorithm, one.value) for one in dtls.fingerprints]
        self._dtls = Dtls(identity.context, self._role, fingerprints)
        self._outgoing: list[bytes] = []
        self._send: pylibsrtp.Session | None = None
        self._receive: pylibsrtp.Session | None = None
        self._next_check = math.inf
        #: Checks of the server that were answered with the client's password.
        self.answered_checks = 0
        #: Whether each check asks the server to send to where it comes from.
        self.nominates = True
        self.validated = False
        self.keys: SrtpKeys | None = None
        self.failure: str | None = None
        self.closed_by_gateway = False
        self.unopened = 0
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []

    @property
    def dtls_parameters(self) -> sfu.parameters.DtlsParameters:
        """The client's own parameters, for ``connect_transport``."""
        return sfu.parameters.DtlsParameters((self._fingerprint,), self._role.value)

    @property
    def ice_credentials(self) -> protocol.media.IceCredentials:
        """The client's own ICE credentials, for ``connect_transport``."""
        if self._password is None:
            self._password = f"{self._rng.getrandbits(128):032x}"
        return protocol.media.IceCredentials(self._ufrag, self._password)

    def renew_ice_credentials(self) -> protocol.media.IceCredentials:
        """New credentials of the client, for ``restart_ice``.  It answers no check with the old ones any more."""
        self._ufrag, self._password = f"{self._rng.getrandbits(32):08x}", None
        return self.ice_credentials

    @property
    def connected(self) -> bool:
        return self.keys is not None

    def start(self, now: float) -> None:
        if self._role is DtlsRole.SERVER:
            self._dtls.start(now)
        self._check(now)

    def use_ice(self, parameters: IceParameters) -> IceParameters:
        """Use the credentials from ``restart_ice`` for checks from now on.  Return the old credentials."""
        old, self._ice = self._ice, parameters
        return old

    def check_again(self, now: float) -> None:
        """Check at once, and often until the server answers, as a client does after a change of its network."""
        self.validated = False
        self._check(now)

    def send_rtp(self, packet: bytes) -> None:
        self._outgoing.append(self.seal_rtp(packet))

    def seal_rtp(self, packet: bytes) -> bytes:
        """Encrypt a packet for a caller that sends the datagram itself."""
        assert self._send is not None, "not connected yet"
        sealed: bytes = self._send.protect(packet)
        return sealed

    def open_rtp(self, datagram: bytes) -> bytes | None:
        """Decrypt a packet for a caller that keeps it.  Return None and count it in ``unopened`` if that fails."""
        opened: list[bytes] = []
        if self._receive is not None:
            self._open(self._receive.unprotect, datagram, opened)
        return opened[0] if opened else None

    def send_rtcp(self, packet: bytes) -> None:
        assert self._send is not None, "not connected yet"
        self._outgoing.append(self._send.protect_rtcp(packet))

    def send_raw(self, datagram: bytes) -> None:
        """Queue any bytes.  Tests use this to send malformed datagrams."""
        self._outgoing.append(datagram)

    def stop_checking(self) -> None:
        """Send no more Binding requests, as libnice does once it is connected."""
        self._next_check = math.inf

    def close(self) -> None:
        """Queue a close_notify and stop checking."""
        self._dtls.close()
        self._next_check = math.inf
        self._outgoing += self._dtls.datagrams_to_send()

    def datagrams_to_send(self) -> list[bytes]:
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def receive(self, datagram: bytes, now: float) -> None:
        match classify(datagram):
            case Protocol.STUN:
                self._receive_stun(datagram, now)
            case Protocol.DTLS:
                self._receive_dtls(datagram, now)
            case Protocol.RTP if self._receive is not None:
                self._open(self._receive.unprotect, datagram, self.rtp)
            case Protocol.RTCP if self._receive is not None:
                self._open(self._receive.unprotect_rtcp, datagram, self.rtcp)

    def _open(self, unprotect: Callable[[bytes], bytes], datagram: bytes, opened: list[bytes]) -> None:
        try:
            opened.append(unprotect(datagram))
        except pylibsrtp.Error:  # the network repeated the packet, or the sender sealed it with other keys
            self.unopened += 1

    def get_timer(self) -> float:
        timer = self._dtls.get_timer()
        return self._next_check if timer is None else min(timer, self._next_check)

    def handle_timer(self, now: float) -> None:
        if now >= self._next_check:
            self._check(now)
        self._dtls.handle_timer(now)
        self._follow_dtls()

    def _check(self, now: float) -> None:
        request = stun.Message(
            stun.Method.BINDING,
            stun.Class.REQUEST,
            transaction_id=self._rng.randbytes(12),
            attributes={
                "USERNAME": f"{self._ice.username_fragment}:{self._ufrag}",
                "PRIORITY": 1853817087,
                "ICE-CONTROLLING": self._tie_breaker,
            },
        )
        if self.nominates:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._ice.password.encode())
        self._outgoing.append(bytes(request))
        self._next_check = now + (CONSENT_INTERVAL if self.validated else CHECK_INTERVAL)

    def _receive_stun(self, datagram: bytes, now: float) -> None:
        try:
            message = stun.parse_message(datagram)
            if message.message_class is stun.Class.REQUEST:
                self._answer_check(message)
                return
            authentic = message.check_message_integrity(self._ice.password.encode())
        except (ValueError, LookupError, struct.error):  # aioice's parser raises these
            self.unopened += 1
            return
        if self.validated or not authentic or message.message_class is not stun.Class.RESPONSE:
            return
        self.validated = True
        self._next_check = now + CONSENT_INTERVAL
        if self._role is DtlsRole.CLIENT and self._dtls.state is DtlsState.NEW:
            self._dtls.start(now)
            self._follow_dtls()

    def _answer_check(self, check: stun.Message) -> None:
        known = "MESSAGE-INTEGRITY" in check.attributes and "USERNAME" in check.attributes
        if self._password is None or not known or not check.check_message_integrity(self._password.encode()):
            self._refuse_check(check, (401, "Unauthenticated") if known else (400, "Bad Request"))
            return
        answer = stun.Message(
            stun.Method.BINDING,
            stun.Class.RESPONSE,
            transaction_id=check.transaction_id,
            attributes={} if self._peer is None else {"XOR-MAPPED-ADDRESS": self._peer},
        )
        answer.add_message_integrity(self._password.encode())
        self._outgoing.append(bytes(answer))
        self.answered_checks += 1

    def _refuse_check(self, check: stun.Message, error: tuple[int, str]) -> None:
        """Answer a check without the right credentials (RFC 8489 section 9.1.3)."""
        refusal = stun.Message(
            stun.Method.BINDING,
            stun.Class.ERROR,
            transaction_id=check.transaction_id,
            attributes={"ERROR-CODE": error},
        )
        self._outgoing.append(bytes(refusal))

    def _receive_dtls(self, datagram: bytes, now: float) -> None:
        try:
            self._dtls.receive(datagram, now)
        except BadDatagram:
            return
        self._follow_dtls()

    def _follow_dtls(self) -> None:
        self._outgoing += self._dtls.datagrams_to_send()
        while (event := self._dtls.next_event()) is not None:
            if isinstance(event, DtlsConnected):
                self._use(event.keys)
            elif isinstance(event, DtlsFailed):
                self.failure = event.reason
            else:
                self.closed_by_gateway = True

    def _use(self, keys: SrtpKeys) -> None:
        self.keys = keys
        profile = _PROFILES[keys.profile]
        outbound = pylibsrtp.Policy(keys.send, pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        # A retransmission of audio is the same packet again, so its bytes are sealed twice.
        outbound.allow_repeat_tx = True
        inbound = pylibsrtp.Policy(keys.receive, pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        self._send, self._receive = pylibsrtp.Session(outbound), pylibsrtp.Session(inbound)
