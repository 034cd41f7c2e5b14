"""The gateway's side of a session as SDP."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def describe(transport: Json, sections: list[Json], direction: str, setup: str) -> str:
    """The gateway's SDP.  ``sections`` are rtpParameters with a mid.

    ``direction`` is recvonly in an answer and sendonly in an offer.
    """
    mids = " ".join(section["mid"] for section in sections)
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {mids}", "a=ice-lite"]
    for section in sections:
        lines += _section(transport, section, direction, setup)
    return "".join(f"{line}\r\n" for line in lines)


def _section(transport: Json, section: Json, direction: str, setup: str) -> Iterator[str]:
    ice, [codec, *_] = transport["iceParameters"], section["codecs"]
    kind, _, name = codec["mimeType"].partition("/")
    payload_type, channels = codec["payloadType"], codec.get("channels", 1)
    yield f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}"
    yield "c=IN IP4 0.0.0.0"
    yield from (f"a=mid:{section['mid']}", f"a={direction}", "a=rtcp-mux", f"a=setup:{setup}")
    yield from (f"a=ice-ufrag:{ice['usernameFragment']}", f"a=ice-pwd:{ice['password']}")
    for fingerprint in transport["dtlsParameters"]["fingerprints"]:
        yield f"a=fingerprint:{fingerprint['algorithm']} {fingerprint['value']}"
    yield f"a=rtpmap:{payload_type} {name}/{codec['clockRate']}" + (f"/{channels}" if channels > 1 else "")
    if parameters := codec.get("parameters"):
        yield f"a=fmtp:{payload_type} " + ";".join(f"{name}={value}" for name, value in parameters.items())
    for feedback in codec.get("rtcpFeedback", ()):
        yield f"a=rtcp-fb:{payload_type} {feedback['type']} {feedback.get('parameter', '')}".rstrip()
    for extension in section.get("headerExtensions", ()):
        yield f"a=extmap:{extension['id']} {extension['uri']}"
    if direction == "sendonly":
        yield f"a=msid:gateway {section['mid']}"
        yield f"a=ssrc:{section['encodings'][0]['ssrc']} cname:{section['rtcp']['cname']}"
    for number, candidate in enumerate(transport["iceCandidates"], 1):
        where = f"{candidate['address']} {candidate['port']} typ {candidate['type']}"
        if "tcpType" in candidate:
            where += f" tcptype {candidate['tcpType']}"
        yield f"a=candidate:{number} 1 {candidate['protocol']} {candidate['priority']} {where}"
    yield "a=end-of-candidates"


def attribute(description: str, name: str) -> str:
    """The value of the first line a=name:…"""
    begin = f"a={name}:"
    return next(line[len(begin) :] for line in description.splitlines() if line.startswith(begin))
