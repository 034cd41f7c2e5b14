//! Reception statistics about one source; sender and receiver reports hold the same blocks.

use super::items::Item;
use crate::core::wire::rtp::be32;

const LOST_BITS: u32 = 24;

/// A report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// SSRC of the source.
    pub ssrc: u32,
    /// Share of packets lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// All packets lost; negative with duplicates.  Beyond 24 bits, the nearest value is written.
    pub lost: i32,
    /// The highest sequence number, extended by its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// LSR: the middle 32 bits of the NTP time of the newest sender report; 0 before the first.
    pub last_report: u32,
    /// DLSR: the time since that report came, in 1/65,536 s.
    pub delay: u32,
}

impl Item for ReportBlock {
    const SIZE: usize = 24;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            fraction_lost: bytes[4],
            lost: (be32(bytes, 4) << 8) as i32 >> 8,
            highest_sequence: be32(bytes, 8),
            jitter: be32(bytes, 12),
            last_report: be32(bytes, 16),
            delay: be32(bytes, 20),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let most = (1 << (LOST_BITS - 1)) - 1;
        let lost = self.lost.clamp(-most - 1, most) as u32 & ((1 << LOST_BITS) - 1);
        for word in [
            self.ssrc,
            u32::from(self.fraction_lost) << LOST_BITS | lost,
            self.highest_sequence,
            self.jitter,
            self.last_report,
            self.delay,
        ] {
            out.extend(word.to_be_bytes());
        }
    }
}
