//! Packets that an application defines (RFC 3550 section 6.7).

use super::raw_packet::{APPLICATION, BadPacket, write_packet};
use crate::core::wire::rtp::be32;

/// An application-defined packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application<'a> {
    /// 0–31, as the application likes.
    pub subtype: u8,
    /// SSRC of the source.
    pub ssrc: u32,
    /// Name of the application, in ASCII.
    pub name: [u8; 4],
    /// The data, in whole words of four bytes.
    pub data: &'a [u8],
}

impl<'a> Application<'a> {
    pub(super) fn read_untrusted(subtype: u8, body: &'a [u8]) -> Result<Self, BadPacket> {
        let (head, data) = body.split_at_checked(8).ok_or(BadPacket)?;
        Ok(Self { subtype, ssrc: be32(head, 0), name: be32(head, 4).to_be_bytes(), data })
    }

    /// Append it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_packet(out, APPLICATION, usize::from(self.subtype), |out| {
            out.extend(self.ssrc.to_be_bytes());
            out.extend(self.name);
            out.extend_from_slice(self.data);
        });
    }
}
