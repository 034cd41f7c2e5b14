"""Checks for contradictions in the parameters of clients.  Each raises :exc:`sfu.errors.InvalidParameters` with a path.

Ranges, sizes and counts were checked on the wire, where the gateway read the parameters.  Only fields that the router
uses count here.  A client may describe all other features in any way.
"""

import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from sfu.errors import InvalidParameters
from sfu.parameters import RtpEncodingParameters, RtpHeaderExtensionParameters

_Item = TypeVar("_Item")
# An element of a header extension holds 255 bytes (RFC 8285 section 4.3).  RFC 8851 section 10 names the characters.
_RID: Final = re.compile(r"[\w-]{1,255}", re.ASCII)
_MID: Final = re.compile(r"[ -~]{1,255}")


def used_extensions(extensions: Sequence[RtpHeaderExtensionParameters], uris: Collection[str]) -> dict[str, int]:
    """The identifiers of the extensions in ``uris`` that the stream has unencrypted.

    If two extensions have the same URI, the first one counts.

    Raises :exc:`InvalidParameters` if one of them shares its identifier with another extension.
    """
    used: dict[str, int] = {}
    for extension in extensions:
        if extension.uri in uris and not extension.encrypt:
            used.setdefault(extension.uri, extension.id)
    first: dict[int, str] = {}
    for extension, path in numbered(extensions, "headerExtensions"):
        uri = first.setdefault(extension.id, extension.uri)
        if extension.id in used.values() and uri != extension.uri:
            raise InvalidParameters("another header extension has this identifier", f"{path}.id")
    return used


def used_encodings(encodings: Sequence[RtpEncodingParameters]) -> tuple[RtpEncodingParameters, ...]:
    """The encodings of one stream; one without SSRC and RID if the client names none.

    A RID that no packet can carry is left out if the encoding has an SSRC.

    Raises :exc:`InvalidParameters` if packets could not be told apart by SSRC or RID.
    """
    used = [_with_usable_rid(encoding, path) for encoding, path in numbered(encodings, "encodings")]
    paths = list(numbered(used, "encodings"))
    for encoding, path in paths:
        if len(used) > 1 and encoding.ssrc is None and encoding.rid is None:
            raise InvalidParameters("one of several encodings has neither SSRC nor RID", path)
    _check_distinct(((encoding.ssrc, path) for encoding, path in paths), "ssrc")
    _check_distinct(((encoding.rid, path) for encoding, path in paths), "rid")
    ssrcs = {encoding.ssrc for encoding in used}
    for encoding, path in paths:
        # A client may send retransmissions that the router does not use.  They must not count as another encoding's
        # packets.
        if encoding.rtx is not None and encoding.rtx.ssrc in ssrcs:
            raise InvalidParameters("an encoding has this SSRC", f"{path}.rtx.ssrc")
    return tuple(used) or (RtpEncodingParameters(),)


def rtx_ssrcs(encodings: Sequence[RtpEncodingParameters]) -> list[int | None]:
    """The SSRC of each encoding's retransmissions, as far as the client announced it (RFC 4588 section 5).

    Raises :exc:`InvalidParameters` if two encodings have the same one.
    """
    # SSRC 0 means that there is none.
    ssrcs = [(encoding.rtx.ssrc or None) if encoding.rtx is not None else None for encoding in encodings]
    paths = (path for _, path in numbered(encodings, "encodings"))
    _check_distinct(zip(ssrcs, paths, strict=True), "rtx.ssrc")
    return ssrcs


def usable_mid(mid: str | None) -> str | None:
    """The MID if packets can carry it (RFC 8843 section 15.1)."""
    return mid if mid is not None and _MID.fullmatch(mid) else None


def recognisable(
    encodings: Sequence[RtpEncodingParameters], *, has_mid: bool, has_rid_extension: bool, mid_path: str | None
) -> tuple[RtpEncodingParameters, ...]:
    """The encodings, after a check that each packet shows its encoding.

    If an encoding has no SSRC, a header extension must show it.  This is a RID, or the MID of a stream that has one
    encoding (RFC 8843 section 9.2, RFC 8852 section 3.2).  ``has_mid`` says that the stream has a MID and its
    extension.  ``mid_path`` is the path of a MID that packets cannot carry.

    Raises :exc:`InvalidParameters` for an encoding whose packets do not show it.
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


def check_payload_type(payload_type: int, path: str) -> None:
    """Raises :exc:`InvalidParameters` for a payload type that packets cannot have on one port with RTCP."""
    # On one port with RTCP, 64–95 with the marker bit look like RTCP (RFC 5761 section 4).
    if 64 <= payload_type <= 95:
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
            raise InvalidParameters("another encoding has the same value", f"{path}.{name}")
        seen.add(value)
