//! Redundant audio from publishers (RFC 2198): a packet that was lost is inside the next ones.

use crate::core::engine::Core;
use crate::core::keys::EncodingKey;
use crate::core::receive::gap::Gap;
use crate::core::receive::packet::Opened;
use crate::core::wire::payload::{RedundantBlock, parse_red_untrusted};
use crate::core::wire::rtp::Header;

/// The most redundant blocks of one packet that may take the place of lost packets.  More would let a client that skips
/// numbers multiply its packets.
const MAX_RECOVERED: usize = 2;

impl Core {
    /// Take the packets of the gap before this one out of its redundant blocks.
    ///
    /// Call it before this packet is forwarded, so that all leave in their order.
    pub(in crate::core) fn take_redundant_blocks_untrusted(&mut self, at: EncodingKey, packet: &Opened<'_>, gap: Gap) {
        let producer = &self.producers[at.producer];
        if !producer.is_redundant(packet.header.payload_type) {
            return;
        }
        // The packet itself is refused later if it is malformed.
        let Some(parsed) = parse_red_untrusted(packet.body) else { return };
        let usable = |block: &RedundantBlock| gap.holds(block.offset) && !producer.is_redundant(block.payload_type);
        let (mut newest, mut known) = ([None; MAX_RECOVERED], 0);
        for block in parsed.blocks.filter(usable) {
            // The oldest stands first (RFC 2198 section 3).
            if newest[MAX_RECOVERED - 1].is_some_and(|before: RedundantBlock| before.offset <= block.offset) {
                return;
            }
            newest.rotate_left(1);
            newest[MAX_RECOVERED - 1] = Some(block);
            known += 1;
        }
        for (nth, block) in (1..=MAX_RECOVERED as i64).rev().zip(newest) {
            if let Some(block) = block
                && let Some(distance) = gap.distance(block.offset, nth, known)
            {
                self.take_block(at, packet, &block, distance);
            }
        }
    }

    /// Take in the frame of a block as the packet that came this many numbers before.
    fn take_block(&mut self, at: EncodingKey, packet: &Opened<'_>, block: &RedundantBlock<'_>, distance: i64) {
        let header = Header {
            payload_type: block.payload_type,
            marker: false,
            sequence_number: packet.header.sequence_number.wrapping_sub(distance as u16),
            timestamp: packet.header.timestamp.wrapping_sub(u32::from(block.offset)),
            ..packet.header
        };
        // The header extension tells about the newest frame alone.
        let recovered = Opened { header, elements: &[], body: block.payload, padding: &[], ..*packet };
        _ = self.take_recovered(at, &recovered);
    }
}
