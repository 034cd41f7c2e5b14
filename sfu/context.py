"""The state that all streams of one router share."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sfu.capabilities import router_capabilities
from sfu.ortc import PROBATOR_SSRC, Receiver
from sfu.parameters import DtlsParameters
from sfu.tcp_addresses import TcpAddresses
from sfu.wire.candidates import host_candidates, passive_tcp_candidates
from sfu.wire.certificate import generate_certificate
from sfu.wire.dtls.dtls import DtlsContext

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sfu.dataplane.interface import DataPlane
    from sfu.parameters import RtpCapabilities
    from sfu.settings import MediaSettings


class RouterContext:
    """Settings, data plane, certificate, capabilities, addresses, generators and counters of one router.

    ``rtcp_ssrc`` and ``cname`` name the router itself in RTCP (RFC 3550 sections 6.4 and 6.5.1).

    Three counters count from the router's start.  ``slow_path_errors`` counts exceptions that belonged to no client,
    and failures of the data plane.  ``forced_cleanups`` counts goodbyes that reached their deadline.
    ``failed_cleanups`` counts steps of an exit that raised.
    """

    def __init__(
        self,
        settings: MediaSettings,
        plane: DataPlane,
        addresses: Sequence[tuple[str, int]],
        rng: random.Random,
        today: datetime,
        announced: Sequence[str] = (),
    ) -> None:
        """See :meth:`set_addresses` for ``addresses`` and ``announced``, and for what they raise."""
        self.settings = settings
        self.plane = plane
        self._tcp = TcpAddresses()
        self.set_addresses(addresses, announced or settings.announce)
        self.capabilities = router_capabilities(video_orientation=settings.video_orientation)
        certificate = generate_certificate(today)
        self.dtls_context = DtlsContext(certificate)
        self.dtls_parameters = DtlsParameters(fingerprints=(certificate.fingerprint,), role="auto")
        self.random_bytes = rng.randbytes
        self.random = rng
        # Weak: the transports of the clients own it.
        self._receivers: WeakValueDictionary[str, Receiver] = WeakValueDictionary()
        self._numbers = 0
        self.rtcp_ssrc = self._random_ssrc()
        self.cname = self.new_id()
        plane.set_rtcp_source(self.rtcp_ssrc, self.cname)
        plane.set_media_limits(settings.max_packet_rate, settings.max_bitrate)
        self.forced_cleanups = 0
        self.failed_cleanups = 0
        self.slow_path_errors = 0

    def set_addresses(self, addresses: Sequence[tuple[str, int]], announced: Sequence[str]) -> None:
        """From now on the router listens on ``addresses`` and offers clients candidates on the ``announced`` hosts.

        Without ``announced`` the candidates are the addresses themselves.  Raises ``ValueError`` for an address that
        no client can send to.
        """
        self.addresses = tuple(addresses)
        number = self.addresses[0][1]
        self._announced = tuple((host, number) for host in announced) or self.addresses
        self._choose_candidates()

    def set_tcp_listeners(self, listeners: Sequence[tuple[str, int]]) -> None:
        """Media may come over TCP to these addresses from now on (RFC 6544)."""
        self._tcp = self._tcp.listening(listeners)
        self._choose_candidates()

    def set_tcp_announced(self, announced: Sequence[tuple[str, int | None]]) -> None:
        """Offer clients these TCP addresses from now on, instead of those that it listens on.

        A port of None is that of the listeners.  Raises ``ValueError`` for an address that no client can send to.
        """
        self._tcp = self._tcp.announcing(announced)
        self._choose_candidates()

    def _choose_candidates(self) -> None:
        udp = host_candidates(self._announced)
        own = {host for host, _ in self.addresses}
        tcp = self._tcp.beside([host for host, _ in self._announced], own) if self.settings.tcp else ()
        self.candidates = udp + passive_tcp_candidates(tcp, udp)

    def receiver(self, capabilities: RtpCapabilities) -> Receiver:
        """The receiver for these capabilities.  Clients with equal capabilities share it."""
        key = repr(capabilities)
        receiver = self._receivers.get(key)
        if receiver is None:
            receiver = self._receivers[key] = Receiver(capabilities)
        return receiver

    def new_id(self) -> str:
        """An identifier of 96 random bits, which no client can guess."""
        return self.random_bytes(12).hex()

    def new_number(self) -> int:
        """A new identifier for the data plane.  Each is used once."""
        self._numbers += 1
        return self._numbers

    def new_ssrcs(self, number: int, taken: Collection[int]) -> list[int]:
        """So many new random SSRCs, none in ``taken`` and none the router's own (RFC 3550 section 8.1)."""
        ssrcs: list[int] = []
        while len(ssrcs) < number:
            ssrc = self._random_ssrc()
            if ssrc not in taken and ssrc not in ssrcs and ssrc != self.rtcp_ssrc:
                ssrcs.append(ssrc)
        return ssrcs

    def _random_ssrc(self) -> int:
        while (ssrc := self.random.getrandbits(32)) in {0, PROBATOR_SSRC}:
            pass
        return ssrc
