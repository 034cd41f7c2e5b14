"""The SDP that the bench writes for Janus, and reads from it."""

import pytest

from protocol.media import DtlsFingerprint, DtlsParameters, IceParameters
from tools.bench.janus.sdp import BadDescription, Description, answer, offer, parse
from tools.light.retransmission import rtx_ssrc

ICE = IceParameters("ours", "our-password-that-is-long")
OURS = Description(ICE, DtlsParameters((DtlsFingerprint("sha-256", "AA:" * 31 + "AA"),)), ("10.0.0.2", 5000))
FINGERPRINT = ":".join(f"{byte:02X}" for byte in range(32))
THEIRS = f"""v=0\r
o=- 5 1 IN IP4 10.0.0.1\r
s=room\r
t=0 0\r
a=group:BUNDLE a v\r
a=fingerprint:sha-256 {FINGERPRINT}\r
a=ice-lite\r
m=audio 9 UDP/TLS/RTP/SAVPF 100\r
a=sendonly\r
a=mid:a\r
a=ice-ufrag:abcd\r
a=ice-pwd:their-password-that-is-long\r
a=setup:actpass\r
a=rtpmap:100 opus/48000/2\r
a=candidate:1 2 udp 2015363326 10.0.0.1 40001 typ host\r
a=candidate:1 1 udp 2015363327 10.0.0.1 40000 typ host\r
m=video 9 UDP/TLS/RTP/SAVPF 101 102\r
a=sendonly\r
a=mid:v\r
a=ice-ufrag:abcd\r
a=ice-pwd:their-password-that-is-long\r
a=rtpmap:101 VP8/90000\r
"""


def test_it_reads_what_a_light_client_needs() -> None:
    read = parse(THEIRS)
    assert (read.ice.username_fragment, read.ice.password) == ("abcd", "their-password-that-is-long")
    assert read.ice.ice_lite
    assert [(one.algorithm, one.value) for one in read.dtls.fingerprints] == [("sha-256", FINGERPRINT)]
    assert read.address == ("10.0.0.1", 40000)  # the first component's: it carries RTCP too
    assert [(one.kind, one.mid, one.formats) for one in read.sections] == [
        ("audio", "a", ["100"]),
        ("video", "v", ["101", "102"]),
    ]


def test_an_answer_takes_every_section_with_the_first_format_it_has() -> None:
    lines = answer(OURS, parse(THEIRS)).split("\r\n")
    assert "a=group:BUNDLE a v" in lines
    assert [line for line in lines if line.startswith("m=")] == [
        "m=audio 9 UDP/TLS/RTP/SAVPF 100",
        "m=video 9 UDP/TLS/RTP/SAVPF 101 102",
    ]
    assert [line for line in lines if line.startswith("a=rtpmap")] == [
        "a=rtpmap:100 opus/48000/2",
        "a=rtpmap:101 VP8/90000",
        "a=rtpmap:102 rtx/90000",
    ]
    assert "a=fmtp:102 apt=101" in lines
    assert lines.count("a=recvonly") == lines.count("a=setup:passive") == 2


def test_an_offer_names_each_stream_by_its_ssrc() -> None:
    lines = offer(OURS, [("audio", 7), ("video", 9)]).split("\r\n")
    assert [line.split()[0] for line in lines if line.startswith("a=ssrc:")] == [
        "a=ssrc:7",
        f"a=ssrc:{rtx_ssrc(9)}",
        "a=ssrc:9",
    ]
    assert f"a=ssrc-group:FID 9 {rtx_ssrc(9)}" in lines
    assert lines.count("a=sendonly") == lines.count("a=setup:actpass") == 2
    assert lines.count("a=candidate:1 1 udp 2130706431 10.0.0.2 5000 typ host") == 2


def test_an_offer_announces_retransmissions_of_video_as_light_clients_do_at_our_gateway() -> None:
    lines = offer(OURS, [("video", 9)]).split("\r\n")
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96 97" in lines
    assert {"a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"} <= set(lines)


def test_it_reads_its_own_offer() -> None:
    made = parse(offer(OURS, [("audio", 7)]))
    assert (made.dtls, made.address) == (OURS.dtls, OURS.address)
    assert (made.ice.username_fragment, made.ice.password) == (ICE.username_fragment, ICE.password)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" typ host", " typ relay"),
        ("a=ice-pwd:", "a=other:"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        ("m=video 9", "m=video 0"),
        ("SAVPF 101 102", "SAVPF 101"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 100", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"),
        ("a=mid:v\r\n", ""),
    ],
)
def test_it_refuses_a_description_that_it_cannot_use(old: str, new: str) -> None:
    with pytest.raises(BadDescription, match="cannot use this description"):
        parse(THEIRS.replace(old, new))
