//! Full intra requests (RFC 5104 section 4.3.1): a receiver asks for key frames.

use super::items::{Item, Items, write_items};
use super::raw_packet::{BadPacket, FULL_INTRA, PAYLOAD_FEEDBACK, write_packet};
use crate::core::wire::rtp::be32;

/// A full intra request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullIntraRequest<'a> {
    /// SSRC of the receiver.
    pub sender_ssrc: u32,
    /// The requests, at least one.
    pub entries: Items<'a, FullIntraEntry>,
}

/// The request to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullIntraEntry {
    /// SSRC of the video.
    pub ssrc: u32,
    /// Rises with every new request; a request that is sent again keeps its number.
    pub sequence: u8,
}

impl Item for FullIntraEntry {
    const SIZE: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        Self { ssrc: be32(bytes, 0), sequence: bytes[4] }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.ssrc.to_be_bytes());
        out.extend([self.sequence, 0, 0, 0]);
    }
}

impl<'a> FullIntraRequest<'a> {
    pub(super) fn read_untrusted(sender_ssrc: u32, control: &'a [u8]) -> Result<Self, BadPacket> {
        Ok(Self { sender_ssrc, entries: Items::all_untrusted(control)? })
    }

    /// Append a request with these entries.  The SSRCs of the media stand in them alone (section 4.3.1.2).
    pub fn write(sender_ssrc: u32, entries: &[FullIntraEntry], out: &mut Vec<u8>) {
        write_packet(out, PAYLOAD_FEEDBACK, usize::from(FULL_INTRA), |out| {
            out.extend(sender_ssrc.to_be_bytes());
            out.extend([0; 4]);
            write_items(entries, out);
        });
    }
}
