//! The header that all RTCP packets share, and their padding (RFC 3550 section 6.4.1).

use crate::core::wire::rtp::{be16, be32};

// Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1).
pub const SENDER_REPORT: u8 = 200;
pub const RECEIVER_REPORT: u8 = 201;
pub const SOURCE_DESCRIPTION: u8 = 202;
pub const GOODBYE: u8 = 203;
pub const APPLICATION: u8 = 204;
pub const TRANSPORT_LAYER_FEEDBACK: u8 = 205;
pub const PAYLOAD_FEEDBACK: u8 = 206;

// Formats of feedback: they stand where other packets have their count (RFC 4585 section 6.1).
pub const GENERIC_NACK: u8 = 1;
pub const TRANSPORT_WIDE: u8 = 15;
pub const PICTURE_LOSS: u8 = 1;
pub const FULL_INTRA: u8 = 4;
pub const APPLICATION_LAYER: u8 = 15;

/// As many report blocks or sources as the five bits of one header can count.
pub const MAX_COUNT: usize = 31;

const HEADER_SIZE: usize = 4;
const VERSION: u8 = 0x80;
const PADDED: u8 = 0x20;
const COUNT: u8 = 0x1F;
const FEEDBACK_SIZE: usize = 8; // the two SSRCs of RFC 4585 section 6.1

/// A packet that contradicts itself: it holds less than it says, or an impossible value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPacket;

/// One packet, without its header and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPacket<'a> {
    pub packet_type: u8,
    /// The number of report blocks or sources, or the format of feedback.
    pub count: u8,
    pub body: &'a [u8],
}

/// Cut the first packet off a compound packet: the packet, and the bytes behind it.
///
/// The outer error says that the header cannot be trusted, the inner one that the padding is wrong.
pub fn take_packet_untrusted(compound: &[u8]) -> Result<(Result<RawPacket<'_>, BadPacket>, &[u8]), BadPacket> {
    let (header, rest) = compound.split_at_checked(HEADER_SIZE).ok_or(BadPacket)?;
    if header[0] & 0xC0 != VERSION {
        return Err(BadPacket);
    }
    let (body, behind) = rest.split_at_checked(4 * usize::from(be16(header, 2))).ok_or(BadPacket)?;
    let body = if header[0] & PADDED == 0 { Ok(body) } else { without_padding_untrusted(body) };
    Ok((body.map(|body| RawPacket { packet_type: header[1], count: header[0] & COUNT, body }), behind))
}

/// The last byte of padding counts its bytes, itself included.
fn without_padding_untrusted(body: &[u8]) -> Result<&[u8], BadPacket> {
    let padding = usize::from(*body.last().ok_or(BadPacket)?);
    if padding == 0 {
        return Err(BadPacket);
    }
    body.len().checked_sub(padding).map(|size| &body[..size]).ok_or(BadPacket)
}

/// The SSRC of the feedback's sender, that of the media that it is about, and the rest (RFC 4585 section 6.1).
pub fn split_feedback_untrusted(body: &[u8]) -> Result<(u32, u32, &[u8]), BadPacket> {
    let (ssrcs, control) = body.split_at_checked(FEEDBACK_SIZE).ok_or(BadPacket)?;
    Ok((be32(ssrcs, 0), be32(ssrcs, 4), control))
}

/// Append a packet whose body `write_body` appends, in whole words.  `count` is at most [`MAX_COUNT`].
pub fn write_packet(out: &mut Vec<u8>, packet_type: u8, count: usize, write_body: impl FnOnce(&mut Vec<u8>)) {
    assert!(count <= MAX_COUNT, "{count} reports or sources do not fit into one packet");
    let start = out.len();
    out.extend([VERSION | count as u8, packet_type, 0, 0]);
    write_body(out);
    let words = (out.len() - start) / 4 - 1;
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}
