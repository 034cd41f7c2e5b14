"""SDP for Janus' VideoRoom: one bundled transport with streams of one direction (RFC 8829, RFC 8843).

Light clients speak no SDP. This module builds offers and answers from their ICE and DTLS parameters, codecs and SSRCs.
It reads the same parameters from Janus' descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from protocol.media import DtlsFingerprint, DtlsParameters, IceParameters
from protocol.vocabulary import MediaKind
from tools.bench import BenchError
from tools.light.retransmission import rtx_ssrc
from tools.light.wide_arrivals import WIDE_URI

_FORMATS: Final[dict[str, Sequence[str]]] = {"audio": ("111",), "video": ("96", "97")}
#: The lines of each kind, about its first format and, for video, about the retransmissions of this format.
_CODECS: Final[dict[str, Sequence[str]]] = {
    "audio": ("a=rtpmap:{0} opus/48000/2",),
    "video": (
        "a=rtpmap:{0} VP8/90000",
        "a=rtcp-fb:{0} nack",
        "a=rtcp-fb:{0} nack pli",
        "a=rtcp-fb:{0} ccm fir",
        "a=rtpmap:{1} rtx/90000",
        "a=fmtp:{1} apt={0}",
    ),
}
#: Transport-wide numbers and feedback about them, for video alone, as our gateway has them.
_WIDE_ID: Final = 3
_WIDE: Final = (f"a=extmap:{_WIDE_ID} {WIDE_URI}", "a=rtcp-fb:{0} transport-cc")
_EXTENSION: Final = re.compile(rf"^a=extmap:(\d+)\S* {re.escape(WIDE_URI)}\s*$", re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^a=([a-z-]+):(.+?)\s*$", re.MULTILINE)
_CANDIDATE: Final = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)
#: A section that was not refused: its kind, formats and mid. The port of a refused one is 0.
_SECTION: Final = re.compile(r"^m=(audio|video) 9 \S+ ([\d ]+).*?^a=mid:(\S+)", re.MULTILINE | re.DOTALL)


class BadDescription(BenchError):
    """The bench cannot use a description. The text contains it."""


@frozen
class Section:
    """A media section. ``formats`` are its payload types, the codec first and then its retransmissions."""

    kind: str
    mid: str
    formats: Sequence[str]


@frozen
class Description:
    """The part of an offer or an answer that a light client needs.

    ``wide_id`` is the id of the header extension with transport-wide numbers, or None without it.
    """

    ice: IceParameters
    dtls: DtlsParameters
    address: tuple[str, int]
    sections: Sequence[Section] = ()
    wide_id: int | None = None


def offer(ours: Description, streams: Sequence[tuple[MediaKind, int]], *, feedback: bool = False) -> str:
    """Offer to send these streams, each with its kind and SSRC. The other side chooses the DTLS roles."""
    sections = [Section(kind, str(mid), _FORMATS[kind]) for mid, (kind, _) in enumerate(streams)]
    lines = _session(sections)
    for section, (kind, ssrc) in zip(sections, streams, strict=True):
        lines += _section(section, ours, "actpass", "sendonly", wide=feedback)
        if kind == "video":
            lines += [f"a=ssrc-group:FID {ssrc} {rtx_ssrc(ssrc)}", f"a=ssrc:{rtx_ssrc(ssrc)} cname:bench"]
        lines.append(f"a=ssrc:{ssrc} cname:bench")
    return "\r\n".join([*lines, ""])


def answer(ours: Description, offered: Description) -> str:
    """Accept every offered stream, as the DTLS server."""
    lines = _session(offered.sections)
    for section in offered.sections:
        lines += _section(section, ours, "passive", "recvonly", wide=offered.wide_id is not None)
    return "\r\n".join([*lines, ""])


def _session(sections: Sequence[Section]) -> list[str]:
    mids = " ".join(section.mid for section in sections)
    return ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]


def _section(section: Section, ours: Description, setup: str, direction: str, *, wide: bool) -> list[str]:
    """A media section with its codec and, for video, the retransmissions and perhaps the numbers of this codec."""
    formats, (host, port) = section.formats[: len(_FORMATS[section.kind])], ours.address
    return [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(formats)}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        f"a=ice-ufrag:{ours.ice.username_fragment}",
        f"a=ice-pwd:{ours.ice.password}",
        f"a=fingerprint:sha-256 {ours.dtls.fingerprints[0].value}",
        f"a=setup:{setup}",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
        f"a={direction}",
        *(line.format(*formats) for line in _CODECS[section.kind]),
        *(line.format(*formats) for line in _WIDE if wide and section.kind == "video"),
    ]


def parse(text: str) -> Description:
    """Read an offer or an answer of Janus. Raises :exc:`BadDescription`."""
    found, candidate = dict(_ATTRIBUTE.findall(text)), _CANDIDATE.search(text)
    sections = [Section(kind, mid, formats.split()) for kind, formats, mid in _SECTION.findall(text)]
    if (
        candidate is None
        or not {"ice-ufrag", "ice-pwd", "fingerprint"} <= found.keys()
        or not found["fingerprint"].startswith("sha-256 ")
        or len(sections) != text.count("\nm=")
        or any(len(section.formats) < len(_FORMATS[section.kind]) for section in sections)
    ):
        raise BadDescription(f"the bench cannot use this description of Janus:\n{text}")
    ice = IceParameters(found["ice-ufrag"], found["ice-pwd"], ice_lite="a=ice-lite" in text)
    dtls = DtlsParameters((DtlsFingerprint("sha-256", found["fingerprint"].removeprefix("sha-256 ")),))
    wide = _EXTENSION.search(text)
    return Description(ice, dtls, (candidate[1], int(candidate[2])), sections, int(wide[1]) if wide else None)
