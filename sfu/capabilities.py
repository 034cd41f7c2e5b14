"""What this router can receive and send: the promise that clients load before anything else.

Only what is served stands here.  There is neither ``nack`` nor RTX, as nothing retransmits yet, and neither
``transport-cc`` nor its header extension: a browser that is offered them and never answered takes the silence for a
dead network and stays at its lowest rate.  Payload type 127 is mediasoup-client's own.
"""

from typing import Final

from sfu.parameters import CodecParameters, RtcpFeedback, RtpCapabilities, RtpCodecCapability, RtpHeaderExtension

MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 8843 section 15
RID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"  # RFC 8852 section 4.1
AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
VIDEO_ORIENTATION_URI: Final = "urn:3gpp:video-orientation"  # 3GPP TS 26.114 section 7.4.5

PLI: Final = RtcpFeedback("nack", "pli")  # RFC 4585 section 6.3.1
FIR: Final = RtcpFeedback("ccm", "fir")  # RFC 5104 section 4.3.1


def _video(mime_type: str, payload_type: int, parameters: CodecParameters | None = None) -> RtpCodecCapability:
    return RtpCodecCapability("video", mime_type, 90000, payload_type, None, parameters or {}, (PLI, FIR))


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


# Clients send with the first codec of a kind that they have, so the order is the preference.  The even payload types
# between the video codecs are left for their retransmissions.
_CODECS: Final = (
    # In-band FEC is Opus' own cure for loss; it takes no part of ours, and a sender only uses it when asked to.
    RtpCodecCapability("audio", "audio/opus", 48000, 100, 2, {"minptime": 10, "useinbandfec": 1}),
    _video("video/VP8", 101),
    _video("video/VP9", 103, {"profile-id": 0}),
    _h264("42e01f", 105),
    _h264("4d0032", 107),
    _h264("640032", 109),
    # Constrained High is what Apple's devices offer first, plain Baseline what encoders in hardware often say.
    _h264("640c34", 111),
    _h264("42001f", 113),
    # Devices that put each NAL unit into a packet of its own; one that says nothing means this, too.
    _h264("42e01f", 115, packetization_mode=0),
    _h264("4d0032", 117, packetization_mode=0),
    _h264("640032", 119, packetization_mode=0),
    _h264("640c34", 121, packetization_mode=0),
    _h264("42001f", 123, packetization_mode=0),
)


def router_capabilities(*, video_orientation: bool = True) -> RtpCapabilities:
    """What the router offers.

    Without ``video_orientation`` senders turn the picture themselves, for receivers that do not.
    """
    # One entry per kind, as mediasoup has it.
    extensions = [
        RtpHeaderExtension(MID_URI, 1, "audio"),
        RtpHeaderExtension(MID_URI, 1, "video"),
        # A consumer is one stream, so that its packets need no RID: received, never sent.
        RtpHeaderExtension(RID_URI, 2, "video", direction="recvonly"),
        RtpHeaderExtension(AUDIO_LEVEL_URI, 10, "audio"),
    ]
    if video_orientation:
        extensions.append(RtpHeaderExtension(VIDEO_ORIENTATION_URI, 11, "video"))
    return RtpCapabilities(_CODECS, tuple(extensions))


ROUTER_CAPABILITIES: Final = router_capabilities()
