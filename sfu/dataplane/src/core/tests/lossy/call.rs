//! A publisher and a receiver with the core between them, and a link for each direction.

use super::super::*;
use super::link::{Faults, Link};
use super::publisher::{self, Publisher};
use super::receiver::{self, Receiver};
use crate::core::{ConsumerStats, Event, ProducerStats};

pub const PRODUCER: Id = 10;
pub const CONSUMER: Id = 20;
const HOLD: f64 = 0.002; // seconds, as the shell has it
const KEY_FRAME_RETRY: f64 = 1.0; // seconds between requests for a consumer that waits, as in the slow path

/// The faults of both hops; each has the same in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Hops {
    pub up: Faults,
    pub down: Faults,
}

/// The kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub hops: Hops,
    pub video: bool,
    pub seconds: f64,
    pub first_sequence: u16,
    pub seed: u64,
}

pub struct Call {
    pub core: Core,
    pub publisher: Publisher,
    pub receiver: Receiver,
    plan: Plan,
    now: f64,
    /// To the core, and from it.
    up: [Link; 2],
    down: [Link; 2],
    /// When the core began to wait for a key frame of this encoding, and asked last.
    asked_at: f64,
    pub repairs_failed: u32,
}

impl Call {
    /// `encodings` of the publisher, at least one.
    pub fn new(plan: Plan, encodings: usize) -> Self {
        let mut core = Core::new(HOLD);
        core.set_rtcp_source(99, "router");
        let ssrcs: Vec<u32> = (0..encodings as u32).map(|index| 2000 + 10 * index).collect();
        let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
        let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
        core.start_reports(1, 0.5, 1.0).unwrap();
        core.set_round_trip(2, 2.0 * plan.hops.down.delay).unwrap(); // as the handshake showed it
        core.add_producer(1, PRODUCER, publisher::spec(plan.video, &ssrcs)).unwrap();
        let format = receiver::format();
        core.add_consumer(2, CONSUMER, PRODUCER, &receiver::spec(&format), 0x7FF0).unwrap();
        let link = |faults, number| Link::new(faults, plan.seed * 4 + number);
        Self {
            core,
            publisher: Publisher::new(sender, plan.video, &ssrcs, plan.first_sequence, plan.seconds),
            receiver: Receiver::new(receiver, plan.video),
            now: 0.0,
            up: [link(plan.hops.up, 0), link(plan.hops.up, 1)],
            down: [link(plan.hops.down, 2), link(plan.hops.down, 3)],
            asked_at: f64::NEG_INFINITY,
            repairs_failed: 0,
            plan,
        }
    }

    /// Run until the stream has ended and everything has had time to be repaired.
    pub fn run(&mut self) -> &mut Self {
        self.run_until(self.plan.seconds + 2.0)
    }

    pub fn run_until(&mut self, end: f64) -> &mut Self {
        while let Some(next) = self.next_at().filter(|&at| at <= end) {
            self.now = next.max(self.now);
            self.step();
        }
        self.now = end;
        self
    }

    fn next_at(&self) -> Option<f64> {
        let links = self.up.iter().chain(&self.down).filter_map(Link::next_at);
        let ends = [self.publisher.next_at, self.receiver.next_at(), self.next_request_at()];
        links.chain(self.core.next_due()).chain(ends).min_by(f64::total_cmp)
    }

    /// Everything that happens at this moment.
    fn step(&mut self) {
        let now = self.now;
        for datagram in self.publisher.tick_at(now) {
            self.up[0].send(datagram, now);
        }
        for mut datagram in self.up[0].arrived(now) {
            self.core.receive(&mut datagram, path(1), now);
        }
        for mut datagram in self.down[1].arrived(now) {
            self.core.receive(&mut datagram, path(2), now);
        }
        self.core.pass_time(now);
        self.decide();
        for (to, datagram) in leaving(&mut self.core, now) {
            let link = if to == path(1) { &mut self.up[1] } else { &mut self.down[0] };
            link.send(datagram, now);
        }
        for datagram in self.up[1].arrived(now) {
            for again in self.publisher.receive(datagram) {
                self.up[0].send(again, now);
            }
        }
        for datagram in self.down[0].arrived(now) {
            self.receiver.receive(datagram, now);
        }
        for datagram in self.receiver.tick_at(now) {
            self.down[1].send(datagram, now);
        }
    }

    /// The slow path: it asks for a key frame where a consumer waits, a receiver asks, or a repair failed.
    fn decide(&mut self) {
        for event in self.core.take_events(usize::MAX) {
            match event {
                Event::KeyFrameRequested { .. } => self.request_key_frame(self.target()),
                Event::RepairFailed { encoding, .. } => {
                    self.repairs_failed += 1;
                    self.request_key_frame(encoding);
                }
                _ => {}
            }
        }
        if self.now >= self.next_request_at() {
            self.request_key_frame(self.target());
        }
    }

    fn target(&self) -> usize {
        self.core.consumers[self.core.consumers.key(CONSUMER).unwrap()].target.unwrap_or(0)
    }

    /// While the consumer waits for an encoding, its key frame is asked for again and again.
    fn next_request_at(&self) -> f64 {
        let consumer = &self.core.consumers[self.core.consumers.key(CONSUMER).unwrap()];
        let waits = self.plan.video && consumer.awaited.is_some() && self.now < self.plan.seconds;
        if waits { (self.asked_at + KEY_FRAME_RETRY).max(0.2) } else { f64::INFINITY }
    }

    fn request_key_frame(&mut self, encoding: usize) {
        self.asked_at = self.now;
        if let Some((_, datagram)) = self.core.request_key_frame(PRODUCER, encoding, false).unwrap() {
            self.up[1].send(datagram, self.now);
        }
    }

    pub fn consumer_stats(&self) -> ConsumerStats {
        self.core.consumer_stats(CONSUMER).unwrap()
    }

    pub fn producer_stats(&self) -> ProducerStats {
        self.core.producer_stats(PRODUCER).unwrap()
    }

    /// How many seconds later than without loss each packet came, of all that left between two times.
    ///
    /// A packet that never came counts as infinitely late.
    pub fn lateness(&self, from: f64, to: f64) -> Vec<f64> {
        let way = self.plan.hops.up.delay + self.plan.hops.down.delay;
        let arrived: HashMap<u32, f64> = self
            .receiver
            .arrived
            .values()
            .filter_map(|packet| packet.id(self.plan.video).map(|id| (id, packet.at)))
            .collect();
        let sent = self.publisher.sent_at.iter().filter(|&(_, &at)| from <= at && at < to);
        sent.map(|(id, at)| arrived.get(id).map_or(f64::INFINITY, |arrival| arrival - at - way)).collect()
    }
}

/// The share of values that are at most `limit`.
pub fn share_within(values: &[f64], limit: f64) -> f64 {
    values.iter().filter(|&&value| value <= limit).count() as f64 / values.len() as f64
}
