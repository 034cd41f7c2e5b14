"""What the data plane knows of one transport: keys, paths, and whose SSRCs are whose."""

from attrs import define, field

from sfu.dataplane.incoming import Encoding, Producer
from sfu.dataplane.interface import ConsumerId, Path, ProducerId, TransportId
from sfu.dataplane.outgoing import Consumer
from sfu.dataplane.srtp import SrtpTransport
from sfu.wire.rtp import RtpHeader

MAX_PATHS = 16
MAX_RTCP_SENDERS = 64
"""How many SSRCs without media may send reports at a time; each costs a libsrtp context."""


@define(eq=False)
class Transport:
    """``paths`` are in order of their last teaching; ``ssrcs`` those whose RTP is taken.

    ``sent_ssrcs`` are the consumers', ``spent_ssrcs`` those of consumers that are gone: none may begin again under the
    same keys, or the packets of both could be decrypted (RFC 3711 section 9.1).
    """

    id: TransportId
    srtp: SrtpTransport | None = None
    send_path: Path | None = None
    paths: dict[Path, None] = field(factory=dict)
    ssrcs: dict[int, Encoding] = field(factory=dict)
    rtcp_senders: dict[int, None] = field(factory=dict)
    sent_ssrcs: set[int] = field(factory=set)
    spent_ssrcs: set[int] = field(factory=set)
    producers: dict[ProducerId, Producer] = field(factory=dict)
    consumers: dict[ConsumerId, Consumer] = field(factory=dict)

    @property
    def ready(self) -> bool:
        return self.srtp is not None and self.send_path is not None

    def learn_path(self, path: Path) -> Path | None:
        """Make this path the newest; the one that had to go for it."""
        self.paths.pop(path, None)
        self.paths[path] = None
        if self.send_path is None:
            self.send_path = path
        if len(self.paths) <= MAX_PATHS:
            return None
        oldest = next(known for known in self.paths if known != self.send_path)
        del self.paths[oldest]
        return oldest

    def lose_path(self, path: Path) -> None:
        """The path is another's now; go on sending to the newest that is left."""
        self.paths.pop(path, None)
        if self.send_path == path:
            self.send_path = next(reversed(self.paths), None)

    def named_by(self, header: RtpHeader) -> Encoding | None:
        """Whose packet an unknown SSRC's is by its extensions (RFC 8843 section 9.2, RFC 8852)."""
        for producer in self.producers.values():
            if encoding := producer.named_by(header):
                return encoding
        return None

    def forget_ssrc(self, ssrc: int) -> None:
        self.ssrcs.pop(ssrc, None)
        if self.srtp is not None:
            self.srtp.forget_received(ssrc)

    def spend_ssrc(self, ssrc: int) -> None:
        """A consumer's SSRC will not be sent again."""
        self.sent_ssrcs.discard(ssrc)
        self.spent_ssrcs.add(ssrc)
        if self.srtp is not None:
            self.srtp.forget_sent(ssrc)

    def note_rtcp_sender(self, ssrc: int) -> None:
        """Keep the contexts bounded that authenticated reports make, whatever SSRCs they claim."""
        if ssrc in self.ssrcs or ssrc in self.rtcp_senders:
            return
        self.rtcp_senders[ssrc] = None
        if len(self.rtcp_senders) > MAX_RTCP_SENDERS:
            oldest = next(iter(self.rtcp_senders))
            del self.rtcp_senders[oldest]
            if self.srtp is not None and oldest not in self.ssrcs:
                self.srtp.forget_received(oldest)
