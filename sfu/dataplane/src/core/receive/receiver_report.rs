//! Receiver reports to a publisher about its streams (RFC 3550 section 6.4.1).
//!
//! A client that gets none does not raise its bitrate.

use crate::core::receive::clock::middle;
use crate::core::receive::statistics::ReceiveStats;
use crate::core::wire::rtcp::{ReportBlock, SenderInfo};

const SHORT_SECOND: f64 = 65_536.0; // in the middle 32 bits of the NTP format

/// Makes the report blocks about one stream from its statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiverReporter {
    /// NTP time of the newest sender report, and when it came in seconds.
    sender_report: Option<(u64, f64)>,
    expected_before: i64,
    lost_before: i64,
}

impl ReceiverReporter {
    /// A sender report about the stream came at `now` (seconds).
    pub fn on_sender_report(&mut self, info: &SenderInfo, now: f64) {
        self.sender_report = Some((info.ntp, now));
    }

    /// The next block about this stream; `None` before its first packet.
    pub fn next_block(&mut self, ssrc: u32, stats: &ReceiveStats, now: f64) -> Option<ReportBlock> {
        if stats.packets == 0 {
            return None;
        }
        let (last_report, delay) = self
            .sender_report
            .map_or((0, 0), |(ntp, came_at)| (middle(ntp), ((now - came_at) * SHORT_SECOND).round() as u32));
        Some(ReportBlock {
            ssrc,
            fraction_lost: self.fraction_lost(stats.expected(), stats.lost()),
            lost: stats.lost().clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            highest_sequence: stats.highest_sequence as u32,
            jitter: stats.jitter() as u32,
            last_report,
            delay,
        })
    }

    /// The share of packets lost since the block before, in 1/256 (appendix A.3).
    fn fraction_lost(&mut self, expected: i64, lost: i64) -> u8 {
        let (expected_now, lost_now) = (expected - self.expected_before, lost - self.lost_before);
        (self.expected_before, self.lost_before) = (expected, lost);
        // Late packets and duplicates can make it negative; report no loss then.
        if expected_now > 0 && lost_now > 0 { (lost_now * 256 / expected_now).min(255) as u8 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statistics of a stream of which these packets came.
    fn stats(sequence_numbers: &[i64]) -> ReceiveStats {
        let mut stats = ReceiveStats::new(48_000);
        for &number in sequence_numbers {
            stats.on_packet(number as u16, number as u32 * 960, 100, number as f64 * 0.02);
        }
        stats
    }

    #[test]
    fn a_stream_without_packets_is_not_reported() {
        assert_eq!(ReceiverReporter::default().next_block(1, &stats(&[]), 1.0), None);
    }

    #[test]
    fn losses_are_reported_once_and_late_packets_give_no_negative_fraction() {
        let mut reporter = ReceiverReporter::default();
        let first = reporter.next_block(7, &stats(&[65_534, 65_535, 65_537, 65_538]), 1.0).unwrap();
        assert_eq!((first.ssrc, first.lost, first.fraction_lost, first.highest_sequence), (7, 1, 51, 65_538));
        let second = reporter.next_block(7, &stats(&[65_534, 65_535, 65_537, 65_538, 65_536]), 2.0).unwrap();
        assert_eq!((second.lost, second.fraction_lost), (0, 0));
    }

    #[test]
    fn the_highest_fraction_is_255_of_256() {
        let mut reporter = ReceiverReporter::default();
        reporter.next_block(7, &stats(&[1]), 1.0);
        assert_eq!(reporter.next_block(7, &stats(&[1, 2_900]), 2.0).unwrap().fraction_lost, 255);
    }

    #[test]
    fn a_block_names_the_newest_sender_report_and_its_age() {
        let mut reporter = ReceiverReporter::default();
        let stats = stats(&[1]);
        let first = reporter.next_block(7, &stats, 1.0).unwrap();
        assert_eq!((first.last_report, first.delay), (0, 0));
        reporter.on_sender_report(&SenderInfo { ntp: 1, ..SenderInfo::default() }, 9.0);
        reporter.on_sender_report(&SenderInfo { ntp: 0x1234_5678_9ABC_DEF0, ..SenderInfo::default() }, 10.0);
        let second = reporter.next_block(7, &stats, 10.5).unwrap();
        assert_eq!((second.last_report, second.delay), (0x5678_9ABC, 32_768));
        let ages_later = reporter.next_block(7, &stats, 1e9).unwrap();
        assert_eq!(ages_later.delay, u32::MAX);
    }
}
