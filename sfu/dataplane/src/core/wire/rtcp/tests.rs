//! Every packet is written byte for byte as the RFCs say, and read without trust.

use proptest::prelude::*;

use super::*;
use crate::core::wire::hex::hex;

const SENDER: u32 = 0xCAFE_BABE;
const MEDIA: u32 = 0x0102_0304;
const BLOCK: ReportBlock = ReportBlock {
    ssrc: MEDIA,
    fraction_lost: 64,
    lost: -2,
    highest_sequence: 0x0001_FFFE,
    jitter: 300,
    last_report: 0xAABB_CCDD,
    delay: 65536,
};
const BLOCK_BYTES: &str = "01020304 40 fffffe 0001fffe 0000012c aabbccdd 00010000";

/// A packet as its writer wants it, to compare with what was read.
#[derive(Clone, Debug, PartialEq)]
enum Written {
    SenderReport(SenderInfo, Vec<ReportBlock>),
    ReceiverReport(u32, Vec<ReportBlock>),
    SourceDescription(Vec<(u32, String)>),
    Goodbye(Vec<u32>),
    Application(u8, u32, [u8; 4], Vec<u8>),
    Nack(u32, u32, Vec<u16>),
    TransportFeedback(u32, u32, u8, u16, Vec<Option<i64>>),
    PictureLoss(PictureLoss),
    FullIntraRequest(u32, Vec<FullIntraEntry>),
    MaxBitrate(u32, u64, Vec<u32>),
}

impl Written {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::SenderReport(info, blocks) => info.write(blocks, out),
            Self::ReceiverReport(ssrc, blocks) => ReceiverReport::write(*ssrc, blocks, out),
            Self::SourceDescription(names) => SourceDescription::write(names[0].0, &names[0].1, out),
            Self::Goodbye(ssrcs) => Goodbye::write(ssrcs, out),
            &Self::Application(subtype, ssrc, name, ref data) => Application { subtype, ssrc, name, data }.write(out),
            Self::Nack(sender, media, numbers) => Nack::write(*sender, *media, numbers, out),
            Self::TransportFeedback(sender, media, number, base, arrivals) => {
                assert_eq!(TransportFeedback::write((*sender, *media), *number, *base, arrivals, out), arrivals.len());
            }
            Self::PictureLoss(loss) => loss.write(out),
            Self::FullIntraRequest(sender, entries) => FullIntraRequest::write(*sender, entries, out),
            Self::MaxBitrate(sender, bitrate, ssrcs) => MaxBitrate::write(*sender, *bitrate, ssrcs, out),
        }
    }

    fn of(packet: RtcpPacket<'_>) -> Self {
        match packet {
            RtcpPacket::SenderReport(report) => Self::SenderReport(report.info, report.blocks.iter().collect()),
            RtcpPacket::ReceiverReport(report) => Self::ReceiverReport(report.ssrc, report.blocks.iter().collect()),
            RtcpPacket::SourceDescription(description) => {
                Self::SourceDescription(description.cnames().map(|(ssrc, name)| (ssrc, name.into())).collect())
            }
            RtcpPacket::Goodbye(goodbye) => Self::Goodbye(goodbye.ssrcs.iter().collect()),
            RtcpPacket::Application(Application { subtype, ssrc, name, data }) => {
                Self::Application(subtype, ssrc, name, data.to_vec())
            }
            RtcpPacket::Nack(nack) => Self::Nack(nack.sender_ssrc, nack.media_ssrc, nack.numbers().collect()),
            RtcpPacket::TransportFeedback(feedback) => Self::TransportFeedback(
                feedback.sender_ssrc,
                feedback.media_ssrc,
                feedback.number,
                feedback.base_sequence,
                feedback.arrivals().map(|(_, arrival)| arrival).collect(),
            ),
            RtcpPacket::PictureLoss(loss) => Self::PictureLoss(loss),
            RtcpPacket::FullIntraRequest(request) => {
                Self::FullIntraRequest(request.sender_ssrc, request.entries.iter().collect())
            }
            RtcpPacket::MaxBitrate(estimate) => {
                Self::MaxBitrate(estimate.sender_ssrc, estimate.bitrate, estimate.ssrcs.iter().collect())
            }
        }
    }
}

