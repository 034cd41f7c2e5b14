//! A key frame whose beginning was lost, and came again.
//!
//! Consumers that wait for a key frame cannot begin with the rest of it.  When the beginning comes after all, the packets
//! behind it are still in the packet store.  So the consumers begin there, and get what is stored behind it.

use crate::core::engine::Core;
use crate::core::keys::{ConsumerKey, EncodingKey};
use crate::core::paths::resend_path::read_again_untrusted;
use crate::core::receive::packet::Packet;

impl Core {
    /// Whether waiting consumers can begin with this packet although later ones came before it.
    ///
    /// A key frame begins in it, and everything behind it that came is stored.
    pub(super) fn can_begin_late(&mut self, at: EncodingKey, packet: &Packet) -> bool {
        if !begins_late(packet) || !self.somebody_waits_for(at, packet) {
            return false;
        }
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        if !encoding.may_begin_late(packet.now) {
            return false;
        }
        let Some(store) = &encoding.store else { return false };
        encoding.came_behind(packet.extended).all(|number| store.get(number).is_some())
    }

    /// Forward a late packet with new parameter sets for the newest key frame.
    ///
    /// Consumers that began with that key frame cannot get this packet in its place, and decode with older sets.  They
    /// begin anew: with this packet if it can be, else with another key frame.  A client that makes this happen too
    /// often only breaks its own pictures.
    pub(super) fn forward_late_sets(&mut self, at: EncodingKey, packet: &Packet) {
        let producer = &self.producers[at.producer];
        let owner = producer.transport;
        let began_without = |&key: &ConsumerKey| {
            let consumer = &self.consumers[key];
            consumer.target == Some(at.index) && consumer.began_behind(packet.extended)
        };
        let begin_anew: Vec<_> = producer.encodings[at.index].routes.iter().copied().filter(began_without).collect();
        if begin_anew.is_empty() || !self.transports[owner].failure_limit.take(packet.now) {
            return self.forward(at, packet);
        }
        for key in begin_anew {
            self.leave_route(key);
            self.consumers[key].reported = (None, None);
            self.await_target(key);
        }
        self.forward(at, packet);
        if self.somebody_waits_for(at, packet) {
            self.events.repair_failed(self.producers[at.producer].id, at.index, false);
        }
    }

    /// Count the key frame that begins in a late packet, unless a consumer that could have begun with it still waits for
    /// a key frame, also to take up spatial layers.
    ///
    /// The slow path would take the request of that consumer for answered.
    pub(super) fn count_late_key_frame(&mut self, at: EncodingKey, packet: &Packet) {
        if begins_late(packet) && !self.somebody_waits_for(at, packet) && !self.somebody_rises(at) {
            let encoding = &mut self.producers[at.producer].encodings[at.index];
            encoding.count_late_key_frame(packet.header.timestamp);
        }
    }

    /// Whether a consumer waits that could begin with this packet.
    fn somebody_waits_for(&self, at: EncodingKey, packet: &Packet) -> bool {
        let waiting = &self.producers[at.producer].encodings[at.index].waiting;
        waiting.iter().any(|&key| self.can_begin(key, packet))
    }

    /// Whether a consumer takes up spatial layers at the next key frame.
    fn somebody_rises(&self, at: EncodingKey) -> bool {
        let encoding = &self.producers[at.producer].encodings[at.index];
        let rises = |top| encoding.routes.iter().any(|&key| self.consumers[key].layers.rises(top));
        encoding.top.is_some_and(rises)
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
        // Take the store out of the core meanwhile, because the packets in it stay borrowed.
        let Some(store) = encoding.store.take() else { return };
        let numbers: Vec<i64> = encoding.came_behind(packet.extended).collect();
        let mut elements = Vec::new();
        for stored in numbers.iter().filter_map(|&number| store.get(number)) {
            self.serial += 1;
            let serial = self.serial;
            let producer = &self.producers[at.producer];
            let Some(again) = read_again_untrusted(producer, at.index, &stored, &mut elements, serial) else {
                continue;
            };
            let (mut fanout, producer) = self.fanout(at, &again);
            for &key in &producer.encodings[at.index].routes[place..] {
                fanout.enqueue(key, &again, &mut producer.rewriters);
            }
        }
        self.producers[at.producer].encodings[at.index].store = Some(store);
    }
}

/// Whether a key frame begins in this packet, and the packet came late.
fn begins_late(packet: &Packet) -> bool {
    !packet.newest && !packet.left_out && packet.frame.is_some_and(|frame| frame.key)
}
