"""Light clients send real encoded media that decoders accept."""

import itertools
import random
import struct
from typing import Any, cast

import av
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from tools.light import LightEndpoint
from tools.light.encoders import encode_audio, encode_simulcast, encode_video
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop
from tools.light.stamp import STAMP_SIZE, read_stamp_untrusted


class Wire:
    """Stands in for an endpoint and keeps the packets."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def send_rtp(self, packet: bytes) -> bool:
        self.packets.append(packet)
        return True


def publish(loop: MediaLoop, frames: int) -> tuple[LoopSender, list[bytes]]:
    wire = Wire()
    sender = LoopSender(loop, cast(LightEndpoint, wire), ssrc=9, rng=random.Random(1))
    for _ in range(frames):
        sender.send_frame()
    return sender, wire.packets


@pytest.fixture(scope="module")
def video() -> MediaLoop:
    return encode_video(600_000, 30)


def test_the_bitrate_is_near_the_one_asked_for() -> None:
    for bitrate, rate in ((100_000, 15), (600_000, 30), (2_000_000, 30)):
        assert encode_video(bitrate, rate).bitrate == pytest.approx(bitrate, rel=0.25)
    assert encode_audio(32_000).bitrate == pytest.approx(32_000, rel=0.1)


def test_the_encodings_of_simulcast_have_rising_sizes_and_rates() -> None:
    layers, sizes = encode_simulcast(1_200_000, 20), []
    for layer, bitrate in zip(layers, (100_000, 300_000, 1_200_000), strict=True):
        assert layer.bitrate == pytest.approx(bitrate, rel=0.25)
        decoder = cast(Any, av.CodecContext.create("libvpx", "r"))
        [picture] = decoder.decode(av.Packet(b"".join(layer.frames[0].chunks)))
        sizes.append((picture.width, picture.height))
    assert sizes == [(160, 90), (320, 180), (640, 360)]


def test_a_loop_of_video_begins_with_its_only_key_frame(video: MediaLoop) -> None:
    assert [frame.key for frame in video.frames] == [True] + [False] * 59


def test_numbers_and_timestamps_go_on_across_the_end_of_the_loop(video: MediaLoop) -> None:
    sender, packets = publish(video, 130)
    headers = [struct.unpack_from("!BBHII", packet) for packet in packets]
    for (_, _, before, _, _), (_, _, after, _, _) in itertools.pairwise(headers):
        assert after == before + 1 & 0xFFFF
    timestamps = [timestamp for timestamp, _ in itertools.groupby(header[3] for header in headers)]
    assert all(after - before & 0xFFFFFFFF == 3000 for before, after in itertools.pairwise(timestamps))
    assert len(timestamps) == sender.frames == 130
    assert sum(header[1] >> 7 for header in headers) == 130  # the marker ends each frame
    stamps = [read_stamp_untrusted(packet) for packet in packets]
    assert [stamp.number for stamp in stamps if stamp] == list(range(len(packets)))


def test_a_decoder_accepts_the_video_with_its_stamps_across_the_end_of_the_loop(video: MediaLoop) -> None:
    sender, packets = publish(video, 70)
    sender.receive_rtcp_untrusted(struct.pack("!BBHII", 0x81, 206, 2, 1, 9))  # a PLI for SSRC 9
    assert sender.key_frame_requests == 1
    wire = cast(Wire, sender.endpoint)
    sender.send_frame()
    packets = wire.packets
    pictures, frame = [], b""
    for packet in packets:
        descriptor, rest = VpxPayloadDescriptor.parse(packet[12:-STAMP_SIZE])
        frame += rest
        if packet[1] & 0x80:
            pictures.append((descriptor.picture_id, frame))
            frame = b""
    assert all(after[0] == before[0] + 1 & 0x7FFF for before, after in itertools.pairwise(pictures))
    decoder = cast(Any, av.CodecContext.create("libvpx", "r"))
    decoded = [picture for _, data in pictures for picture in decoder.decode(av.Packet(data))]
    assert len(decoded) == 71
    assert {(picture.width, picture.height) for picture in decoded} == {(640, 360)}
    assert sender.key_frames == 3


def test_a_decoder_accepts_the_audio() -> None:
    _, packets = publish(encode_audio(), 120)
    decoder = cast(Any, av.CodecContext.create("libopus", "r"))
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet[12:-STAMP_SIZE]))]
    assert sum(frame.samples for frame in frames) == pytest.approx(120 * 960, abs=960)


@pytest.mark.parametrize("packet", [b"", b"\x81", bytes(12), struct.pack("!BBHII", 0x81, 206, 2, 1, 8)])
def test_other_rtcp_is_no_request_for_a_key_frame(video: MediaLoop, packet: bytes) -> None:
    sender, _ = publish(video, 3)
    sender.receive_rtcp_untrusted(packet)
    assert sender.key_frame_requests == 0
