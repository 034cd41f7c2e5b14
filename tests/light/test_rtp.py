"""RTP headers and header extensions, read and written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.light.wire.errors import BadPacket
from tools.light.wire.rtp import encode, encode_extensions, padding_size_untrusted, parse_header_untrusted


def packet(*, flags: int = 0x80, rest: bytes = b"") -> bytes:
    """Payload type 5 with the marker, sequence number 0x0102, timestamp 3, SSRC 4."""
    return bytes((flags, 0x85, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4)) + rest


def test_the_fixed_fields_are_read() -> None:
    header = parse_header_untrusted(packet(rest=b"payload"))
    assert header.marker
    assert not header.padding
    assert (header.payload_type, header.sequence_number, header.timestamp, header.ssrc) == (5, 0x0102, 3, 4)
    assert header.csrcs == b""
    assert header.extensions == ()
    assert header.size == 12


def test_contributing_sources_stand_before_the_extensions() -> None:
    header = parse_header_untrusted(packet(flags=0x92, rest=b"AAAABBBB\xbe\xde\x00\x01\x10x\x00\x00payload"))
    assert header.csrcs == b"AAAABBBB"
    assert list(header.extensions) == [(1, b"x")]
    assert header.size == 28


def test_one_byte_elements_are_read_around_their_filling() -> None:
    header = parse_header_untrusted(packet(flags=0x90, rest=b"\xbe\xde\x00\x03\x00\x10a\x00\x00\x21bc\x00\xe0d\x00"))
    assert list(header.extensions) == [(1, b"a"), (2, b"bc"), (14, b"d")]


@pytest.mark.parametrize("stop", [0xF0, 0xF3, 0x03])
def test_reserved_one_byte_ids_end_the_reading(stop: int) -> None:
    header = parse_header_untrusted(
        packet(flags=0x90, rest=b"\xbe\xde\x00\x02\x10a" + bytes((stop,)) + b"\x20b\x20c\x00")
    )
    assert list(header.extensions) == [(1, b"a")]


@pytest.mark.parametrize("profile", [0x1000, 0x100F])
def test_two_byte_elements_may_be_empty_or_long(profile: int) -> None:
    long = bytes(range(17))
    body = b"\x01\x00\x00\xff\x11" + long + b"\x00\x00"
    header = parse_header_untrusted(packet(flags=0x90, rest=profile.to_bytes(2) + b"\x00\x06" + body))
    assert list(header.extensions) == [(1, b""), (255, long)]


def test_an_extension_of_another_profile_is_skipped() -> None:
    header = parse_header_untrusted(packet(flags=0x90, rest=b"\xab\xcd\x00\x01\xff\xff\xff\xffpayload"))
    assert header.extensions == ()
    assert header.size == 20


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "shorter"),
        (packet()[:11], "shorter"),
        (packet(flags=0x40), "version"),
        (packet(flags=0x82, rest=b"AAAABBB"), "cut off"),
        (packet(flags=0x90, rest=b"\xbe\xde\x00"), "cut off"),
        (packet(flags=0x90, rest=b"\xbe\xde\x00\x02\x10a\x00\x00"), "cut off"),
    ],
)
def test_a_truncated_header_is_refused(datagram: bytes, why: str) -> None:
    with pytest.raises(BadPacket, match=why):
        parse_header_untrusted(datagram)


def test_padding_is_counted_by_the_last_byte() -> None:
    padded = encode(payload_type=5, sequence_number=1, timestamp=2, ssrc=3, payload=b"ab", padding=7)
    header = parse_header_untrusted(padded)
    assert padding_size_untrusted(padded, header) == 7
    plain = packet(rest=b"\x07")
    assert padding_size_untrusted(plain, parse_header_untrusted(plain)) == 0


@pytest.mark.parametrize("tail", [b"", b"ab\x00", b"ab\x04"])
def test_padding_that_is_not_there_is_refused(tail: bytes) -> None:
    padded = packet(flags=0xA0, rest=tail)
    with pytest.raises(BadPacket, match="padding"):
        padding_size_untrusted(padded, parse_header_untrusted(padded))


def test_extensions_are_written_in_the_one_byte_form_where_it_can_hold_them() -> None:
    assert encode_extensions([(1, b"a"), (14, b"bc")]) == b"\xbe\xde\x00\x02\x10a\xe1bc\x00\x00\x00"
    assert encode_extensions([(1, b"a"), (15, b"bc")]) == b"\x10\x00\x00\x02\x01\x01a\x0f\x02bc\x00"
    assert encode_extensions([(1, b"")]) == b"\x10\x00\x00\x01\x01\x00\x00\x00"


numbers_and_values = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=6)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15),
    extensions=numbers_and_values,
    payload=st.binary(max_size=20),
    padding=st.integers(0, 255),
)
def test_a_written_packet_is_read_back(
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    marker: bool,
    csrcs: list[int],
    extensions: list[tuple[int, bytes]],
    payload: bytes,
    padding: int,
) -> None:
    written = encode(
        payload_type=payload_type,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=9,
        payload=payload,
        marker=marker,
        csrcs=csrcs,
        extensions=extensions,
        padding=padding,
    )
    header = parse_header_untrusted(written)
    read = (header.payload_type, header.sequence_number, header.timestamp, header.marker, header.ssrc)
    assert read == (payload_type, sequence_number, timestamp, marker, 9)
    assert header.csrcs == b"".join(source.to_bytes(4) for source in csrcs)
    assert list(header.extensions) == extensions
    assert padding_size_untrusted(written, header) == padding
    assert written[header.size : len(written) - padding] == payload


@settings(derandomize=True, max_examples=300, deadline=None)
@given(flags=st.integers(0, 255), profile=st.sampled_from([b"\xbe\xde", b"\x10\x00", b"\x10\x05"]), rest=st.binary())
def test_any_bytes_are_a_header_or_a_bad_packet(flags: int, profile: bytes, rest: bytes) -> None:
    for datagram in (packet(flags=flags, rest=rest), packet(flags=0x90, rest=profile + b"\x00\x02" + rest), rest):
        try:
            header = parse_header_untrusted(datagram)
            padding_size_untrusted(datagram, header)
        except BadPacket:
            continue
        assert 12 <= header.size <= len(datagram)


@pytest.mark.parametrize(
    ("block", "before"),
    [
        (b"\xbe\xde\x00\x01\x10\x30\x5f\x01", [(1, b"0")]),
        (b"\xbe\xde\x00\x01\x13abc", []),
        (b"\x10\x00\x00\x01\x01\x03ab", []),
        (b"\x10\x00\x00\x01\x00\x00\x00\x01", []),
        (b"\x10\x00\x00\x01\x01\x01a\x05", [(1, b"a")]),
    ],
)
def test_an_extension_that_runs_over_its_block_ends_the_reading(block: bytes, before: list[tuple[int, bytes]]) -> None:
    header = parse_header_untrusted(packet(flags=0x90, rest=block + b"media"))
    assert (header.extensions, header.size) == (before, 20)
