"""A camera that sends VP8 simulcast over a light transport.

Its encodings have RIDs and no SSRCs, and it sends key frames on request.
"""

import trio
from attrs import define, field

from sfu.parameters import (
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
)
from tests.media.memory_network import Client
from tests.media.rtp import FIR, PLI, VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp
from tools.light.wire import rtcp

FRAME = 0.05
"""Seconds from one frame to the next."""
FRAME_TICKS = 4500

MID_ID, RID_ID = 4, 10

SIMULCAST = RtpParameters(
    codecs=(RtpCodecParameters("video/VP8", 96, 90000, rtcp_feedback=(PLI, FIR)),),
    mid="0",
    header_extensions=(
        RtpHeaderExtensionParameters("urn:ietf:params:rtp-hdrext:sdes:mid", MID_ID),
        RtpHeaderExtensionParameters("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", RID_ID),
    ),
    encodings=tuple(RtpEncodingParameters(rid=rid) for rid in "qhf"),
)


@define
class Layer:
    """One encoding.  Its timestamps begin at ``base``.  The timestamps of all encodings run on one clock.

    Its encoder delays each picture by ``lag`` frames.  Its pictures are larger by ``weight`` bytes.
    """

    index: int
    rid: str
    ssrc: int
    base: int
    sequence: int
    lag: int = 0
    weight: int = 0
    flows: bool = True
    key_wanted: bool = True
    asked: int = 0
    sent: int = 0


@define
class Camera:
    client: Client
    hears: bool = True
    begun_at: float = field(factory=trio.current_time)
    layers: list[Layer] = field(
        factory=lambda: [
            Layer(0, "q", 7000, 2**32 - 90000, 65530),
            Layer(1, "h", 7001, 123456789, 100),
            Layer(2, "f", 7002, 4000000000, 30000),
        ]
    )

    async def run(self) -> None:
        """Send a frame of each flowing encoding every 50 ms, and a sender report for each every second."""
        frame = 0
        while True:
            self._hear()
            for layer in self.layers:
                if layer.flows:
                    self._send(layer, frame)
            if frame % 20 == 10:
                self._report()
            self.client.flush()
            frame += 1
            await trio.sleep_until(self.begun_at + frame * FRAME)

    def _send(self, layer: Layer, frame: int) -> None:
        key = layer.key_wanted
        layer.key_wanted = False
        payload = (VP8_KEY_FRAME if key else VP8_INTER_FRAME) + bytes(layer.weight) + bytes([layer.index, key])
        names = bytes([MID_ID << 4]) + b"0" + bytes([RID_ID << 4]) + layer.rid.encode()
        timestamp = (layer.base + (frame - layer.lag) * FRAME_TICKS) % 2**32
        packet = Rtp(96, layer.sequence & 0xFFFF, timestamp, layer.ssrc, payload, True, names)
        layer.sequence += 1
        layer.sent += 1
        self.client.transport.send_rtp(bytes(packet))

    def _report(self) -> None:
        passed = trio.current_time() - self.begun_at
        for layer in self.layers:
            timestamp = (layer.base + round(passed * 90000)) % 2**32
            ntp = round((5000 + passed) * 2**32)
            report = rtcp.SenderReport(layer.ssrc, ntp, timestamp, layer.sent, layer.sent * 30)
            self.client.transport.send_rtcp(rtcp.encode([report]))

    def _hear(self) -> None:
        for packet in self.client.transport.rtcp:
            for one in rtcp.parse_untrusted(packet):
                if isinstance(one, rtcp.PictureLossIndication):
                    for layer in self.layers:
                        if layer.ssrc == one.media_ssrc:
                            layer.asked += 1
                            layer.key_wanted = layer.key_wanted or self.hears
        self.client.transport.rtcp.clear()
