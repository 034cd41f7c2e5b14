"""The peer's RTCP: bytes as the RFCs print them, round trips, and arbitrary input."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.light.wire import rtcp
from tools.light.wire.errors import BadPacket
from tools.light.wire.rtcp import (
    FullIntraRequest,
    FullIntraRequestEntry,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportWideFeedback,
)

BLOCK = ReportBlock(
    ssrc=0x01020304,
    fraction_lost=64,
    lost=-2,
    highest_sequence=0x0001FFFE,
    jitter=300,
    last_sr=0xAABBCCDD,
    delay_since_last_sr=65536,
)
BLOCK_BYTES = "01020304 40 fffffe 0001fffe 0000012c aabbccdd 00010000"

# Every kind of packet with its bytes, written by hand from RFC 3550, RFC 4585, RFC 5104 and the REMB draft.
EXAMPLES: list[tuple[RtcpPacket, str]] = [
    (
        SenderReport(0xCAFEBABE, ntp=0xE93C7F0080000000, rtp_timestamp=90000, packets=3, octets=3000),
        "80 c8 0006 cafebabe e93c7f00 80000000 00015f90 00000003 00000bb8",
    ),
    (
        SenderReport(1, ntp=2, rtp_timestamp=3, packets=4, octets=5, reports=(BLOCK,)),
        f"81 c8 000c 00000001 0000000000000002 00000003 00000004 00000005 {BLOCK_BYTES}",
    ),
    (ReceiverReport(0xCAFEBABE), "80 c9 0001 cafebabe"),
    (ReceiverReport(0xCAFEBABE, (BLOCK, BLOCK)), f"82 c9 000d cafebabe {BLOCK_BYTES} {BLOCK_BYTES}"),
    (SourceDescription(0xCAFEBABE, "ab"), "81 ca 0003 cafebabe 01 02 6162 00000000"),
    (SourceDescription(0xCAFEBABE, "abcde"), "81 ca 0003 cafebabe 01 05 6162636465 00"),
    (Goodbye((0xCAFEBABE, 0x01020304)), "82 cb 0002 cafebabe 01020304"),
    (
        Nack(0xCAFEBABE, 0x01020304, (0xFFFE, 0xFFFF, 0x0000, 0x000E, 0x000F)),
        "81 cd 0004 cafebabe 01020304 fffe 8003 000f 0000",
    ),
    (PictureLossIndication(0xCAFEBABE, 0x01020304), "81 ce 0002 cafebabe 01020304"),
    (
        FullIntraRequest(0xCAFEBABE, (FullIntraRequestEntry(0x01020304, 7),)),
        "84 ce 0004 cafebabe 00000000 01020304 07 000000",
    ),
    (
        ReceiverEstimatedMaximumBitrate(0xCAFEBABE, 1_000_000, (0x01020304,)),
        "8f ce 0005 cafebabe 00000000 52454d42 01 0bd090 01020304",
    ),
    (
        # A vector of seven statuses: small, missing, large, small, and three more that the count leaves out.
        TransportWideFeedback(0xCAFEBABE, 0x01020304, 0xFFFE, 7, 0x010203, (4, None, 260, 259 + 1)),
        "8f cd 0006 cafebabe 01020304 fffe 0004 010203 07 d240 04 0100 00 0000",
    ),
    (
        # A run of eight that are missing, then one that overtook the one before it.
        TransportWideFeedback(1, 2, 5, 255, 0xFFFFFF, (*[None] * 8, 100, 98)),
        "8f cd 0006 00000001 00000002 0005 000a ffffff ff 0008 d800 64 fffe 00",
    ),
]


@pytest.mark.parametrize(("packet", "hexadecimal"), EXAMPLES, ids=[type(packet).__name__ for packet, _ in EXAMPLES])
def test_a_packet_is_written_and_read_byte_for_byte(packet: RtcpPacket, hexadecimal: str) -> None:
    assert rtcp.encode([packet]) == bytes.fromhex(hexadecimal)
    assert rtcp.parse_untrusted(bytes.fromhex(hexadecimal)) == [packet]


def test_a_compound_packet_is_read_in_its_order() -> None:
    packets = [packet for packet, _ in EXAMPLES]
    assert rtcp.parse_untrusted(rtcp.encode(packets)) == packets


ssrcs = st.integers(0, 2**32 - 1)
words = st.integers(0, 2**32 - 1)
blocks = st.builds(
    ReportBlock, ssrcs, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), words, words, words, words
)
some_blocks = st.lists(blocks, max_size=3).map(tuple)
packets = st.one_of(
    st.builds(SenderReport, ssrcs, st.integers(0, 2**64 - 1), words, words, words, some_blocks),
    st.builds(ReceiverReport, ssrcs, some_blocks),
    st.builds(SourceDescription, ssrcs, st.text(max_size=60)),
    st.builds(Goodbye, st.lists(ssrcs, max_size=31).map(tuple)),
    st.builds(Nack, ssrcs, ssrcs, st.lists(st.integers(0, 0xFFFF), min_size=1, unique=True).map(sorted).map(tuple)),
    st.builds(PictureLossIndication, ssrcs, ssrcs),
    st.builds(
        TransportWideFeedback,
        ssrcs,
        ssrcs,
        st.integers(0, 0xFFFF),
        st.integers(0, 255),
        st.integers(0, 0xFFFFFF),
        st.lists(st.none() | st.integers(0, 30_000), max_size=60).map(tuple),
    ),
    st.builds(
        FullIntraRequest,
        ssrcs,
        st.lists(st.builds(FullIntraRequestEntry, ssrcs, st.integers(0, 255)), min_size=1, max_size=9).map(tuple),
    ),
    st.builds(
        ReceiverEstimatedMaximumBitrate, ssrcs, st.integers(0, 2**18 - 1), st.lists(ssrcs, max_size=9).map(tuple)
    ),
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(packets, min_size=1, max_size=3))
def test_what_was_written_is_read_back(written: list[RtcpPacket]) -> None:
    assert rtcp.parse_untrusted(rtcp.encode(written)) == written


def test_a_large_bitrate_is_rounded_down_to_18_bits() -> None:
    for bitrate in (2**18, 2_500_001, 30_000_000, 2**40 + 1):
        [read] = rtcp.parse_untrusted(rtcp.encode([ReceiverEstimatedMaximumBitrate(1, bitrate, ())]))
        assert isinstance(read, ReceiverEstimatedMaximumBitrate)
        assert bitrate * (1 - 2**-17) < read.bitrate <= bitrate


def test_more_than_31_blocks_are_split_over_reports() -> None:
    many = [ReportBlock(number, 0, 0, 0, 0) for number in range(70)]
    reports = rtcp.receiver_reports(9, many)
    assert [len(report.reports) for report in reports] == [31, 31, 8]
    assert [block.ssrc for report in reports for block in report.reports] == list(range(70))
    assert rtcp.parse_untrusted(rtcp.encode(reports)) == reports
    assert rtcp.receiver_reports(9, []) == [ReceiverReport(9)]
    assert len(rtcp.receiver_reports(9, many[:31])) == 1


@pytest.mark.parametrize(("lost", "written"), [(2**23, "7fffff"), (2**40, "7fffff"), (-(2**23) - 1, "800000")])
def test_a_loss_beyond_24_bits_is_written_as_the_nearest_value(lost: int, written: str) -> None:
    assert rtcp.encode([ReceiverReport(1, (ReportBlock(2, 0, lost, 0, 0),))])[13:16].hex() == written


@pytest.mark.parametrize(
    "packet",
    [
        PictureLossIndication(-1, 0),
        ReceiverReport(1, (BLOCK,) * 32),
        ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0),)),
        Goodbye((1,) * 32),
        SourceDescription(1, "x" * 256),
        ReceiverEstimatedMaximumBitrate(1, -1, ()),
        ReceiverEstimatedMaximumBitrate(1, 2**90, ()),
    ],
)
def test_the_writer_refuses_a_field_out_of_its_range(packet: RtcpPacket) -> None:
    with pytest.raises(ValueError):
        rtcp.encode([packet])


# Packets of other implementations


def test_unknown_types_and_formats_are_skipped() -> None:
    unknown = [
        "80 cc 0002 cafebabe 41424344",  # APP
        "80 cf 0001 cafebabe",  # extended reports
        "83 cd 0003 cafebabe 01020304 00010000",  # a request for a bitrate
        "8b cd 0004 cafebabe 01020304 00010001 00000000",  # feedback for congestion control (RFC 8888)
        "82 ce 0003 cafebabe 01020304 00000000",  # slice loss
        "8f ce 0003 cafebabe 00000000 58585858",  # application feedback that is no REMB
        "80 df 0000",  # not assigned
    ]
    compound = bytes.fromhex(" ".join([*unknown, "81 ce 0002 cafebabe 01020304", *unknown]))
    assert rtcp.parse_untrusted(compound) == [PictureLossIndication(0xCAFEBABE, 0x01020304)]


def test_reports_may_be_followed_by_extensions_of_a_profile() -> None:
    assert rtcp.parse_untrusted(bytes.fromhex("80 c9 0002 cafebabe 12345678")) == [ReceiverReport(0xCAFEBABE)]


def test_a_goodbye_may_give_its_reason_and_a_description_other_items() -> None:
    goodbye = bytes.fromhex("81 cb 0003 cafebabe 06 636c6f736564 00")
    assert rtcp.parse_untrusted(goodbye) == [Goodbye((0xCAFEBABE,))]
    described = bytes.fromhex("82 ca 0005 00000001 06 01 61 01 01 62 0000 00000002 01 01 63 00")
    assert rtcp.parse_untrusted(described) == [SourceDescription(1, "b"), SourceDescription(2, "c")]


def test_padding_is_not_taken_for_content() -> None:
    padded = bytes.fromhex("a1 cb 0003 cafebabe 00000000 00000008")
    assert rtcp.parse_untrusted(padded) == [Goodbye((0xCAFEBABE,))]
    only_padding = bytes.fromhex("a0 cb 0001 00000004")
    assert rtcp.parse_untrusted(only_padding) == [Goodbye(())]


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("", id="nothing"),
        pytest.param("81 ce 00", id="half a header"),
        pytest.param("81 ce 0002 cafebabe 010203", id="cut off"),
        pytest.param("41 ce 0002 cafebabe 01020304", id="version 1"),
        pytest.param("81 ce 0002 cafebabe 01020304 00", id="a byte too many"),
        pytest.param("81 ce 0001 cafebabe", id="feedback on nothing"),
        pytest.param("80 c8 0001 cafebabe", id="sender report without sender"),
        pytest.param(f"82 c9 0007 cafebabe {BLOCK_BYTES}", id="fewer blocks than counted"),
        pytest.param("80 c9 0000", id="receiver report of nobody"),
        pytest.param("82 cb 0001 cafebabe", id="fewer sources than counted"),
        pytest.param("a1 cb 0002 cafebabe 00000009", id="more padding than packet"),
        pytest.param("a1 cb 0002 cafebabe 00000000", id="padding of no length"),
        pytest.param("a0 cb 0000", id="padding without room"),
        pytest.param("81 ca 0002 cafebabe 01 09 6162", id="item over its end"),
        pytest.param("81 ca 0002 cafebabe 01 02 6162", id="items without end"),
        pytest.param("81 ca 0001 cafebabe", id="no items"),
        pytest.param("81 ca 0003 cafebabe 01 01 ff 00 00000000", id="CNAME not UTF-8"),
        pytest.param("81 cd 0002 cafebabe 01020304", id="NACK of nothing"),
        pytest.param("84 ce 0002 cafebabe 00000000", id="full intra request for nothing"),
        pytest.param("84 ce 0003 cafebabe 00000000 01020304", id="half an entry"),
        pytest.param("8f ce 0004 cafebabe 00000000 52454d42 01 0bd090", id="fewer SSRCs than counted"),
        pytest.param("8f ce 0003 cafebabe 00000000 52454d42", id="REMB without a bitrate"),
        pytest.param("8f cd 0005 00000001 00000002 0005 1001 00000100 3fff 3fff", id="feedback on 4,097 packets"),
        pytest.param("8f cd 0005 00000001 00000002 0005 0001 00000100 0000 2001", id="feedback with an empty run"),
    ],
)
def test_malformed_rtcp_is_refused(hexadecimal: str) -> None:
    with pytest.raises(BadPacket):
        rtcp.parse_untrusted(bytes.fromhex(hexadecimal))


def test_a_reserved_status_in_feedback_is_a_missing_packet() -> None:
    feedback = bytes.fromhex("8f cd 0005 00000001 00000002 0005 0003 00000107 dc00 04 00")
    assert rtcp.parse_untrusted(feedback) == [TransportWideFeedback(1, 2, 5, 7, 1, (4, None, None))]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 6), st.booleans())
def test_mutated_rtcp_raises_only_bad_packet(seed: int, changes: int, cut: bool) -> None:
    rng = random.Random(seed)
    chosen = rng.choices([packet for packet, _ in EXAMPLES], k=3)
    mutated = bytearray(rtcp.encode(chosen))
    for _ in range(changes):
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
    if cut:
        del mutated[rng.randrange(len(mutated)) :]
    with contextlib.suppress(BadPacket):
        rtcp.parse_untrusted(bytes(mutated))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]), st.integers(0, 63), st.binary(max_size=64))
def test_a_body_of_any_content_raises_only_bad_packet(packet_type: int, low: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    with contextlib.suppress(BadPacket):
        rtcp.parse_untrusted(bytes([0x80 | low, packet_type, 0, len(body) // 4]) + body)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("81 ca 0002 cafebabe 01 04 63 61", id="items over their end"),
        pytest.param("81 ca 0003 cafebabe 01 04 63 61 66 e9 00 00", id="CNAME not UTF-8"),
        pytest.param("82 cb 0001 cafebabe", id="fewer sources than counted"),
        pytest.param("a1 cb 0002 cafebabe 00000009", id="more padding than packet"),
        pytest.param("80 c8 0001 cafebabe", id="sender report without sender"),
        pytest.param("81 ce 0001 cafebabe", id="feedback on nothing"),
    ],
)
def test_one_bad_packet_of_a_compound_costs_itself_alone(bad: str) -> None:
    report, loss = ReceiverReport(0xCAFEBABE), PictureLossIndication(0xCAFEBABE, 0x01020304)
    faults: list[BadPacket] = []
    compound = rtcp.encode([report]) + bytes.fromhex(bad) + rtcp.encode([loss])
    assert rtcp.parse_untrusted(compound, faults) == [report, loss]
    assert len(faults) == 1


def test_packets_before_a_wrong_length_are_read() -> None:
    loss = PictureLossIndication(0xCAFEBABE, 0x01020304)
    faults: list[BadPacket] = []
    assert rtcp.parse_untrusted(rtcp.encode([loss]) + bytes.fromhex("81 ca 0009 cafebabe"), faults) == [loss]
    assert len(faults) == 1
