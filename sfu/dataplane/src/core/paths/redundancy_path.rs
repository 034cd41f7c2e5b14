//! Redundant audio from publishers (RFC 2198): a packet that was lost is inside the next ones.

use crate::core::engine::Core;
use crate::core::keys::EncodingKey;
use crate::core::receive::packet::Opened;
use crate::core::wire::payload::parse_red_untrusted;
use crate::core::wire::rtp::Header;

/// The redundant blocks of one packet that may take the place of lost ones.  More would let a client that skips numbers
/// multiply its packets.
const MAX_RECOVERED: usize = 2;

impl Core {
    /// Take the packets before this one, if they were lost, out of its redundant blocks.
    ///
    /// The blocks have no numbers: the last of them is the packet before, as senders leave no block out.  Call it before
    /// this packet is forwarded, so that all leave in their order.
    pub(in crate::core) fn take_redundant_blocks_untrusted(&mut self, at: EncodingKey, packet: &Opened<'_>) {
        let producer = &self.producers[at.producer];
        if !producer.is_redundant(packet.header.payload_type) {
            return;
        }
        // The packet itself is refused later if it is malformed.
        let Some(parsed) = parse_red_untrusted(packet.body) else { return };
        let count = parsed.blocks.clone().count();
        for (place, block) in parsed.blocks.enumerate().skip(count.saturating_sub(MAX_RECOVERED)) {
            let age = (count - place) as u16;
            if block.offset == 0 || self.producers[at.producer].is_redundant(block.payload_type) {
                continue;
            }
            let header = Header {
                payload_type: block.payload_type,
                marker: false,
                sequence_number: packet.header.sequence_number.wrapping_sub(age),
                timestamp: packet.header.timestamp.wrapping_sub(u32::from(block.offset)),
                ..packet.header
            };
            // The header extension tells about the newest frame alone.  A block that nobody misses is the usual case.
            let recovered = Opened { header, elements: &[], body: block.payload, padding: &[], ..*packet };
            _ = self.take_recovered(at, &recovered);
        }
    }
}
