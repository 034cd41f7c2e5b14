//! The loss between us and a receiver, from its reports (RFC 3550 section 6.4.1).

use crate::core::wire::rtcp::ReportBlock;

/// Tells a receiver's own losses from those of the sender, whose packets never came to us.
///
/// A receiver sees a gap for both.  Our own counters show the second kind: numbers with which no packet left.  They
/// show a gap before the receiver reports it.  So a loss counts only once the difference is larger than ever before.
#[derive(Clone, Copy, Debug)]
pub struct LossReports {
    /// The losses in the newest report.
    lost: i32,
    /// The highest difference so far between all losses and the numbers without a packet.
    most: i32,
    /// The numbers before the first one, which nobody misses.
    skipped: i32,
    /// The packets that had left at the newest report.
    left: u32,
}

/// The packets that were lost on the way to a receiver, and not on the sender's way to us.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnLoss {
    /// Their share of the packets since the report before, 0 to 1.
    pub share: f64,
    /// Their number.
    pub lost: i32,
    /// The packets that have left since the report before.
    pub packets: u32,
}

impl LossReports {
    /// Before the first report about a stream that begins with this sequence number.
    pub fn new(first_sequence: u16) -> Self {
        Self { lost: 0, most: 0, skipped: i32::from(first_sequence) - 1, left: 0 }
    }

    /// What was lost on the way to the receiver since its last report.
    ///
    /// `highest` is the highest packet index so far, and `packets` have left.
    pub fn on_report_block(&mut self, block: &ReportBlock, highest: u64, packets: u64) -> OwnLoss {
        let unused = (highest.wrapping_sub(packets) as i32).wrapping_sub(self.skipped);
        let lost = block.lost.wrapping_sub(self.lost);
        let difference = block.lost.wrapping_sub(unused);
        let ours = difference.saturating_sub(self.most).min(lost);
        self.lost = block.lost;
        self.most = self.most.max(difference);
        let packets = (packets as u32).wrapping_sub(std::mem::replace(&mut self.left, packets as u32));
        if ours <= 0 {
            return OwnLoss { packets, ..OwnLoss::default() };
        }
        let share = f64::from(block.fraction_lost) / 256.0 * f64::from(ours) / f64::from(lost);
        OwnLoss { share, lost: ours, packets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fraction_lost: u8, lost: i32) -> ReportBlock {
        ReportBlock { fraction_lost, lost, ..ReportBlock::default() }
    }

    fn own(share: f64, lost: i32, packets: u32) -> OwnLoss {
        OwnLoss { share, lost, packets }
    }

    #[test]
    fn losses_of_the_sender_do_not_count() {
        let mut reports = LossReports::new(500);
        // 100 packets left, with the numbers from 500 on.
        assert_eq!(reports.on_report_block(&block(0, 0), 599, 100), own(0.0, 0, 100));
        // 20 more numbers, 10 of which never came to us.  The receiver lost 5 of the others.
        assert_eq!(reports.on_report_block(&block(192, 15), 619, 110), own(0.25, 5, 10));
        // 5 more numbers that never came.
        assert_eq!(reports.on_report_block(&block(128, 20), 629, 115), own(0.0, 0, 5));
        assert_eq!(reports.on_report_block(&block(64, 25), 649, 135), own(0.25, 5, 20));
    }

    #[test]
    fn a_gap_that_the_receiver_reports_later_is_not_its_loss() {
        let mut reports = LossReports::new(1);
        assert_eq!(reports.on_report_block(&block(0, 0), 100, 90), own(0.0, 0, 90));
        assert_eq!(reports.on_report_block(&block(25, 10), 200, 190), own(0.0, 0, 100));
        assert_eq!(reports.on_report_block(&block(3, 11), 300, 290), own(3.0 / 256.0, 1, 100));
    }

    #[test]
    fn duplicates_and_forged_counts_are_no_loss() {
        for (lost, highest, packets) in [(-5, 10, 10), (i32::MIN, 0, u64::MAX), (0, u64::MAX, 0)] {
            let own_loss = LossReports::new(1).on_report_block(&block(255, lost), highest, packets);
            assert_eq!((own_loss.share, own_loss.lost), (0.0, 0));
        }
        let mut reports = LossReports::new(1);
        for lost in [-0x80_0000, 0x7F_FFFF, i32::MIN, i32::MAX] {
            let share = reports.on_report_block(&block(255, lost), 10, 10).share;
            assert!((0.0..=1.0).contains(&share), "{lost}: {share}");
        }
    }
}
