//! Compound RTCP packets.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::core::wire::rtcp::{
    Application, FullIntraRequest, Goodbye, MaxBitrate, Nack, ReceiverReport, ReportBlock, RtcpPacket, SenderReport,
    SourceDescription, TransportFeedback, read_untrusted,
};

/// The work and the output are bounded by the input, and what is written again is read as it was.
pub fn try_untrusted(compound: &[u8]) {
    let mut packets = 0;
    for packet in read_untrusted(compound) {
        packets += 1;
        if let Ok(packet) = packet {
            check(&packet, compound.len());
        }
    }
    assert!(packets <= compound.len() / 4 + 1, "{packets} packets in {} bytes", compound.len());
}

fn check(packet: &RtcpPacket<'_>, size: usize) {
    let mut written = Vec::new();
    match packet {
        RtcpPacket::Nack(nack) => {
            assert!(nack.count() <= 17 * size / 4 && nack.count() == nack.numbers().count());
            let numbers: Vec<u16> = nack.numbers().collect();
            Nack::write(nack.sender_ssrc, nack.media_ssrc, &numbers, &mut written);
            let Some(Ok(RtcpPacket::Nack(again))) = read_untrusted(&written).next() else { panic!("{written:x?}") };
            assert!(again.numbers().collect::<BTreeSet<_>>() == numbers.into_iter().collect());
            return;
        }
        RtcpPacket::TransportFeedback(feedback) => return check_feedback(feedback),
        RtcpPacket::SourceDescription(names) => {
            assert!(names.cnames().count() <= size / 2);
            for (ssrc, name) in names.cnames() {
                SourceDescription::write(ssrc, name, &mut written);
            }
            let again = read_untrusted(&written).flat_map(|packet| match packet {
                Ok(RtcpPacket::SourceDescription(one)) => one.cnames().collect::<Vec<_>>(),
                _ => vec![],
            });
            assert!(written.is_empty() || again.eq(names.cnames()));
            return;
        }
        RtcpPacket::MaxBitrate(estimate) => {
            let ssrcs: Vec<u32> = estimate.ssrcs.iter().collect();
            MaxBitrate::write(estimate.sender_ssrc, estimate.bitrate, &ssrcs, &mut written);
            // A bitrate beyond 64 bits was read as the highest one, which is written rounded down.
            let Some(Ok(RtcpPacket::MaxBitrate(again))) = read_untrusted(&written).next() else { panic!("{packet:?}") };
            assert!(again.bitrate == estimate.bitrate || estimate.bitrate == u64::MAX);
            assert!(again.ssrcs == estimate.ssrcs);
            return;
        }
        RtcpPacket::SenderReport(report) => {
            report.info.write(&report.blocks.iter().collect::<Vec<_>>(), &mut written);
        }
        RtcpPacket::ReceiverReport(report) => {
            ReceiverReport::write(report.ssrc, &report.blocks.iter().collect::<Vec<_>>(), &mut written);
        }
        RtcpPacket::Goodbye(goodbye) => Goodbye::write(&goodbye.ssrcs.iter().collect::<Vec<_>>(), &mut written),
        RtcpPacket::Application(application) if application.data.len().is_multiple_of(4) => {
            application.write(&mut written)
        }
        RtcpPacket::Application(_) => return, // its padding was no whole word
        RtcpPacket::PictureLoss(loss) => loss.write(&mut written),
        RtcpPacket::FullIntraRequest(request) => {
            let entries: Vec<_> = request.entries.iter().collect();
            FullIntraRequest::write(request.sender_ssrc, &entries, &mut written);
            let Some(Ok(RtcpPacket::FullIntraRequest(again))) = read_untrusted(&written).next() else {
                panic!("{packet:?}")
            };
            assert!(again.entries.iter().eq(entries));
            return;
        }
    }
    assert_eq!(read_untrusted(&written).collect::<Vec<_>>(), [Ok(*packet)]);
}

