"""Contradictions and excess in what clients send; each ends in :exc:`sfu.errors.InvalidParameters` with a path."""

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, TypeVar

from sfu.errors import InvalidParameters
from sfu.ortc.codecs import Codec, is_media, is_rtx, split_mime_type
from sfu.parameters import (
    Kind,
    RtpCapabilities,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
)

MAX_CODECS: Final = 128
MAX_HEADER_EXTENSIONS: Final = 64
MAX_ENCODINGS: Final = 8

_Item = TypeVar("_Item")
_MAX_SSRC = 2**32 - 1
_MIME_TYPE = re.compile(r"(audio|video)/[\w.+-]{1,64}", re.ASCII | re.IGNORECASE)
_RID = re.compile(r"[\w-]{1,32}", re.ASCII)


def validate_capabilities(capabilities: RtpCapabilities) -> None:
    """Look through what a client says it can receive.

    Raises :exc:`InvalidParameters` for what contradicts itself (RFC 8285 section 4: identifiers 1–255; RFC 3550
    section 5.1: payload types 0–127).
    """
    _check_count(capabilities.codecs, MAX_CODECS, "codecs")
    for codec, path in _numbered(capabilities.codecs, "codecs"):
        _check_codec(codec.kind, codec, path)
        if codec.preferred_payload_type is not None:
            _check_payload_type(codec.preferred_payload_type, f"{path}.preferredPayloadType")
    _check_distinct(
        ((codec.preferred_payload_type, path) for codec, path in _numbered(capabilities.codecs, "codecs")),
        "preferredPayloadType",
    )
    _check_count(capabilities.header_extensions, MAX_HEADER_EXTENSIONS, "headerExtensions")
    for extension, path in _numbered(capabilities.header_extensions, "headerExtensions"):
        _check_extension(extension.uri, extension.preferred_id, path, "preferredId")


def check_codecs(kind: Kind, codecs: Sequence[RtpCodecParameters]) -> None:
    """The codecs of one stream: at least one that carries media, all of its kind, told apart by payload type."""
    _check_count(codecs, MAX_CODECS, "codecs")
    for codec, path in _numbered(codecs, "codecs"):
        _check_codec(kind, codec, path)
        _check_payload_type(codec.payload_type, f"{path}.payloadType")
    _check_distinct(((codec.payload_type, path) for codec, path in _numbered(codecs, "codecs")), "payloadType")
    media = {codec.payload_type for codec in codecs if is_media(codec)}
    if not media:
        raise InvalidParameters("there is no media codec", "codecs")
    for codec, path in _numbered(codecs, "codecs"):
        if is_rtx(codec) and codec.parameters.get("apt") not in media:
            raise InvalidParameters("apt does not name a media codec's payload type", f"{path}.parameters.apt")


def check_header_extensions(extensions: Sequence[RtpHeaderExtensionParameters]) -> None:
    """The header extensions of one stream: no identifier twice, and no URI twice in the clear."""
    _check_count(extensions, MAX_HEADER_EXTENSIONS, "headerExtensions")
    numbered = list(_numbered(extensions, "headerExtensions"))
    for extension, path in numbered:
        _check_extension(extension.uri, extension.id, path, "id")
    _check_distinct(((extension.id, path) for extension, path in numbered), "id")
    _check_distinct(((extension.uri, path) for extension, path in numbered if not extension.encrypt), "uri")


def check_encodings(encodings: Sequence[RtpEncodingParameters]) -> None:
    """The encodings of one stream: told apart by SSRC or RID where there are several.  None at all is right, too."""
    _check_count(encodings, MAX_ENCODINGS, "encodings")
    numbered = list(_numbered(encodings, "encodings"))
    for encoding, path in numbered:
        _check_ssrc(encoding.ssrc, f"{path}.ssrc")
        if encoding.rtx is not None:
            _check_ssrc(encoding.rtx.ssrc, f"{path}.rtx.ssrc")
        if encoding.rid is not None and not _RID.fullmatch(encoding.rid):
            raise InvalidParameters("a RID has 1 to 32 letters, digits, _ or -", f"{path}.rid")
        if len(encodings) > 1 and encoding.ssrc is None and encoding.rid is None:
            raise InvalidParameters("one of several encodings has neither SSRC nor RID", path)
    retransmissions = ((encoding.rtx.ssrc, f"{path}.rtx") for encoding, path in numbered if encoding.rtx is not None)
    _check_distinct((*((encoding.ssrc, path) for encoding, path in numbered), *retransmissions), "ssrc")
    _check_distinct(((encoding.rid, path) for encoding, path in numbered), "rid")


def _numbered(items: Sequence[_Item], name: str) -> Iterable[tuple[_Item, str]]:
    return ((item, f"{name}[{index}]") for index, item in enumerate(items))


def _check_count(items: Sequence[object], maximum: int, name: str) -> None:
    if len(items) > maximum:
        raise InvalidParameters(f"there are more than {maximum}", name)


def _check_distinct(items: Iterable[tuple[Hashable, str]], name: str) -> None:
    seen = set[Hashable]()
    for value, path in items:
        if value is not None and value in seen:
            raise InvalidParameters("it is there twice", f"{path}.{name}")
        seen.add(value)


def _check_codec(kind: Kind, codec: Codec, path: str) -> None:
    if not _MIME_TYPE.fullmatch(codec.mime_type) or split_mime_type(codec.mime_type)[0] != kind:
        raise InvalidParameters(f"it is not {kind}/…", f"{path}.mimeType")
    if codec.clock_rate < 1:
        raise InvalidParameters("a clock rate is positive", f"{path}.clockRate")
    if codec.channels is not None and codec.channels < 1:
        raise InvalidParameters("there is at least one channel", f"{path}.channels")


def _check_payload_type(payload_type: int, path: str) -> None:
    # With RTCP on the same port, 64–95 and a marker bit look like RTCP (RFC 5761 section 4).
    if not 0 <= payload_type <= 127 or 64 <= payload_type <= 95:
        raise InvalidParameters("a payload type is 0 to 63 or 96 to 127", path)


def _check_extension(uri: str, identifier: int, path: str, name: str) -> None:
    if not uri:
        raise InvalidParameters("a header extension has a URI", f"{path}.uri")
    if not 1 <= identifier <= 255:
        raise InvalidParameters("a header extension's identifier is 1 to 255", f"{path}.{name}")


def _check_ssrc(ssrc: int | None, path: str) -> None:
    if ssrc is not None and not 1 <= ssrc <= _MAX_SSRC:
        raise InvalidParameters("an SSRC is 1 to 4294967295", path)
