//! Probes: packets without new media, which measure how much the path to a receiver carries.
//!
//! They have the SSRC of the consumer's retransmissions, so they take no number of its media.

use crate::core::send::consumer::{Consumer, Rewritten, Stamp};
use crate::core::wire::extensions::ExtensionRewriter;

/// Bytes of padding in one packet: its last byte counts them (RFC 3550 section 5.1).
const PADDING: u8 = 255;

impl Consumer {
    /// Append a packet of padding alone.  `None` for a consumer that sends nothing again.
    pub fn write_padding(&mut self, rewriter: &ExtensionRewriter, out: &mut Vec<u8>) -> Option<Rewritten> {
        let (_, payload_type) = *self.rtx_types.first()?;
        let (ssrc, timestamp) = (self.rtx_ssrc?, self.timestamps.last);
        let index = self.resender()?.take_index();
        let start = out.len();
        let mut fixed = Stamp { payload_type, marker: false, number: index as u16, timestamp, ssrc }.fixed_header();
        fixed[0] |= 0x30;
        out.extend_from_slice(&fixed);
        rewriter.write_number(out);
        let header = out.len() - start;
        out.resize(start + header + usize::from(PADDING), 0);
        out[start + header + usize::from(PADDING) - 1] = PADDING;
        let number_at = fixed.len() + rewriter.number_alone_at();
        Some(Rewritten { index, header, timestamp, payload: 0, number_at })
    }

    /// The number of the producer's packet that was sent with this index; `None` if that was none of the producer's,
    /// or if it was sent before the consumer last began.
    pub fn incoming_of(&self, index: u64) -> Option<i64> {
        let filled = self.filled.as_ref().is_some_and(|filled| filled.contains(index));
        let own = filled || self.own_set(index).is_some();
        self.sequence.incoming(index as i64).filter(|_| self.sealed.contains(index) && !own)
    }
}
