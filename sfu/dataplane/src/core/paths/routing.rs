//! Who is sent which encoding: moving consumers between an encoding's routes and those who wait for it.

use crate::core::engine::Core;
use crate::core::receive::producer::{EncodingKey, Packet};
use crate::core::send::consumer::Layers;
use crate::core::table::ConsumerKey;
use crate::core::wire::payload::Frame;
use crate::core::wire::rtp::Header;

fn remove(from: &mut Vec<ConsumerKey>, consumer: ConsumerKey) {
    from.retain(|&one| one != consumer);
}

impl Core {
    /// Take the consumer out of every packet's way.
    pub(in crate::core) fn stop(&mut self, key: ConsumerKey) {
        self.wait_no_more(key);
        self.leave_route(key);
        let consumer = &mut self.consumers[key];
        consumer.reported = (None, None);
        if std::mem::take(&mut consumer.changed) {
            remove(&mut self.changed, key);
        }
    }

    /// Let the consumer wait for the encoding that it should take up, if that is another than it has.
    pub(in crate::core) fn aim(&mut self, key: ConsumerKey) {
        self.wait_no_more(key);
        let consumer = &mut self.consumers[key];
        let (Some(producer), Some(target)) = (consumer.producer, consumer.target) else { return };
        let producer = &mut self.producers[producer];
        if producer.paused || consumer.paused || consumer.current == Some(target) {
            return;
        }
        consumer.awaited = Some(target);
        producer.encodings[target].waiting.push(key);
    }

    /// What the consumer is sent ends here; it begins again where an encoding can be taken up.
    pub(in crate::core) fn restart(&mut self, key: ConsumerKey) {
        self.stop(key);
        self.aim(key);
    }

    /// A packet at which the encoding can be taken up: a decoder gets its parameter sets first where it has none.
    pub(in crate::core) fn begin_waiting(&mut self, at: EncodingKey, packet: &Packet) {
        let parameter_sets = &self.producers[at.producer].encodings[at.index].parameter_sets;
        let sets = parameter_sets.missing_in(packet.payload, packet.frame.is_some_and(|frame| frame.parameters));
        let mut place = 0;
        while let Some(&key) = self.producers[at.producer].encodings[at.index].waiting.get(place) {
            let consumer = &self.consumers[key];
            if !consumer.takes(packet.payload_type) || !self.transports[consumer.transport].ready() {
                place += 1;
                continue;
            }
            self.wait_no_more(key);
            self.leave_route(key);
            let first = packet.extended - sets.len() as i64;
            self.consumers[key].begin(&self.producers[at.producer], at.index, &Packet { extended: first, ..*packet });
            self.note_changed(key);
            self.producers[at.producer].encodings[at.index].routes.push(key);
            if !sets.is_empty() {
                self.send_parameter_sets(at, key, &sets, packet);
            }
        }
    }

    /// Each in a packet of its own before this one, of the same picture.
    fn send_parameter_sets(&mut self, at: EncodingKey, key: ConsumerKey, sets: &[Vec<u8>], packet: &Packet) {
        let header = Header { marker: false, ..packet.header };
        let (mut copies, producer) = self.copies(at, packet);
        for (payload, before) in sets.iter().zip((1..=sets.len() as i64).rev()) {
            let extended = packet.extended - before;
            let set = Packet { payload, padding: &[], header, extended, frame: Some(Frame::default()), ..*packet };
            copies.put(key, &set, &mut producer.rewriters);
        }
        // Their numbers are those of packets that came before, and may come again.
        self.consumers[key].skip_to(packet.extended);
    }

    /// The slow path is to be told if its layers are others than it knows.
    pub(in crate::core) fn note_changed(&mut self, key: ConsumerKey) {
        if !std::mem::replace(&mut self.consumers[key].changed, true) {
            self.changed.push(key);
        }
    }

    /// The encoding and the highest temporal layer that are forwarded now.
    pub(in crate::core) fn layers(&self, key: ConsumerKey) -> Layers {
        let consumer = &self.consumers[key];
        let (Some(producer), Some(current)) = (consumer.producer, consumer.current) else { return (None, None) };
        let top = self.producers[producer].encodings[current].top_temporal;
        (Some(current), top.map(|top| top.min(consumer.temporal())))
    }

    fn leave_route(&mut self, key: ConsumerKey) {
        let consumer = &mut self.consumers[key];
        if let (Some(producer), Some(current)) = (consumer.producer, consumer.current.take()) {
            remove(&mut self.producers[producer].encodings[current].routes, key);
        }
    }

    fn wait_no_more(&mut self, key: ConsumerKey) {
        let consumer = &mut self.consumers[key];
        if let (Some(producer), Some(awaited)) = (consumer.producer, consumer.awaited.take()) {
            remove(&mut self.producers[producer].encodings[awaited].waiting, key);
        }
    }
}
