//! The packet stores: which encodings have one, and how much memory all of them take.

use crate::core::engine::Core;
use crate::core::keys::{ConsumerKey, EncodingKey, ProducerKey};
use crate::core::receive::packet::Packet;
use crate::core::receive::packet_store::PacketStore;
use crate::core::send::receiver_bandwidth::Room;
use crate::core::wire::rtp::be16;

/// Bytes of memory that the packet stores of one plane may take.
pub const MAX_MEMORY: usize = 64 * 1024 * 1024;
/// When fewer bytes than this are left, the stores of silent encodings are dropped.
const SCARCE: usize = MAX_MEMORY / 8;
/// Seconds from one look at all stores to the next.
const SWEEP_INTERVAL: f64 = 1.0;

impl Core {
    /// Keep a copy of the packet, if a receiver may ask for it again.
    ///
    /// An encoding that no consumer gets or awaits keeps nothing, and forgets its packets.  A packet that came inside
    /// another one is not kept: only audio comes in this way, and no receiver may ask for audio.
    pub(in crate::core) fn keep(&mut self, at: EncodingKey, packet: &Packet) {
        let producer = &mut self.producers[at.producer];
        let encoding = &mut producer.encodings[at.index];
        if producer.resending == 0 || (encoding.routes.is_empty() && encoding.waiting.is_empty()) {
            self.drop_store(at);
        } else if !packet.left_out && be16(packet.plain, 2) == packet.header.sequence_number {
            if MAX_MEMORY.saturating_sub(self.store_memory) < SCARCE
                && packet.now - self.stores_swept_at >= SWEEP_INTERVAL
            {
                self.drop_silent_stores(packet.now);
            }
            let encoding = &mut self.producers[at.producer].encodings[at.index];
            let store = encoding.store.get_or_insert_default();
            let others = self.store_memory - store.reserved();
            if !encoding.waiting.is_empty() && !encoding.missing.is_quiet() {
                // The missing packet may belong to a key frame.  Waiting consumers begin there when it comes again.
                store.retention.on_request(packet.now);
            }
            store.push(packet, MAX_MEMORY.saturating_sub(self.store_memory));
            self.store_memory = others + store.reserved();
        }
    }

    /// The receiver of this consumer asked for a packet at `now`, in seconds.  It may ask for more.
    pub(in crate::core) fn keep_for_longer(&mut self, key: ConsumerKey, now: f64) {
        if let Some(store) = self.store_of(key) {
            store.retention.on_request(now);
        }
    }

    /// Keep packets for the round trip to the receiver of this consumer, as far as it is known at `now` (seconds).
    pub(in crate::core) fn note_round_trip(&mut self, key: ConsumerKey, now: f64) {
        let Some(trip) = self.transports[self.consumers[key].transport].round_trip else { return };
        if let Some(store) = self.store_of(key) {
            store.retention.on_round_trip(trip, now);
        }
    }

    /// A consumer begins with a key frame.  On a narrow path a part of it may have to be sent again, and its receiver asks
    /// only once the queue has passed, which may be longer than the known round trip.
    pub(super) fn prepare_resends(&mut self, key: ConsumerKey, now: f64) {
        let transport = &mut self.transports[self.consumers[key].transport];
        if transport.room() != Room::Wide {
            transport.resend_limits().begin();
            self.keep_for_longer(key, now);
        }
    }

    /// The packet store of the encoding that a consumer gets now.
    fn store_of(&mut self, key: ConsumerKey) -> Option<&mut PacketStore> {
        let at = self.source_of(key).filter(|_| self.consumers[key].resends())?;
        self.producers[at.producer].encodings[at.index].store.as_deref_mut()
    }

    /// Forget the packets of all encodings that have fallen silent.  Nothing else would end their stores.
    fn drop_silent_stores(&mut self, now: f64) {
        self.stores_swept_at = now;
        for encoding in self.producers.values_mut().flat_map(|producer| &mut producer.encodings) {
            if let Some(silent) = encoding.store.take_if(|store| store.retention.is_silent(now)) {
                self.store_memory -= silent.reserved();
            }
        }
    }

    /// Forget the packets of an encoding that no consumer gets or awaits any more: it may send nothing for long.
    pub(in crate::core) fn release_store(&mut self, at: EncodingKey) {
        let encoding = &self.producers[at.producer].encodings[at.index];
        if encoding.routes.is_empty() && encoding.waiting.is_empty() {
            self.drop_store(at);
        }
    }

    /// Forget the packets of an encoding.
    pub(in crate::core) fn drop_store(&mut self, at: EncodingKey) {
        if let Some(store) = self.producers[at.producer].encodings[at.index].store.take() {
            self.store_memory -= store.reserved();
        }
    }

    /// Forget the packets of all encodings of a producer.
    pub(in crate::core) fn drop_stores(&mut self, producer: ProducerKey) {
        for index in 0..self.producers[producer].encodings.len() {
            self.drop_store(EncodingKey { producer, index });
        }
    }
}