/// Feedback covers as many numbers as it says, and can be written again where its times fit.
fn check_feedback(feedback: &TransportFeedback<'_>) {
    let arrivals: Vec<_> = feedback.arrivals().collect();
    assert_eq!(arrivals.len(), usize::from(feedback.count));
    assert!(arrivals.len() <= 4096);
    let times: Vec<_> = arrivals.iter().map(|(_, time)| *time).collect();
    let ssrcs = (feedback.sender_ssrc, feedback.media_ssrc);
    let mut written = Vec::new();
    let held = TransportFeedback::write(ssrcs, feedback.number, feedback.base_sequence, &times, &mut written);
    assert!(held <= times.len());
    let Some(Ok(RtcpPacket::TransportFeedback(again))) = read_untrusted(&written).next() else {
        panic!("{feedback:?} {written:x?}")
    };
    // The first time tells the reference, which has 24 bits.
    let first = times.iter().flatten().next().copied().unwrap_or(0).div_euclid(256);
    if (-0x80_0000..0x80_0000).contains(&first) {
        assert!(again.arrivals().eq(arrivals.into_iter().take(held)), "{feedback:?}");
    }
}

/// The packets that both readers know, in words; see [`super::describe`].
pub fn describe(compound: &[u8]) -> String {
    let words: Vec<_> = read_untrusted(compound).filter_map(Result::ok).flat_map(|one| describe_one(&one)).collect();
    words.join("; ")
}

fn describe_one(packet: &RtcpPacket<'_>) -> Vec<String> {
    vec![match packet {
        RtcpPacket::SenderReport(SenderReport { info, blocks }) => format!(
            "sender {} {} {} {} {}{}",
            info.ssrc,
            info.ntp,
            info.timestamp,
            info.packets,
            info.octets,
            describe_blocks(blocks.iter())
        ),
        RtcpPacket::ReceiverReport(report) => {
            format!("receiver {}{}", report.ssrc, describe_blocks(report.blocks.iter()))
        }
        RtcpPacket::SourceDescription(names) => {
            return names.cnames().map(|(ssrc, name)| format!("name {ssrc} {}", name.len())).collect();
        }
        RtcpPacket::Goodbye(goodbye) => format!("goodbye{}", list(goodbye.ssrcs.iter())),
        RtcpPacket::Application(Application { .. }) => return vec![],
        RtcpPacket::Nack(nack) => {
            format!("nack {} {}{}", nack.sender_ssrc, nack.media_ssrc, list(nack.numbers().map(u32::from)))
        }
        RtcpPacket::TransportFeedback(feedback) => {
            let mut words = format!("wide {} {} {}", feedback.sender_ssrc, feedback.media_ssrc, feedback.number);
            for (number, time) in feedback.arrivals() {
                let time = time.map_or("-".into(), |time| time.to_string());
                _ = write!(words, " {number}:{time}");
            }
            words
        }
        RtcpPacket::PictureLoss(loss) => format!("loss {} {}", loss.sender_ssrc, loss.media_ssrc),
        RtcpPacket::FullIntraRequest(request) => {
            let entries = request.entries.iter().map(|one| format!(" {}/{}", one.ssrc, one.sequence));
            format!("intra {}{}", request.sender_ssrc, entries.collect::<String>())
        }
        RtcpPacket::MaxBitrate(estimate) => {
            format!("bitrate {} {}{}", estimate.sender_ssrc, estimate.bitrate, list(estimate.ssrcs.iter()))
        }
    }]
}

fn list(numbers: impl Iterator<Item = u32>) -> String {
    numbers.map(|number| format!(" {number}")).collect()
}

fn describe_blocks(blocks: impl Iterator<Item = ReportBlock>) -> String {
    let describe = |block: ReportBlock| {
        let ReportBlock { ssrc, fraction_lost, lost, highest_sequence, jitter, last_report, delay } = block;
        format!(" [{ssrc} {fraction_lost} {lost} {highest_sequence} {jitter} {last_report} {delay}]")
    };
    blocks.map(describe).collect()
}
