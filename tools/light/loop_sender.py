"""A stream that a light client sends: a loop of media with new sequence numbers, timestamps and stamps."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Final, Never

import trio
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light.endpoint import LightEndpoint
from tools.light.media_loop import MediaFrame, MediaLoop
from tools.light.retransmission import PacketHistory, RtxSender, rtx_ssrc
from tools.light.stamp import PADDING_FLAG, STAMP_SIZE, write_stamp
from tools.light.wire import rtcp
from tools.light.wire.errors import BadPacket
from tools.light.wire.ntp import to_ntp
from tools.light.wire.rtp import EXTENSION_HEADER, Extensions, encode_extensions, needs_two_bytes

#: The payload types that :class:`tools.light.LightMedia` announces, and that of retransmitted video.
PAYLOAD_TYPES: Final[dict[MediaKind, int]] = {"audio": 111, "video": 96}
RTX_PAYLOAD_TYPE: Final = 97
_HEADER: Final = struct.Struct("!BBHII")
# Bits of the VP8 payload descriptor (RFC 7741 section 4.2).  X: an extension byte follows.  S: a frame begins, which is
# set in its first packet alone.  I: a picture id follows, here of 15 bits.
_FIRST, _LATER, _HAS_PICTURE_ID = 0x90, 0x80, 0x80
_VP8: Final = struct.Struct("!BBH")
_WIDE_SIZE: Final = 2
# Seconds after which a late frame is left out, as by a camera.  Else a delay would end in a burst of late frames.
_GIVE_UP: Final = 0.5


@define(eq=False)
class LoopSender:
    """Sends ``loop`` on ``endpoint``.  With a ``cname`` it also sends one sender report a second.

    It sends packets again if the gateway asks for them: video as retransmissions with the SSRC that
    :func:`tools.light.retransmission.rtx_ssrc` returns, audio as the same packets.  Browsers do so, too.  Packets have
    the header ``extensions``, retransmissions the ``rtx_extensions``.  A stream needs no announced SSRCs if these have
    MID and RID, and MID and repaired RID (RFC 8852).  With ``wide_id``, the id of that extension, packets have
    transport-wide numbers, too.

    While it is not ``active``, :meth:`run` sends nothing.  ``frames``, ``key_frames``, ``packets`` and ``octets`` (of
    whole unencrypted packets) count the sent media.  ``key_frame_requests`` counts the gateway's requests for key
    frames, and ``requested`` the packets that it asked for.  Of those, ``resent`` were young enough to be sent again.
    ``skipped`` counts frames that were left out because they were far too late.  ``latest`` is the greatest delay of a
    frame so far, in seconds.
    """

    loop: MediaLoop
    endpoint: LightEndpoint
    ssrc: int
    rng: random.Random
    cname: str | None = None
    extensions: Extensions = ()
    rtx_extensions: Extensions = ()
    wide_id: int | None = None
    active: bool = True
    frames: int = 0
    key_frames: int = 0
    packets: int = 0
    octets: int = 0
    key_frame_requests: int = 0
    requested: int = 0
    resent: int = 0
    skipped: int = 0
    latest: float = 0.0
    _at: int = 0
    _sequence: int = field(init=False)
    _timestamp: int = field(init=False)
    _picture: int = field(init=False)
    _history: PacketHistory = field(init=False)
    _rtx: RtxSender = field(init=False)
    _extensions: bytes = field(init=False)
    #: Where the transport-wide number is in these bytes.  Its element comes first.
    _wide_at: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        # RFC 3550 section 5.1 wants random first values.  The sequence number begins below 2**15: above that, SRTP may
        # guess the rollover counter wrong if the first packets are lost or reordered.
        self._sequence = self.rng.randrange(1 << 15)
        self._timestamp = self.rng.getrandbits(32)
        self._picture = self.rng.getrandbits(15)
        self._history = PacketHistory(self.loop.packets_per_second)
        first = self.rng.randrange(1 << 15)
        self._rtx = RtxSender(rtx_ssrc(self.ssrc), RTX_PAYLOAD_TYPE, first, self.rtx_extensions)
        elements = [*self._wide_element(bytes(_WIDE_SIZE)), *self.extensions]
        self._extensions = encode_extensions(elements) if elements else b""
        two_byte = any(needs_two_bytes(number, len(value)) for number, value in elements)
        self._wide_at = EXTENSION_HEADER.size + (2 if two_byte else 1)

    def _wide_element(self, number: bytes) -> Extensions:
        """The header extension with this transport-wide number, if there is one."""
        return () if self.wide_id is None else ((self.wide_id, number),)

    async def run(self) -> Never:
        """Send each frame at its time until cancelled.  Begin at a random moment within the first interval."""
        interval = 1 / self.loop.rate
        due = trio.current_time() + interval * self.rng.random()
        while True:
            await trio.sleep_until(due)
            late = trio.current_time() - due
            self.latest = max(self.latest, late)
            if late > _GIVE_UP:
                skipped = int(late / interval)
                self.skipped += skipped
                self.leave_out(skipped)
                due += skipped * interval
            if self.active:
                self.send_frame()
            else:
                self.leave_out(1)
            due += interval

    def switch(self, active: bool) -> None:
        """Switch the stream off, or on again with a key frame."""
        if active and not self.active:
            self._at = 0
        self.active = active

    def leave_out(self, frames: int) -> None:
        """Let the time of this many frames pass without sending them, as an encoder does in silence."""
        self._timestamp += frames * self.loop.clock_rate // self.loop.rate

    def send_frame(self) -> None:
        """Send the next frame now, and the sender report that is due after it."""
        for packet in self.next_frame():
            self.endpoint.send_rtp(packet)
        # Each stream reports at a frame of its own.
        if self.cname is not None and self.frames % self.loop.rate == self.ssrc % self.loop.rate:
            self.endpoint.send_rtcp(self.sender_report(self.cname))

    def next_frame(self) -> Iterator[bytes]:
        """Yield the packets of the next frame.

        Each packet gets its stamp at the moment when it is yielded, so encrypt and send it at once.
        """
        frame, history = self.loop.frames[self._at], self._history
        self._at = (self._at + 1) % len(self.loop.frames)
        last = len(frame.chunks) - 1
        for index, chunk in enumerate(frame.chunks):
            packet = self._packet(frame, index, chunk, last=index == last)
            self.octets += len(packet)
            self.packets += 1
            history.packets[self._sequence & history.mask] = packet
            self._sequence += 1
            yield packet
        self.frames += 1
        self.key_frames += frame.key
        self._timestamp += self.loop.clock_rate // self.loop.rate
        self._picture += 1

    def sender_report(self, cname: str) -> bytes:
        """Return a compound packet about the frames sent so far (RFC 3550 sections 6.4.1 and 6.5.1)."""
        report = rtcp.SenderReport(
            self.ssrc,
            ntp=to_ntp(time.time()),
            rtp_timestamp=self._timestamp - self.loop.clock_rate // self.loop.rate & 0xFFFFFFFF,
            packets=self.packets & 0xFFFFFFFF,
            # Neither headers nor padding count, and the stamp is padding.
            octets=self.octets - self.packets * (_HEADER.size + len(self._extensions) + STAMP_SIZE) & 0xFFFFFFFF,
        )
        return rtcp.encode([report, rtcp.SourceDescription(self.ssrc, cname)])

    def _packet(self, frame: MediaFrame, index: int, chunk: bytes, *, last: bool) -> bytes:
        kind = self.loop.kind
        marker = last and kind == "video"
        header = _HEADER.pack(
            0x80 | PADDING_FLAG | bool(self._extensions) << 4,
            marker << 7 | PAYLOAD_TYPES[kind],
            self._sequence & 0xFFFF,
            self._timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        descriptor = b""
        if kind == "video":
            picture = self._picture & 0x7FFF | 0x8000
            descriptor = _VP8.pack(_LATER if index else _FIRST, _HAS_PICTURE_ID, picture)
        # Stamped last, so that latency begins just before the packet is sealed.
        extensions = self._extensions
        if self.wide_id is not None:
            at = self._wide_at
            extensions = extensions[:at] + self.endpoint.take_wide_number() + extensions[at + _WIDE_SIZE :]
        return b"".join(
            (header, extensions, descriptor, chunk, write_stamp(self.ssrc, self.packets, time.monotonic_ns()))
        )

    def receive_rtcp_untrusted(self, packet: bytes) -> None:
        """Handle RTCP about the stream: a request for a key frame restarts the loop, a NACK repeats packets."""
        try:
            parts = rtcp.parse_untrusted(packet)
        except BadPacket:
            return
        if any(_asks_key_frame(part, self.ssrc) for part in parts):
            self.key_frame_requests += 1
            self._at = 0
        for part in parts:
            if isinstance(part, rtcp.Nack) and part.media_ssrc == self.ssrc:
                self._resend(part.numbers)

    def _resend(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.requested += 1
            packet = self._history.get(number)
            if packet is not None:
                self.resent += 1
                self.endpoint.send_rtp(packet if self.loop.kind == "audio" else self._retransmission(packet))

    def _retransmission(self, packet: bytes) -> bytes:
        if self.wide_id is not None:
            self._rtx.extensions = [*self._wide_element(self.endpoint.take_wide_number()), *self.rtx_extensions]
        return self._rtx.wrap(packet)


def _asks_key_frame(part: rtcp.RtcpPacket, ssrc: int) -> bool:
    match part:
        case rtcp.PictureLossIndication(media_ssrc=asked):
            return asked == ssrc
        case rtcp.FullIntraRequest(entries=entries):
            return any(entry.ssrc == ssrc for entry in entries)
    return False
