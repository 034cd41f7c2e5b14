//! Sender reports (RFC 3550 section 6.4.1): the sender's clocks, and how much it has sent.

use super::items::{Items, write_items};
use super::raw_packet::{BadPacket, SENDER_REPORT, write_packet};
use super::report_block::ReportBlock;
use crate::core::wire::rtp::be32;

/// A sender report.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct SenderReport<'a> {
    pub info: SenderInfo,
    pub blocks: Items<'a, ReportBlock>,
}

/// The sender's information about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// SSRC of the stream.
    pub ssrc: u32,
    /// The sender's wall clock in the 64-bit NTP format (section 4); 0 if it has none.
    pub ntp: u64,
    /// The RTP timestamp of the same moment.
    pub timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

impl SenderInfo {
    const SIZE: usize = 24;

    /// Append a sender report with these blocks, at most 31.
    pub fn write(&self, blocks: &[ReportBlock], out: &mut Vec<u8>) {
        write_packet(out, SENDER_REPORT, blocks.len(), |out| {
            out.extend(self.ssrc.to_be_bytes());
            out.extend(self.ntp.to_be_bytes());
            write_items(&[self.timestamp, self.packets, self.octets], out);
            write_items(blocks, out);
        });
    }
}

impl<'a> SenderReport<'a> {
    pub(super) fn read_untrusted(count: u8, body: &'a [u8]) -> Result<Self, BadPacket> {
        let (info, rest) = body.split_at_checked(SenderInfo::SIZE).ok_or(BadPacket)?;
        let info = SenderInfo {
            ssrc: be32(info, 0),
            ntp: u64::from(be32(info, 4)) << 32 | u64::from(be32(info, 8)),
            timestamp: be32(info, 12),
            packets: be32(info, 16),
            octets: be32(info, 20),
        };
        Ok(Self { info, blocks: Items::first_untrusted(rest, usize::from(count))? })
    }
}