fn write(packets: &[Written]) -> Vec<u8> {
    let mut out = Vec::new();
    packets.iter().for_each(|packet| packet.write(&mut out));
    out
}

/// The packets that were read, and how many were bad.
fn read(compound: &[u8]) -> (Vec<Written>, usize) {
    let all: Vec<_> = read_untrusted(compound).collect();
    let bad = all.iter().filter(|packet| packet.is_err()).count();
    (all.into_iter().flatten().map(Written::of).collect(), bad)
}

/// Every kind of packet, and its bytes put down by hand from the RFCs and drafts.
fn examples() -> Vec<(Written, String)> {
    let info = SenderInfo { ssrc: SENDER, ntp: 0xE93C_7F00_8000_0000, timestamp: 90000, packets: 3, octets: 3000 };
    let small = SenderInfo { ssrc: 1, ntp: 2, timestamp: 3, packets: 4, octets: 5 };
    let (loss, entry) =
        (PictureLoss { sender_ssrc: SENDER, media_ssrc: MEDIA }, FullIntraEntry { ssrc: MEDIA, sequence: 7 });
    let pairs: Vec<(Written, &str)> = vec![
        (Written::SenderReport(info, vec![]), "80 c8 0006 cafebabe e93c7f00 80000000 00015f90 00000003 00000bb8"),
        (
            Written::SenderReport(small, vec![BLOCK]),
            "81 c8 000c 00000001 0000000000000002 00000003 00000004 00000005 BLOCK",
        ),
        (Written::ReceiverReport(SENDER, vec![]), "80 c9 0001 cafebabe"),
        (Written::ReceiverReport(SENDER, vec![BLOCK; 2]), "82 c9 000d cafebabe BLOCK BLOCK"),
        (Written::SourceDescription(vec![(SENDER, "ab".into())]), "81 ca 0003 cafebabe 01 02 6162 00000000"),
        (Written::SourceDescription(vec![(SENDER, "abcde".into())]), "81 ca 0003 cafebabe 01 05 6162636465 00"),
        (Written::Goodbye(vec![SENDER, MEDIA]), "82 cb 0002 cafebabe 01020304"),
        (Written::Application(3, SENDER, *b"name", b"data".to_vec()), "83 cc 0003 cafebabe 6e616d65 64617461"),
        (Written::Nack(SENDER, MEDIA, vec![0xFFFF, 0, 3, 15, 16]), "81 cd 0004 cafebabe 01020304 ffff 8009 0010 0000"),
        (
            // Reference 2 (of 64 ms); a vector of seven: small, large, missing, small; the last three are not counted.
            Written::TransportFeedback(SENDER, MEDIA, 9, 0xFFFE, vec![Some(513), Some(500), None, Some(755)]),
            "8f cd 0006 cafebabe 01020304 fffe 0004 000002 09 d840 01 fff3 ff 0000",
        ),
        (Written::PictureLoss(loss), "81 ce 0002 cafebabe 01020304"),
        (Written::FullIntraRequest(SENDER, vec![entry]), "84 ce 0004 cafebabe 00000000 01020304 07 000000"),
        (
            Written::MaxBitrate(SENDER, 1_000_000, vec![MEDIA]),
            "8f ce 0005 cafebabe 00000000 52454d42 01 0bd090 01020304",
        ),
    ];
    pairs.into_iter().map(|(packet, bytes)| (packet, bytes.replace("BLOCK", BLOCK_BYTES))).collect()
}

#[test]
fn a_packet_is_written_and_read_byte_for_byte() {
    for (packet, bytes) in examples() {
        assert_eq!(write(std::slice::from_ref(&packet)), hex(&bytes), "{packet:?}");
        assert_eq!(read(&hex(&bytes)), (vec![packet], 0));
    }
}

