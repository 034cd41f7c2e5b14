"""Choosing the one codec of a stream that the router takes."""

from collections.abc import Sequence

from attrs import frozen

from sfu.errors import InvalidParameters, Unsupported
from sfu.ortc.codecs import is_media, is_red, repeats, split_mime_type
from sfu.ortc.validation import check_payload_type, numbered
from sfu.parameters import MediaKind, RtpCodecParameters, RtpEncodingParameters


@frozen
class CodecChoice:
    """The codec of a stream, and the client's payload types that carry it inside RED (RFC 2198)."""

    codec: RtpCodecParameters
    red_payload_types: frozenset[int]


def choose_codec(
    kind: MediaKind, codecs: Sequence[RtpCodecParameters], encodings: Sequence[RtpEncodingParameters]
) -> CodecChoice:
    """The codec that the encodings name, or else the first of this kind that carries media.

    An encoding that names RED means the codec inside it: the first of the same clock rate.  All other codecs are
    ignored.

    Raises :exc:`Unsupported` for RED without such a codec and for encodings of several codecs.  Raises
    :exc:`InvalidParameters` if there is no codec, or if the used codecs contradict each other.
    """
    ours = [codec for codec in codecs if split_mime_type(codec.mime_type)[0] == kind]
    media = [codec for codec in ours if is_media(codec)]
    reds = [codec for codec in ours if is_red(codec)]
    _check_any(kind, codecs, ours, media, reds)
    codec = _named(encodings, media, reds) or media[0]
    carrying = [red for red in reds if red.clock_rate == codec.clock_rate]
    for one, path in numbered(codecs, "codecs"):
        if one is codec or one in carrying:
            check_payload_type(one.payload_type, f"{path}.payloadType")
    _check_told_apart(codecs, [codec, *carrying])
    return CodecChoice(codec, frozenset(red.payload_type for red in carrying))


def choose_rtx(kind: MediaKind, choice: CodecChoice, codecs: Sequence[RtpCodecParameters]) -> dict[int, int]:
    """Map the payload types of the client's retransmissions (RFC 4588) to the payload types that they repeat.

    The result leaves out retransmissions of codecs that the stream does not use.

    Raises :exc:`InvalidParameters` for a payload type that packets cannot have, or that another codec has.
    """
    repeated = {choice.codec.payload_type, *choice.red_payload_types}
    used, payload_types = [], {}
    for codec, path in numbered(codecs, "codecs"):
        apt = repeats(codec)
        if apt is not None and apt in repeated and split_mime_type(codec.mime_type)[0] == kind:
            check_payload_type(codec.payload_type, f"{path}.payloadType")
            used.append(codec)
            payload_types[codec.payload_type] = apt
    _check_told_apart(codecs, used)
    return payload_types


def _check_any(
    kind: MediaKind,
    codecs: Sequence[RtpCodecParameters],
    ours: Sequence[RtpCodecParameters],
    media: Sequence[RtpCodecParameters],
    reds: Sequence[RtpCodecParameters],
) -> None:
    if media:
        return
    if reds:
        raise Unsupported("RED needs the codec that it wraps in the same list")
    if codecs and not ours:
        raise InvalidParameters(f"the MIME type does not begin with {kind}/", "codecs[0].mimeType")
    raise InvalidParameters("there is no media codec", "codecs")


def _named(
    encodings: Sequence[RtpEncodingParameters],
    media: Sequence[RtpCodecParameters],
    reds: Sequence[RtpCodecParameters],
) -> RtpCodecParameters | None:
    used = None
    for encoding, path in numbered(encodings, "encodings"):
        if encoding.codec_payload_type is None:
            continue
        named = _by_payload_type(encoding.codec_payload_type, media, reds)
        if named is None:
            raise InvalidParameters("no media codec has this payload type", f"{path}.codecPayloadType")
        if used is not None and named is not used:
            raise Unsupported("the encodings of one stream must have the same codec")
        used = named
    return used


def _by_payload_type(
    payload_type: int, media: Sequence[RtpCodecParameters], reds: Sequence[RtpCodecParameters]
) -> RtpCodecParameters | None:
    named = next((codec for codec in media if codec.payload_type == payload_type), None)
    red = next((codec for codec in reds if codec.payload_type == payload_type), None)
    if named is not None or red is None:
        return named
    carried = next((codec for codec in media if codec.clock_rate == red.clock_rate), None)
    if carried is None:
        raise Unsupported("RED needs a codec of the same clock rate in the same list")
    return carried


def _check_told_apart(codecs: Sequence[RtpCodecParameters], used: Sequence[RtpCodecParameters]) -> None:
    """Each used payload type must mean one codec."""
    payload_types = {codec.payload_type for codec in used}
    first: dict[int, RtpCodecParameters] = {}
    for codec, path in numbered(codecs, "codecs"):
        other = first.setdefault(codec.payload_type, codec)
        if codec.payload_type in payload_types and codec != other:
            raise InvalidParameters("another codec has this payload type", f"{path}.payloadType")
