//! Receiver reports (RFC 3550 section 6.4.2): reception statistics from a participant that sends no media.

use super::items::{Items, write_items};
use super::raw_packet::{BadPacket, RECEIVER_REPORT, write_packet};
use super::report_block::ReportBlock;
use crate::core::wire::rtp::be32;

/// A receiver report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceiverReport<'a> {
    /// SSRC of the receiver.
    pub ssrc: u32,
    /// One for each source that it receives.
    pub blocks: Items<'a, ReportBlock>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn read_untrusted(count: u8, body: &'a [u8]) -> Result<Self, BadPacket> {
        let (ssrc, rest) = body.split_at_checked(4).ok_or(BadPacket)?;
        Ok(Self { ssrc: be32(ssrc, 0), blocks: Items::first_untrusted(rest, usize::from(count))? })
    }

    /// Append a report of this receiver with these blocks, at most 31.
    pub fn write(ssrc: u32, blocks: &[ReportBlock], out: &mut Vec<u8>) {
        write_packet(out, RECEIVER_REPORT, blocks.len(), |out| {
            out.extend(ssrc.to_be_bytes());
            write_items(blocks, out);
        });
    }
}