#[test]
fn a_compound_packet_is_read_in_its_order() {
    let packets: Vec<_> = examples().into_iter().map(|(packet, _)| packet).collect();
    assert_eq!(read(&write(&packets)), (packets, 0));
}

#[test]
fn a_large_bitrate_is_rounded_down_to_18_bits() {
    for (bitrate, written) in [(1 << 18, 1 << 18), (2_500_001, 2_500_000), (u64::MAX, u64::MAX >> 46 << 46)] {
        let (packets, _) = read(&write(&[Written::MaxBitrate(1, bitrate, vec![])]));
        assert_eq!(packets, [Written::MaxBitrate(1, written, vec![])]);
    }
    let (packets, _) = read(&hex("8f ce 0004 cafebabe 00000000 52454d42 00 ffffff"));
    assert_eq!(packets, [Written::MaxBitrate(SENDER, u64::MAX, vec![])]);
    let (packets, _) = read(&hex("8f ce 0004 cafebabe 00000000 52454d42 00 fc0000"));
    assert_eq!(packets, [Written::MaxBitrate(SENDER, 0, vec![])]);
}

#[test]
fn losses_beyond_24_bits_are_written_as_the_nearest_value() {
    for (lost, written) in [(1 << 23, "7fffff"), (i32::MAX, "7fffff"), (-(1 << 23) - 1, "800000")] {
        let bytes = write(&[Written::ReceiverReport(1, vec![ReportBlock { lost, ..BLOCK }])]);
        assert_eq!(bytes[13..16], hex(written));
    }
}

#[test]
fn a_name_of_more_than_255_bytes_loses_whole_characters() {
    let name = "é".repeat(200);
    let (packets, bad) = read(&write(&[Written::SourceDescription(vec![(1, name)])]));
    assert_eq!((packets, bad), (vec![Written::SourceDescription(vec![(1, "é".repeat(127))])], 0));
}

#[test]
#[should_panic(expected = "32 reports or sources do not fit into one packet")]
fn more_blocks_than_a_header_can_count_are_a_bug_of_the_caller() {
    ReceiverReport::write(1, &[BLOCK; 32], &mut Vec::new());
}

#[test]
fn arrivals_too_far_apart_for_one_feedback_are_left_for_the_next() {
    let arrivals = [Some(0), None, Some(32_767), Some(65_535), Some(65_536)];
    let mut out = Vec::new();
    assert_eq!(TransportFeedback::write((1, 2), 0, 7, &arrivals, &mut out), 3);
    assert_eq!(read(&out), (vec![Written::TransportFeedback(1, 2, 0, 7, arrivals[..3].to_vec())], 0));
}

// Packets that other implementations send.

#[test]
fn unknown_types_and_formats_are_skipped() {
    let unknown = "80 cf 0001 cafebabe 82 ce 0003 cafebabe 01020304 00000000 \
                   8f ce 0003 cafebabe 00000000 58585858 83 cd 0001 cafebabe 80 df 0000";
    let loss = Written::PictureLoss(PictureLoss { sender_ssrc: SENDER, media_ssrc: MEDIA });
    assert_eq!(read(&hex(&format!("{unknown} 81 ce 0002 cafebabe 01020304 {unknown}"))), (vec![loss], 0));
    assert_eq!(read(&hex(unknown)), (vec![], 0));
}

#[test]
fn extensions_behind_a_report_a_goodbye_or_a_name_are_skipped() {
    let report = Written::ReceiverReport(SENDER, vec![]);
    assert_eq!(read(&hex("80 c9 0002 cafebabe 12345678")), (vec![report], 0));
    let reason = hex("81 cb 0003 cafebabe 06 636c6f736564 00");
    assert_eq!(read(&reason), (vec![Written::Goodbye(vec![SENDER])], 0));
    let items = hex("82 ca 0005 00000001 06 01 61 01 01 62 0000 00000002 01 01 63 00");
    assert_eq!(read(&items), (vec![Written::SourceDescription(vec![(1, "b".into()), (2, "c".into())])], 0));
}

