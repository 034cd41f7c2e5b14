"""Contradictions and excess in what clients send; each ends in :exc:`sfu.errors.InvalidParameters` with a path.

What is not used is not looked at: a client may describe what this router does not know as it likes.
"""

import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from sfu.errors import InvalidParameters
from sfu.parameters import RtpCapabilities, RtpEncodingParameters, RtpHeaderExtensionParameters

MAX_CODECS: Final = 128
MAX_HEADER_EXTENSIONS: Final = 64
MAX_ENCODINGS: Final = 8

_Item = TypeVar("_Item")
_MAX_SSRC = 2**32 - 1
# What an element of a header extension holds (RFC 8285 section 4.3); the characters are those of RFC 8851 section 10.
_RID = re.compile(r"[\w-]{1,255}", re.ASCII)
_MID = re.compile(r"[ -~]{1,255}")


def validate_capabilities(capabilities: RtpCapabilities) -> None:
    """Look through what a client says it can receive.

    Raises :exc:`InvalidParameters` where there is too much of it.  Nothing else in capabilities can contradict: they
    are searched for what a producer has, and their numbers are not used.
    """
    check_count(capabilities.codecs, MAX_CODECS, "codecs")
    check_count(capabilities.header_extensions, MAX_HEADER_EXTENSIONS, "headerExtensions")


def used_extensions(extensions: Sequence[RtpHeaderExtensionParameters], uris: Collection[str]) -> dict[str, int]:
    """The identifiers of those of ``uris`` that the stream has in the clear; of one that is listed twice the first.

    Raises :exc:`InvalidParameters` where one of them cannot be told from another extension.
    """
    check_count(extensions, MAX_HEADER_EXTENSIONS, "headerExtensions")
    used: dict[str, int] = {}
    for extension, path in numbered(extensions, "headerExtensions"):
        if extension.uri in uris and not extension.encrypt and extension.uri not in used:
            if not 1 <= extension.id <= 255:
                raise InvalidParameters("a header extension's identifier is 1 to 255", f"{path}.id")
            used[extension.uri] = extension.id
    first: dict[int, str] = {}
    for extension, path in numbered(extensions, "headerExtensions"):
        uri = first.setdefault(extension.id, extension.uri)
        if extension.id in used.values() and uri != extension.uri:
            raise InvalidParameters("another header extension has this identifier", f"{path}.id")
    return used


def used_encodings(encodings: Sequence[RtpEncodingParameters]) -> tuple[RtpEncodingParameters, ...]:
    """The encodings of one stream, told apart by SSRC or RID where there are several; one where none is given.

    A RID that no packet can carry is left out where an SSRC makes it superfluous.
    """
    check_count(encodings, MAX_ENCODINGS, "encodings")
    used = [_with_usable_rid(encoding, path) for encoding, path in numbered(encodings, "encodings")]
    for encoding, path in numbered(used, "encodings"):
        if encoding.ssrc is not None and not 1 <= encoding.ssrc <= _MAX_SSRC:
            raise InvalidParameters("an SSRC is 1 to 4294967295", f"{path}.ssrc")
        if len(used) > 1 and encoding.ssrc is None and encoding.rid is None:
            raise InvalidParameters("one of several encodings has neither SSRC nor RID", path)
    paths = list(numbered(used, "encodings"))
    _check_distinct(((encoding.ssrc, path) for encoding, path in paths), "ssrc")
    _check_distinct(((encoding.rid, path) for encoding, path in paths), "rid")
    ssrcs = {encoding.ssrc for encoding in used}
    for encoding, path in paths:
        # Retransmissions are not served, but their packets must not be taken for others.
        if encoding.rtx is not None and encoding.rtx.ssrc in ssrcs:
            raise InvalidParameters("an encoding has this SSRC", f"{path}.rtx.ssrc")
    return tuple(used) or (RtpEncodingParameters(),)


def usable_mid(mid: str | None) -> str | None:
    """The MID, where packets can carry it (RFC 8843 section 15.1)."""
    return mid if mid is not None and _MID.fullmatch(mid) else None


def recognisable(
    encodings: Sequence[RtpEncodingParameters], *, has_mid: bool, has_rid_extension: bool, mid_path: str | None
) -> tuple[RtpEncodingParameters, ...]:
    """The encodings, once it is clear that each packet will say whose it is.

    Without SSRC that is in header extensions: a RID, or the MID of a stream that has one encoding (RFC 8843 section
    9.2, RFC 8852 section 3.2).  ``has_mid`` says that there are a MID and its extension, ``mid_path`` where one stands
    that packets cannot carry.
    """
    if len(encodings) == 1 and encodings[0].ssrc is None and has_mid and not has_rid_extension:
        return (evolve(encodings[0], rid=None),)
    for encoding, path in numbered(encodings, "encodings"):
        if encoding.ssrc is not None:
            continue
        if encoding.rid is not None and not has_rid_extension:
            raise InvalidParameters("without SSRC a RID needs its header extension", path)
        if encoding.rid is None and not has_mid:
            message = "without SSRC there must be a MID of 1 to 255 ASCII characters and its header extension"
            raise InvalidParameters(message, mid_path or path)
    return tuple(encodings)


def numbered(items: Sequence[_Item], name: str) -> Iterable[tuple[_Item, str]]:
    """The items, each with its path on the wire."""
    return ((item, f"{name}[{index}]") for index, item in enumerate(items))


def check_count(items: Sequence[object], maximum: int, name: str) -> None:
    """Raises :exc:`InvalidParameters` where there are too many."""
    if len(items) > maximum:
        raise InvalidParameters(f"there are more than {maximum}", name)


def check_payload_type(payload_type: int, path: str) -> None:
    """Raises :exc:`InvalidParameters` for one that packets cannot have here."""
    # With RTCP on the same port, 64–95 and a marker bit look like RTCP (RFC 5761 section 4).
    if not 0 <= payload_type <= 127 or 64 <= payload_type <= 95:
        raise InvalidParameters("a payload type is 0 to 63 or 96 to 127", path)


def _with_usable_rid(encoding: RtpEncodingParameters, path: str) -> RtpEncodingParameters:
    if encoding.rid is None or _RID.fullmatch(encoding.rid):
        return encoding
    if encoding.rid and encoding.ssrc is None:
        raise InvalidParameters("a RID has 1 to 255 letters, digits, _ or -", f"{path}.rid")
    return evolve(encoding, rid=None)


def _check_distinct(items: Iterable[tuple[Hashable, str]], name: str) -> None:
    seen = set[Hashable]()
    for value, path in items:
        if value is not None and value in seen:
            raise InvalidParameters("it is there twice", f"{path}.{name}")
        seen.add(value)
