"""SDP for Janus' VideoRoom: one bundled transport with streams of one direction (RFC 8829, RFC 8843).

Light clients speak no SDP. This module builds offers and answers from their ICE and DTLS parameters, codecs and SSRCs.
It reads the same parameters from Janus' descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from protocol.media import DtlsFingerprint, DtlsParameters, IceParameters
from protocol.vocabulary import MediaKind
from tools.bench import BenchError
from tools.light.retransmission import rtx_ssrc

_FORMATS: Final = {"audio": (111,), "video": (96, 97)}
#: The lines of each kind, about its first format and, for video, about the retransmissions of this format.
_CODECS: Final = {
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
_CANDIDATE: Final = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)


class BadDescription(BenchError):
    """The bench cannot use a description. The text says why."""


@frozen
class Section:
    """A media section of an offer. ``formats`` are its payload types, the codec first and then its retransmissions."""

    kind: MediaKind
    mid: str
    formats: tuple[int, ...]


@frozen
class Description:
    """The part of an offer or an answer that a light client needs."""

    ice: IceParameters
    dtls: DtlsParameters
    address: tuple[str, int]
    sections: tuple[Section, ...]


@frozen
class LocalCredentials:
    """The client's own parameters.

    ``fingerprint`` is the SHA-256 of the certificate in hexadecimal with colons, ``address`` the one candidate.
    """

    ufrag: str
    password: str
    fingerprint: str
    address: tuple[str, int]


def offer(credentials: LocalCredentials, streams: Sequence[tuple[MediaKind, int]]) -> str:
    """Offer to send these streams, each with its kind and SSRC. The other side chooses the DTLS roles."""
    lines = _session(str(mid) for mid in range(len(streams)))
    for mid, (kind, ssrc) in enumerate(streams):
        lines += _section(Section(kind, str(mid), _FORMATS[kind]), credentials, "actpass", "sendonly")
        if kind == "video":
            lines += [f"a=ssrc-group:FID {ssrc} {rtx_ssrc(ssrc)}", f"a=ssrc:{rtx_ssrc(ssrc)} cname:bench"]
        lines.append(f"a=ssrc:{ssrc} cname:bench")
    return "".join(f"{line}\r\n" for line in lines)


def answer(credentials: LocalCredentials, offered: Description) -> str:
    """Accept every offered stream, as the DTLS server."""
    lines = _session(section.mid for section in offered.sections)
    for section in offered.sections:
        lines += _section(section, credentials, "passive", "recvonly")
    return "".join(f"{line}\r\n" for line in lines)


def _session(mids: Iterable[str]) -> list[str]:
    return ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]


def _section(section: Section, credentials: LocalCredentials, setup: str, direction: str) -> list[str]:
    """A media section with its codec and, for video, the retransmissions of this codec."""
    formats, (host, port) = section.formats[: len(_FORMATS[section.kind])], credentials.address
    return [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, formats))}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        f"a=ice-ufrag:{credentials.ufrag}",
        f"a=ice-pwd:{credentials.password}",
        f"a=fingerprint:sha-256 {credentials.fingerprint}",
        f"a=setup:{setup}",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
        f"a={direction}",
        *(line.format(*formats) for line in _CODECS[section.kind]),
    ]


def parse(text: str) -> Description:
    """Read an offer or an answer of Janus.  Raises :exc:`BadDescription`."""
    session, *rest = re.split(r"^(?=m=)", text, flags=re.MULTILINE)
    sections = tuple(_parse_section(one) for one in rest)
    candidate = _CANDIDATE.search(text)
    if candidate is None:
        raise BadDescription("there is no host candidate for UDP")
    ice = IceParameters(_attribute(text, "ice-ufrag"), _attribute(text, "ice-pwd"), ice_lite="a=ice-lite" in session)
    algorithm, _, value = _attribute(text, "fingerprint").partition(" ")
    if algorithm.lower() != "sha-256" or not value:
        raise BadDescription("the certificate's fingerprint is not SHA-256")
    dtls = DtlsParameters((DtlsFingerprint("sha-256", value.strip()),))
    return Description(ice, dtls, (candidate[1], int(candidate[2])), sections)


def _parse_section(text: str) -> Section:
    found = re.match(r"m=(audio|video) (\d+) \S+ ([\d ]+)", text)
    if found is None:
        raise BadDescription(f"a media section that the bench cannot use: {text.partition(chr(10))[0].strip()}")
    if found[2] == "0":
        raise BadDescription(f"the {found[1]} section was refused")
    kind: MediaKind = "audio" if found[1] == "audio" else "video"
    formats = tuple(int(one) for one in found[3].split())
    if len(formats) < len(_FORMATS[kind]):
        raise BadDescription(f"the {kind} section has no retransmissions")
    return Section(kind, _attribute(text, "mid"), formats)


def _attribute(text: str, name: str) -> str:
    found = re.search(rf"^a={name}:(.+?)\s*$", text, re.MULTILINE)
    if found is None:
        raise BadDescription(f"there is no a={name}")
    return found[1]
