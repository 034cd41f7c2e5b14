"""The codecs and header extensions of the router, which clients load before anything else.

The router offers only features that it serves.  Video has ``nack`` and RTX (RFC 4588), both from senders and to
receivers.  Opus has ``nack`` only from senders, which answer with the same packet.  Senders of both kinds get
transport-wide feedback: ``transport-cc`` together with the extension that numbers their packets.  Receivers give such
feedback about video alone: sound is never limited.  A browser that is offered ``transport-cc`` and gets no feedback
takes the network for dead, and stays at its lowest rate.  Payload type 127 stays free: mediasoup-client uses it for its
own probes.
"""

from collections.abc import Iterator
from typing import Final

from sfu.parameters import CodecParameters, RtcpFeedback, RtpCapabilities, RtpCodecCapability, RtpHeaderExtension

MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 8843 section 15
RID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"  # RFC 8852 section 4.1
REPAIRED_RID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"  # RFC 8852 section 4.2
# draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2: a number that all packets of a transport share
TRANSPORT_WIDE_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
# The RTP payload format for AV1, appendix A.
DEPENDENCY_DESCRIPTOR_URI: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)
VIDEO_ORIENTATION_URI: Final = "urn:3gpp:video-orientation"  # 3GPP TS 26.114 section 7.4.5

NACK: Final = RtcpFeedback("nack")  # RFC 4585 section 6.2.1
PLI: Final = RtcpFeedback("nack", "pli")  # RFC 4585 section 6.3.1
FIR: Final = RtcpFeedback("ccm", "fir")  # RFC 5104 section 4.3.1
TRANSPORT_CC: Final = RtcpFeedback("transport-cc")  # draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3


def _video(mime_type: str, payload_type: int, parameters: CodecParameters | None = None) -> RtpCodecCapability:
    feedback = (NACK, PLI, FIR, TRANSPORT_CC)
    return RtpCodecCapability("video", mime_type, 90000, payload_type, None, parameters or {}, feedback)


def _h264(profile_level_id: str, payload_type: int, packetization_mode: int = 1) -> RtpCodecCapability:
    return _video(
        "video/H264",
        payload_type,
        {
            "packetization-mode": packetization_mode,
            "level-asymmetry-allowed": 1,
            "profile-level-id": profile_level_id,
        },
    )


def _with_rtx(*codecs: RtpCodecCapability) -> Iterator[RtpCodecCapability]:
    """Each video codec, and then its retransmissions (RFC 4588 section 8.1) under the next payload type."""
    for codec in codecs:
        payload_type = codec.preferred_payload_type
        assert payload_type is not None
        yield codec
        yield RtpCodecCapability("video", "video/rtx", 90000, payload_type + 1, None, {"apt": payload_type})


# Clients send with the first codec of a kind that they have, so the order is the router's preference.
_AUDIO: Final = (
    # Opus can also repair loss by in-band FEC.  Senders use it only if asked.
    RtpCodecCapability("audio", "audio/opus", 48000, 100, 2, {"minptime": 10, "useinbandfec": 1}, (NACK, TRANSPORT_CC)),
    # Opus inside RED (RFC 2198).  Clients send plain Opus, since it comes first, but may send RED as well.  Receivers
    # that have RED get it while they lose packets.  Chromium and Safari use this payload type themselves.
    RtpCodecCapability("audio", "audio/red", 48000, 63, 2),
)
_VIDEO: Final = (
    _video("video/VP8", 101),
    _video("video/VP9", 103, {"profile-id": 0}),
    _h264("42e01f", 105),
    _h264("4d0032", 107),
    _h264("640032", 109),
    # Apple's devices offer Constrained High first; hardware encoders often say plain Baseline.
    _h264("640c34", 111),
    _h264("42001f", 113),
    # For devices that put each NAL unit into a packet of its own.  A device that names no mode means this one, too.
    _h264("42e01f", 115, packetization_mode=0),
    _h264("4d0032", 117, packetization_mode=0),
    _h264("640032", 119, packetization_mode=0),
    _h264("640c34", 121, packetization_mode=0),
    _h264("42001f", 123, packetization_mode=0),
    # The main profile; the other parameters have the defaults of the RTP payload format for AV1 (section 7.2).
    _video("video/AV1", 125, {"profile": 0, "level-idx": 5, "tier": 0}),
)


def router_capabilities(*, video_orientation: bool = True) -> RtpCapabilities:
    """The router's codecs and header extensions.

    Without the ``video_orientation`` extension, senders turn the picture themselves.  Some receivers cannot do that.
    """
    # One entry per kind, as mediasoup has it.
    extensions = [
        RtpHeaderExtension(MID_URI, 1, "audio"),
        RtpHeaderExtension(MID_URI, 1, "video"),
        # The router reads RIDs but sends none: a consumer is one stream, so its packets need none.
        RtpHeaderExtension(RID_URI, 2, "video", direction="recvonly"),
        RtpHeaderExtension(REPAIRED_RID_URI, 3, "video", direction="recvonly"),
        # The router reads the numbers of senders, and numbers the video that it sends by itself.
        RtpHeaderExtension(TRANSPORT_WIDE_URI, 5, "audio", direction="recvonly"),
        RtpHeaderExtension(TRANSPORT_WIDE_URI, 5, "video"),
        RtpHeaderExtension(AUDIO_LEVEL_URI, 10, "audio"),
        RtpHeaderExtension(DEPENDENCY_DESCRIPTOR_URI, 12, "video"),
    ]
    if video_orientation:
        extensions.append(RtpHeaderExtension(VIDEO_ORIENTATION_URI, 11, "video"))
    return RtpCapabilities((*_AUDIO, *_with_rtx(*_VIDEO)), tuple(extensions))


ROUTER_CAPABILITIES: Final = router_capabilities()
