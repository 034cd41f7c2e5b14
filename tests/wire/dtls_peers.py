"""DTLS peers: our own on a virtual network, and plain pyOpenSSL ones."""

import contextlib
import datetime
import heapq
import itertools
import random
from collections.abc import Sequence

import pytest
from attrs import define, field
from OpenSSL import SSL

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import Certificate, generate_certificate
from sfu.wire.dtls.dtls import Dtls, DtlsConnected, DtlsContext, DtlsEvent, DtlsFailed, DtlsRole, DtlsState
from sfu.wire.srtp import SrtpKeys

TODAY = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
OURS = generate_certificate(TODAY)
THEIRS = generate_certificate(TODAY)
OUR_CONTEXT = DtlsContext(OURS)
THEIR_CONTEXT = DtlsContext(THEIRS)

CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
PROFILES = "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"


def ours(role: DtlsRole, fingerprints: Sequence[DtlsFingerprint] | None = None) -> Dtls:
    """Our side, started at 0 s.  It expects ``THEIRS`` by default."""
    dtls = Dtls(OUR_CONTEXT, role, [THEIRS.fingerprint] if fingerprints is None else fingerprints)
    dtls.start(0.0)
    return dtls


def theirs(role: DtlsRole) -> Dtls:
    """Another ``Dtls``, with the certificate that ``ours`` expects."""
    dtls = Dtls(THEIR_CONTEXT, role, [OURS.fingerprint])
    dtls.start(0.0)
    return dtls


def events(dtls: Dtls) -> list[DtlsEvent]:
    return list(iter(dtls.next_event, None))


def exchange(one: Dtls, other: Dtls, now: float = 0.0) -> None:
    """Carry all datagrams both ways until both sides are silent."""
    for _ in range(20):
        to_other, to_one = one.datagrams_to_send(), other.datagrams_to_send()
        if not to_other and not to_one:
            return
        for datagram in to_other:
            other.receive(datagram, now)
        for datagram in to_one:
            one.receive(datagram, now)
    raise AssertionError("they never fall silent")


@define
class Network:
    """Two ``Dtls`` under a virtual clock, on a network that loses, doubles and reorders datagrams at random."""

    one: Dtls
    other: Dtls
    rng: random.Random
    loss: float = 0.0
    duplication: float = 0.0
    jitter: float = 0.0
    now: float = 0.0
    _under_way: list[tuple[float, int, Dtls, bytes]] = field(factory=list)
    _order: "itertools.count[int]" = field(factory=itertools.count)

    def run(self, until: float) -> None:
        """Run until then, or until no datagram is under way and no timer runs."""
        while True:
            self._post()
            times = [self._under_way[0][0]] if self._under_way else []
            times += [timer for timer in (self.one.get_timer(), self.other.get_timer()) if timer is not None]
            if not times or min(times) > until:
                return
            self.now = max(self.now, min(times))
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, receiver, datagram = heapq.heappop(self._under_way)
                receiver.receive(datagram, self.now)
            self.one.handle_timer(self.now)
            self.other.handle_timer(self.now)

    def _post(self) -> None:
        for sender, receiver in ((self.one, self.other), (self.other, self.one)):
            for datagram in sender.datagrams_to_send():
                lost, doubled, late = self.rng.random(), self.rng.random(), self.rng.random()
                for copy in range(2 if doubled < self.duplication else 1):
                    if lost >= self.loss:
                        arrival = self.now + 0.02 + late * self.jitter + copy * 0.005
                        heapq.heappush(self._under_way, (arrival, next(self._order), receiver, datagram))


@define
class OpenSslPeer:
    """A plain pyOpenSSL peer.  It splits each flight into datagrams of at most ``mtu`` bytes."""

    connection: SSL.Connection
    done: bool = False
    failed: SSL.Error | None = None

    @classmethod
    def make(
        cls,
        role: DtlsRole,
        *,
        certificate: Certificate | None = THEIRS,
        profiles: str = PROFILES,
        ciphers: str = CIPHERS,
        trusts: bool = True,
        context: SSL.Context | None = None,
    ) -> "OpenSslPeer":
        if context is None:
            context = SSL.Context(SSL.DTLS_METHOD)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: trusts)
            context.set_cipher_list(ciphers.encode())
            if profiles:
                context.set_tlsext_use_srtp(profiles.encode())
            if certificate is not None:
                context.use_certificate(certificate.x509)
                context.use_privatekey(certificate.key)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        connection = SSL.Connection(context, None)
        connection.set_ciphertext_mtu(1200)
        if role is DtlsRole.CLIENT:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return cls(connection)

    def step(self, datagrams: Sequence[bytes] = ()) -> list[bytes]:
        """Take these datagrams.  Returns those to send."""
        for datagram in datagrams or (None,):
            if datagram is not None:
                self.connection.bio_write(datagram)
            if self.failed is not None or self.done:
                continue
            try:
                self.connection.do_handshake()
                self.done = True
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.failed = error
        return self.written()

    def written(self) -> list[bytes]:
        """Take OpenSSL's output, one record in each datagram."""
        output = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                output += self.connection.bio_read(65536)
        datagrams = []
        while output:
            end = 13 + int.from_bytes(output[11:13], "big")
            datagrams.append(output[:end])
            output = output[end:]
        return datagrams

    def shake_hands(self, dtls: Dtls) -> None:
        """A whole handshake with a ``Dtls``."""
        to_ours = self.step()
        for _ in range(10):
            for datagram in to_ours:
                dtls.receive(datagram, 0.0)
            to_ours = self.step(dtls.datagrams_to_send())
            if not to_ours and self.done:
                return


both_roles = pytest.mark.parametrize("role", list(DtlsRole), ids=["as client", "as server"])


def opposite(role: DtlsRole) -> DtlsRole:
    return DtlsRole.SERVER if role is DtlsRole.CLIENT else DtlsRole.CLIENT


def keys_of(dtls: Dtls) -> SrtpKeys:
    [connected] = events(dtls)
    assert isinstance(connected, DtlsConnected)
    return connected.keys


def failure_of(dtls: Dtls) -> str:
    [failed] = events(dtls)
    assert isinstance(failed, DtlsFailed)
    assert dtls.state is DtlsState.FAILED
    assert dtls.get_timer() is None
    return failed.reason


def connected_pair(role: DtlsRole = DtlsRole.CLIENT) -> tuple[Dtls, Dtls]:
    one, other = ours(role), theirs(opposite(role))
    exchange(one, other)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    events(one), events(other)
    return one, other
