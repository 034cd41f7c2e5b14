"""The cases in which this gateway answers otherwise than mediasoup's ``ortc``, and why.

The keys are names of changes in :mod:`tests.ortc.changes`: to a stream, to capabilities, and for consumers to either.
For consumers, they may also be names of recorded streams.
A difference that is missing here fails the comparison, and so does one that no longer exists.  ``accepts`` and
``refuses`` are the answer of this gateway.  mediasoup does the opposite.
"""

from typing import Literal

from attrs import frozen


@frozen
class Difference:
    ours: Literal["accepts", "refuses", "chooses"]
    why: str


def _accepts(why: str, *names: str) -> dict[str, Difference]:
    return {name: Difference("accepts", why) for name in names}


def _refuses(why: str, *names: str) -> dict[str, Difference]:
    return {name: Difference("refuses", why) for name in names}


STREAMS = {
    **_accepts(
        "Opus is two channels on the wire, even if the parameters leave that out (RFC 7587)",
        "channels left out",
        "channels null",
    ),
    **_accepts("null in a media object means that it is absent", "a parameter that is null"),
    **_accepts(
        "the gateway does not use the field",
        "feedback without a type",
        "feedback that is no object",
        "extension parameter that is a boolean",
        "a scalability mode that is a number",
        "an msid that is a number",
    ),
    **_accepts(
        "the gateway ignores entries beside the used codec",
        "rtx of the codec",
        "rtx of a missing payload type",
        "rtx without apt",
        "rtx with apt as text",
        "rtx with apt as a boolean",
        "flexfec",
        "telephone events",
        "comfort noise",
        "another codec that the router lacks",
        "another codec of the other kind",
    ),
    **_accepts("the gateway ignores retransmissions of a codec that the stream does not have", "payload type 35"),
    **_accepts(
        "the gateway unwraps RED (RFC 2198)",
        "red and ulpfec",
        "red with its rtx",
        "audio red after the codec",
        "audio red before the codec",
    ),
    **_accepts(
        "a parser may leave a number as text, or take a text for a number",
        "VP9 profile 0 as text",
        "packetization mode 1 as text",
        "high as a number",
    ),
    **_accepts("the gateway only passes the level on, and replaces an unknown one by the router's", "an unknown level"),
    **_refuses(
        "no packet can have such a payload type (RFC 3550 section 5.1, RFC 5761 section 4)",
        "payload type with a fraction",
        "payload type 64",
        "payload type 128",
    ),
    **_refuses(
        "only null stands for an absent field",
        "a mid that is 0",
        "a rid that is false",
        "a cname that is 0",
        "encrypt 0",
        "rtx of an encoding false",
        "encodings false",
        "header extensions 0",
        "rtcp false",
    ),
    **_refuses("numbers must be in range also in unused entries", "another codec of payload type 300"),
    **_refuses("a stream needs a codec (mediasoup's worker refuses this as well)", "no codecs"),
    **_refuses("parameters must be an object", "parameters as text"),
    **_refuses(
        "the gateway could not tell packets or header extensions apart",
        "another codec of the same payload type",
        "two header extensions with one id",
        "an ssrc twice",
    ),
    **_refuses("no header extension can have such an id (RFC 8285)", "extension id 0", "extension id 256"),
    **_refuses(
        "no packet could be assigned to the stream (mediasoup accepts the stream and drops every packet)",
        "an empty encoding without a mid",
        "an empty encoding without the mid's extension",
        "two empty encodings",
        "no header extensions",
        "header extensions null",
        "a rid with white space",
        "an empty rid",
    ),
    **_refuses(
        "no packet can have an SSRC of 33 bits, and no client should send the SSRC 0", "ssrc 0", "ssrc of 33 bits"
    ),
    **_refuses("the gateway limits the number of encodings of a producer", "nine encodings"),
    **_refuses(
        "the fields contradict each other (mediasoup's worker refuses this as well)",
        "an encoding that names a missing payload type",
    ),
}

CAPABILITIES = {
    **_accepts("the codec is neither audio nor video, so no stream needs it", "a mime type of neither kind"),
    **_accepts("the codec is neither audio nor video, so no stream needs it", "a codec of neither kind"),
    **_accepts(
        "the gateway does not use the field",
        "payload type as text",
        "a parameter that is a boolean",
        "feedback that is no object",
        "rtx with apt as text",
        "no extension id",
        "no extension kind",
        "an unknown extension kind",
        "a direction that is a number",
        "preferredEncrypt as text",
    ),
    **_refuses("only null stands for an absent field", "codecs false", "header extensions empty text"),
}


CONSUMERS = {
    # Without codecs mediasoup refuses as well.
    **{name: known for name, known in CAPABILITIES.items() if name != "codecs false"},
    **_accepts("Opus is two channels on the wire (RFC 7587)", "opus without channels", "opus with channels null"),
    **_accepts("a parser may leave a number as text", "packetization mode 1 as text"),
    **_accepts(
        "a receiver of packetization mode 1 can decode mode 0 (RFC 6184 section 6.3)",
        "packetization mode 0",
        "packetization mode left out",
        "chromium h264Mode0",
    ),
}

# Receivers that get neither NACK nor RTX here, while mediasoup gives them at least RTX.
NOT_REPAIRED = {
    **dict.fromkeys(
        ("one payload type for all", "parameters left out"),
        "the receiver does not say that its RTX repeats this codec, so that it may not take it",
    ),
    "rtx of a missing payload type": "RTX without NACK, or of a codec that nobody knows, repairs nothing",
}