#[test]
fn padding_is_not_read_as_content() {
    assert_eq!(read(&hex("a1 cb 0003 cafebabe 00000000 00000008")), (vec![Written::Goodbye(vec![SENDER])], 0));
    assert_eq!(read(&hex("a0 cb 0001 00000004")), (vec![Written::Goodbye(vec![])], 0));
}

/// The fault of each packet, and its bytes.
const BAD: [(&str, &str); 25] = [
    ("nothing", ""),
    ("half a header", "81 ce 00"),
    ("cut off", "81 ce 0002 cafebabe 010203"),
    ("version 1", "41 ce 0002 cafebabe 01020304"),
    ("feedback on nothing", "81 ce 0001 cafebabe"),
    ("sender report without sender", "80 c8 0001 cafebabe"),
    ("fewer blocks than counted", "82 c9 0007 cafebabe BLOCK"),
    ("receiver report of nobody", "80 c9 0000"),
    ("fewer sources than counted", "82 cb 0001 cafebabe"),
    ("more padding than packet", "a1 cb 0002 cafebabe 00000009"),
    ("padding of no length", "a1 cb 0002 cafebabe 00000000"),
    ("padding without room", "a0 cb 0000"),
    ("padding of an unknown type that is wrong", "a0 df 0001 00000005"),
    ("item over its end", "81 ca 0002 cafebabe 01 09 6162"),
    ("items without end", "81 ca 0002 cafebabe 01 02 6162"),
    ("no items", "81 ca 0001 cafebabe"),
    ("CNAME that is not UTF-8", "81 ca 0003 cafebabe 01 01 ff 00 00000000"),
    ("full intra request for nothing", "84 ce 0002 cafebabe 00000000"),
    ("half an entry", "84 ce 0003 cafebabe 00000000 01020304"),
    ("fewer SSRCs than counted", "8f ce 0004 cafebabe 00000000 52454d42 01 0bd090"),
    ("REMB without a bitrate", "8f ce 0003 cafebabe 00000000 52454d42"),
    ("NACK of nothing", "81 cd 0002 cafebabe 01020304"),
    ("transport feedback without chunks", "8f cd 0004 cafebabe 01020304 fffe 0004 000002 09"),
    ("transport feedback whose runs are empty", "8f cd 0005 cafebabe 01020304 fffe 0004 000002 09 2000 2000"),
    ("transport feedback without deltas", "8f cd 0005 cafebabe 01020304 fffe 0004 000002 09 2004 0101"),
];

#[test]
fn a_packet_that_contradicts_itself_is_bad() {
    for (what, bytes) in BAD {
        assert_eq!(read(&hex(&bytes.replace("BLOCK", BLOCK_BYTES))), (vec![], 1), "{what}");
    }
    let report = Written::PictureLoss(PictureLoss { sender_ssrc: SENDER, media_ssrc: MEDIA });
    assert_eq!(read(&hex("81 ce 0002 cafebabe 01020304 00")), (vec![report], 1), "a byte too many");
}

#[test]
fn a_bad_packet_of_a_compound_costs_itself_alone() {
    let packets = [Written::ReceiverReport(SENDER, vec![BLOCK]), Written::Goodbye(vec![MEDIA])];
    for (what, bytes) in &BAD[4..] {
        let (before, bad) = (write(&packets[..1]), hex(&bytes.replace("BLOCK", BLOCK_BYTES)));
        assert_eq!(read(&[before, bad, write(&packets[1..])].concat()), (packets.to_vec(), 1), "{what}");
    }
}

#[test]
fn a_wrong_length_costs_everything_behind_it() {
    let loss = Written::PictureLoss(PictureLoss { sender_ssrc: SENDER, media_ssrc: MEDIA });
    let compound = [write(std::slice::from_ref(&loss)), hex("81 ca 0009 cafebabe")].concat();
    assert_eq!(read(&compound), (vec![loss], 1));
}

fn any_block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -(1 << 23)..1 << 23).prop_map(|(words, fraction_lost, lost)| {
        let [ssrc, highest_sequence, jitter, last_report, delay] = words;
        ReportBlock { ssrc, fraction_lost, lost, highest_sequence, jitter, last_report, delay }
    })
}

