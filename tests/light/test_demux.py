"""The first bytes of a datagram show its protocol."""

import pytest

from tools.light.wire.demux import Protocol, classify, is_rtp


@pytest.mark.parametrize(
    ("first", "last", "protocol"),
    [
        (0, 3, Protocol.STUN),
        (4, 19, Protocol.UNKNOWN),
        (20, 63, Protocol.DTLS),
        (64, 127, Protocol.UNKNOWN),
        (128, 191, Protocol.RTP),
        (192, 255, Protocol.UNKNOWN),
    ],
)
def test_the_first_byte_gives_the_protocol_by_the_ranges_of_rfc_7983(first: int, last: int, protocol: Protocol) -> None:
    for byte in range(first, last + 1):
        assert classify(bytes([byte, 96, 0, 0])) is protocol


def test_the_second_byte_distinguishes_rtcp_from_rtp_by_the_ranges_of_rfc_5761() -> None:
    for second in range(256):
        expected = Protocol.RTCP if 192 <= second <= 223 else Protocol.RTP
        assert classify(bytes([0x80, second])) is expected


def test_a_single_byte_is_not_rtcp() -> None:
    assert classify(b"\x80") is Protocol.RTP


def test_an_empty_datagram_has_no_protocol() -> None:
    assert classify(b"") is Protocol.UNKNOWN


def test_the_first_two_bytes_show_rtp() -> None:
    for first in range(256):
        for second in range(256):
            assert is_rtp(first, second) == (classify(bytes([first, second])) is Protocol.RTP)
