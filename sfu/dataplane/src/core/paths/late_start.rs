//! A key frame whose beginning was lost, and came again.
//!
//! Consumers that wait for a key frame cannot begin with the rest of it.  When the beginning comes after all, the packets
//! behind it are still in the packet store.  So the consumers begin there, and get what is stored behind it.

use crate::core::engine::Core;
use crate::core::keys::EncodingKey;
use crate::core::paths::resend_path::read_again_untrusted;
use crate::core::receive::packet::Packet;

impl Core {
    /// Whether waiting consumers can begin with this packet although later ones came before it.
    ///
    /// A key frame begins in it, and everything behind it that came is stored.
    pub(super) fn can_begin_late(&self, at: EncodingKey, packet: &Packet) -> bool {
        let encoding = &self.producers[at.producer].encodings[at.index];
        let Some(store) = &encoding.store else { return false };
        !packet.newest
            && !packet.left_out
            && packet.frame.is_some_and(|frame| frame.key)
            && encoding.came_behind(packet.extended).all(|number| store.get(number).is_some())
    }

    /// Let waiting consumers begin with this packet.  [`Self::forward_stored`] must follow behind the packet.
    pub(super) fn start_late(&mut self, at: EncodingKey, packet: &Packet) {
        let encoding = &self.producers[at.producer].encodings[at.index];
        let next = encoding.came_behind(packet.extended).next();
        let next = next.and_then(|number| encoding.store.as_ref()?.get(number));
        // The packet would have come before the next one.  Timestamps are aligned by that time.
        let now = next.map_or(packet.now, |next| next.at);
        self.start_waiting_consumers(at, &Packet { now, ..*packet });
    }

    /// Send the packets behind a late key frame to the consumers that began with it: those behind `place` in `routes`.
    pub(super) fn forward_stored(&mut self, at: EncodingKey, packet: &Packet, place: usize) {
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        if encoding.routes.len() == place {
            return;
        }
        encoding.count_key_frame(packet.header.timestamp);
        // Take the store out of the core meanwhile, because the packets in it stay borrowed.
        let Some(store) = encoding.store.take() else { return };
        let numbers: Vec<i64> = encoding.came_behind(packet.extended).collect();
        let mut elements = Vec::new();
        for stored in numbers.iter().filter_map(|&number| store.get(number)) {
            self.serial += 1;
            let serial = self.serial;
            let producer = &self.producers[at.producer];
            let Some(again) = read_again_untrusted(producer, &stored, &mut elements, serial) else { continue };
            let (mut fanout, producer) = self.fanout(at, &again);
            for &key in &producer.encodings[at.index].routes[place..] {
                fanout.enqueue(key, &again, &mut producer.rewriters);
            }
        }
        self.producers[at.producer].encodings[at.index].store = Some(store);
    }
}