/// Arrivals that one feedback can hold, of which at least one came.
fn any_arrivals() -> impl Strategy<Value = Vec<Option<i64>>> {
    let steps = prop::collection::vec(prop::option::weighted(0.7, prop_oneof![0..256i64, -32768..32768i64]), 0..90);
    (0..1i64 << 31, steps).prop_map(|(start, steps)| {
        let mut time = start;
        let arrivals = steps.into_iter().map(|step| {
            time = (time + step?).max(0);
            Some(time)
        });
        std::iter::once(Some(start)).chain(arrivals).collect()
    })
}

fn any_packet() -> impl Strategy<Value = Written> {
    let blocks = || prop::collection::vec(any_block(), 0..4);
    let ssrcs = |most| prop::collection::vec(any::<u32>(), 0..=most);
    let info = (any::<[u32; 4]>(), any::<u64>()).prop_map(|([ssrc, timestamp, packets, octets], ntp)| SenderInfo {
        ssrc,
        ntp,
        timestamp,
        packets,
        octets,
    });
    let entry = (any::<u32>(), any::<u8>()).prop_map(|(ssrc, sequence)| FullIntraEntry { ssrc, sequence });
    let missing = prop::collection::btree_set(any::<u16>(), 1..40).prop_map(|numbers| numbers.into_iter().collect());
    prop_oneof![
        (info, blocks()).prop_map(|(info, blocks)| Written::SenderReport(info, blocks)),
        (any::<u32>(), blocks()).prop_map(|(ssrc, blocks)| Written::ReceiverReport(ssrc, blocks)),
        (any::<u32>(), "\\PC{0,60}").prop_map(|(ssrc, name)| Written::SourceDescription(vec![(ssrc, name)])),
        ssrcs(31).prop_map(Written::Goodbye),
        (0..32u8, any::<u32>(), any::<[u8; 4]>(), 0..9usize)
            .prop_map(|(subtype, ssrc, name, words)| Written::Application(subtype, ssrc, name, vec![7; 4 * words])),
        (any::<u32>(), any::<u32>(), missing)
            .prop_map(|(sender, media, numbers)| Written::Nack(sender, media, numbers)),
        (any::<(u32, u32, u8, u16)>(), any_arrivals()).prop_map(|((sender, media, number, base), arrivals)| {
            Written::TransportFeedback(sender, media, number, base, arrivals)
        }),
        (any::<u32>(), any::<u32>())
            .prop_map(|(sender_ssrc, media_ssrc)| Written::PictureLoss(PictureLoss { sender_ssrc, media_ssrc })),
        (any::<u32>(), prop::collection::vec(entry, 1..9))
            .prop_map(|(sender, entries)| Written::FullIntraRequest(sender, entries)),
        (any::<u32>(), 0..1u64 << 18, ssrcs(9))
            .prop_map(|(sender, bitrate, ssrcs)| Written::MaxBitrate(sender, bitrate, ssrcs)),
    ]
}

proptest! {
    #[test]
    fn every_written_packet_is_read_back(packets in prop::collection::vec(any_packet(), 1..4)) {
        prop_assert_eq!(read(&write(&packets)), (packets, 0));
    }

    #[test]
    fn arbitrary_bytes_are_read_to_their_end(compound in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&compound);
    }

    #[test]
    fn an_arbitrary_body_is_read_to_its_end(
        packet_type in 199..208u8,
        low in 0..64u8,
        words in prop::collection::vec(any::<[u8; 4]>(), 0..20),
    ) {
        read(&[&[0x80 | low, packet_type, 0, words.len() as u8][..], words.as_flattened()].concat());
    }

    #[test]
    fn a_changed_or_truncated_packet_is_read_to_its_end(
        packets in prop::collection::vec(any_packet(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        size in any::<prop::sample::Index>(),
    ) {
        let mut compound = write(&packets);
        for (place, value) in changes {
            let place = place.index(compound.len());
            compound[place] = value;
        }
        read(&compound[..size.index(compound.len() + 1)]);
    }
}
