//! The choice of the encoding that each consumer gets.
//!
//! A consumer is on the `routes` of the encoding that it gets now, and among the `waiting` of the encoding that it
//! takes up next.  It moves from one to the other at a key frame, so that its decoder never sees a broken picture.
//! Until then the old encoding flows on.

use crate::core::engine::Core;
use crate::core::keys::{ConsumerKey, EncodingKey};
use crate::core::receive::packet::Packet;
use crate::core::send::consumer::Layers;
use crate::core::wire::payload::Frame;
use crate::core::wire::payload::LayerIds;
use crate::core::wire::rtp::Header;

fn remove(from: &mut Vec<ConsumerKey>, consumer: ConsumerKey) {
    from.retain(|&one| one != consumer);
}

impl Core {
    /// Forward nothing to this consumer, and let it wait for nothing.
    pub(in crate::core) fn stop(&mut self, key: ConsumerKey) {
        let left = [self.leave_waiting(key), self.leave_route(key)];
        left.into_iter().flatten().for_each(|at| self.release_store(at));
        let consumer = &mut self.consumers[key];
        consumer.reported = (None, None);
        if std::mem::take(&mut consumer.changed) {
            remove(&mut self.changed, key);
        }
    }

    /// Let the consumer wait for the encoding that is its target, unless it gets that already.
    pub(in crate::core) fn retarget(&mut self, key: ConsumerKey) {
        let left = self.leave_waiting(key);
        self.await_target(key);
        left.into_iter().for_each(|at| self.release_store(at));
    }

    pub(super) fn await_target(&mut self, key: ConsumerKey) {
        let consumer = &mut self.consumers[key];
        let (Some(producer), Some(target)) = (consumer.producer, consumer.target) else { return };
        let producer = &mut self.producers[producer];
        if producer.is_silent() || consumer.paused || consumer.current == Some(target) {
            return;
        }
        consumer.awaited = Some(target);
        producer.encodings[target].waiting.push(key);
    }

    /// Stop the consumer and let it begin anew at the next key frame.
    pub(in crate::core) fn restart(&mut self, key: ConsumerKey) {
        self.stop(key);
        self.retarget(key);
    }

    /// Let consumers that wait for this encoding begin with this packet, in which a key frame begins.
    ///
    /// A consumer goes on waiting while its transport cannot send, or if it does not take the packet's format.
    pub(in crate::core) fn start_waiting_consumers(&mut self, at: EncodingKey, packet: &Packet) {
        let parameter_sets = &self.producers[at.producer].encodings[at.index].parameter_sets;
        let sets = parameter_sets.missing_in(packet.payload, packet.frame.is_some_and(|frame| frame.parameters));
        let mut place = 0;
        while let Some(&key) = self.producers[at.producer].encodings[at.index].waiting.get(place) {
            if !self.can_begin(key, packet) {
                place += 1;
                continue;
            }
            // This takes the consumer out of `waiting`, so the next one is at the same place.
            self.leave_waiting(key);
            let left = self.leave_route(key);
            let first = packet.extended - sets.len() as i64;
            self.consumers[key].begin(&self.producers[at.producer], at.index, &Packet { extended: first, ..*packet });
            self.mark_changed(key);
            self.producers[at.producer].encodings[at.index].routes.push(key);
            self.note_round_trip(key, packet.now);
            self.prepare_resends(key, packet.now);
            left.into_iter().for_each(|at| self.release_store(at));
            if !sets.is_empty() {
                self.send_parameter_sets(at, key, sets.clone(), packet);
            }
        }
    }

    /// Whether a consumer that waits can begin with this packet: its transport sends, and it takes the format.
    pub(in crate::core) fn can_begin(&self, key: ConsumerKey, packet: &Packet) -> bool {
        let consumer = &self.consumers[key];
        consumer.takes(packet.payload_type) && self.transports[consumer.transport].ready()
    }

    /// Send the parameter sets that the key frame lacks: each in a packet of its own before it, with its timestamp.
    fn send_parameter_sets(&mut self, at: EncodingKey, key: ConsumerKey, sets: Vec<Vec<u8>>, packet: &Packet) {
        let header = Header { marker: false, ..packet.header };
        let (mut fanout, producer) = self.fanout(at, packet);
        for (payload, before) in sets.iter().zip((1..=sets.len() as i64).rev()) {
            let extended = packet.extended - before;
            let set = Packet { payload, padding: &[], header, extended, frame: Some(Frame::default()), ..*packet };
            fanout.enqueue(key, &set, &mut producer.rewriters);
        }
        self.consumers[key].end_parameter_sets(sets, packet);
    }

    /// The consumer's layers may differ from what the slow path knows.
    pub(in crate::core) fn mark_changed(&mut self, key: ConsumerKey) {
        if !std::mem::replace(&mut self.consumers[key].changed, true) {
            self.changed.push(key);
        }
    }

    /// The encoding and the highest layers of it that the consumer gets now.
    pub(in crate::core) fn layers(&self, key: ConsumerKey) -> Layers {
        let consumer = &self.consumers[key];
        let (Some(producer), Some(current)) = (consumer.producer, consumer.current) else { return (None, None) };
        let top = self.producers[producer].encodings[current].top;
        (Some(current), top.map(|top| top.min(consumer.layers.current())))
    }

    /// The spatial layer of `layers` that the consumer's encoding has.  `None` if the encoding has only one.
    pub(in crate::core) fn spatial_layer(&self, key: ConsumerKey, layers: Option<LayerIds>) -> Option<u8> {
        let at = self.source_of(key)?;
        let top = self.producers[at.producer].encodings[at.index].top.filter(|top| top.spatial > 0)?;
        layers.map(|layers| layers.spatial.min(top.spatial))
    }

    /// Take the consumer from the routes of the encoding that it gets.  Gives that encoding.
    pub(super) fn leave_route(&mut self, key: ConsumerKey) -> Option<EncodingKey> {
        let consumer = &mut self.consumers[key];
        let (producer, index) = (consumer.producer?, consumer.current.take()?);
        remove(&mut self.producers[producer].encodings[index].routes, key);
        Some(EncodingKey { producer, index })
    }

    /// Let the consumer wait for nothing.  Gives the encoding that it waited for.
    fn leave_waiting(&mut self, key: ConsumerKey) -> Option<EncodingKey> {
        let consumer = &mut self.consumers[key];
        let (producer, index) = (consumer.producer?, consumer.awaited.take()?);
        remove(&mut self.producers[producer].encodings[index].waiting, key);
        Some(EncodingKey { producer, index })
    }
}
