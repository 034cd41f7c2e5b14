//! Holds back the video of a receiver whose path is narrow.
//!
//! A picture of the smaller encoding begins with a key frame, which has the bytes of half a second.  Sent at once, it
//! fills the queue of the path: a part of it is lost, and the sound behind it comes late or not at all.

use std::collections::VecDeque;

use crate::core::send::queued_packet::{Delivery, QueuedPacket};

/// Seconds by which a packet may leave early, so that a picture of a few packets leaves in one send.
const EARLY: f64 = 0.005;
/// No packet waits longer, in seconds.
const LONGEST_WAIT: f64 = 0.5;
/// A receiver's own estimate may be lower, in bits per second.
const LEAST_RATE: f64 = 50_000.0;
/// Bytes that wait at most.  Beyond this the oldest packets leave at once.
const MOST_BYTES: usize = 128 * 1024;

#[derive(Debug)]
struct Held {
    packet: QueuedPacket,
    bytes: Vec<u8>,
    since: f64,
}

/// The packets of video that wait, in the order in which they leave.
#[derive(Debug, Default)]
pub struct Pacer {
    held: VecDeque<Held>,
    held_bytes: usize,
    /// When the path has taken what left, in seconds.
    free_at: f64,
}

impl Pacer {
    /// Whether a packet takes its turn here: new video.  Sound and answers to requests do not wait for a key frame.
    pub fn is_for(packet: &QueuedPacket) -> bool {
        packet.seal.is_some_and(|seal| seal.video && seal.delivery == Delivery::Once)
    }

    /// Hold this packet from `now` on, in seconds.
    pub fn hold(&mut self, packet: QueuedPacket, bytes: &[u8], now: f64) {
        self.held_bytes += bytes.len();
        self.held.push_back(Held { packet, bytes: bytes.into(), since: now });
    }

    /// Take the packets that may leave at `now`, at `rate` bits per second.  Without a rate all may.
    pub fn release(&mut self, rate: Option<f64>, now: f64, mut each: impl FnMut(QueuedPacket, &[u8])) {
        while rate.is_none() || self.held_bytes > MOST_BYTES || self.due() <= now {
            let Some(Held { packet, bytes, .. }) = self.held.pop_front() else { break };
            self.held_bytes -= bytes.len();
            let trip = rate.map_or(0.0, |rate| 8.0 * bytes.len() as f64 / rate.max(LEAST_RATE));
            // Packets that had to leave too soon must not hold up those behind them for longer than any packet waits.
            self.free_at = (self.free_at.max(now) + trip).min(now + LONGEST_WAIT);
            each(packet, &bytes);
        }
    }

    /// When [`Self::release`] has something to do, in seconds; infinite if nothing waits.
    pub fn due(&self) -> f64 {
        let leaves_at = |first: &Held| (self.free_at - EARLY).min(first.since + LONGEST_WAIT);
        self.held.front().map_or(f64::INFINITY, leaves_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::keys::ConsumerKey;
    use crate::core::send::queued_packet::Seal;

    const RATE: Option<f64> = Some(400_000.0); // 50 bytes a millisecond

    fn packet(video: bool, delivery: Delivery) -> QueuedPacket {
        let seal = Some(Seal { header: 12, delivery, video, ssrc: 1, index: 0 });
        let consumer = ConsumerKey::default();
        QueuedPacket { consumer, size: 1000, plain: 1000, payload: 988, padding: 0, number_at: 0, seal }
    }

    fn holding(count: usize, now: f64) -> Pacer {
        let mut pacer = Pacer::default();
        (0..count).for_each(|number| pacer.hold(packet(true, Delivery::Once), &[number as u8; 1000], now));
        pacer
    }

    fn released(pacer: &mut Pacer, rate: Option<f64>, now: f64) -> Vec<u8> {
        let mut first_bytes = Vec::new();
        pacer.release(rate, now, |_, bytes| first_bytes.push(bytes[0]));
        first_bytes
    }

    #[test]
    fn only_new_video_waits() {
        assert!(Pacer::is_for(&packet(true, Delivery::Once)));
        for (video, delivery) in [(false, Delivery::Once), (true, Delivery::Again), (true, Delivery::Probe)] {
            assert!(!Pacer::is_for(&packet(video, delivery)));
        }
        assert!(!Pacer::is_for(&QueuedPacket { seal: None, ..packet(true, Delivery::Once) }));
    }

    #[test]
    fn packets_leave_in_their_order_at_the_rate() {
        let mut pacer = holding(10, 1.0);
        let (mut at, mut seen) = (Vec::new(), Vec::new());
        while pacer.due().is_finite() {
            let now = pacer.due().max(1.0);
            for number in released(&mut pacer, RATE, now) {
                at.push(((now - 1.0) * 1000.0).round());
                seen.push(number);
            }
        }
        assert_eq!(seen, (0..10).collect::<Vec<u8>>());
        assert_eq!(at, [0.0, 15.0, 35.0, 55.0, 75.0, 95.0, 115.0, 135.0, 155.0, 175.0]);
    }

    #[test]
    fn no_packet_waits_for_long_on_a_path_that_carries_nothing() {
        for rate in [Some(0.0), Some(1.0), Some(60_000.0)] {
            let mut pacer = holding(30, 1.0);
            released(&mut pacer, rate, 1.0);
            assert!(released(&mut pacer, rate, 1.4).len() < 5);
            assert_eq!((released(&mut pacer, rate, 1.5).last(), pacer.due()), (Some(&29), f64::INFINITY));
        }
    }

    #[test]
    fn the_bytes_that_wait_are_bounded_and_a_wide_path_lets_all_leave() {
        let mut pacer = holding(200, 1.0);
        assert_eq!(released(&mut pacer, RATE, 1.0).len(), 200 - MOST_BYTES / 1000);
        assert_eq!(released(&mut pacer, None, 1.0).len(), MOST_BYTES / 1000);
        assert_eq!((pacer.due(), pacer.held_bytes), (f64::INFINITY, 0));
    }

    #[test]
    fn video_that_came_too_fast_for_a_while_delays_none_behind_it() {
        let mut pacer = Pacer::default();
        let mut share = |now: f64, packets: usize| {
            (0..packets).for_each(|_| pacer.hold(packet(true, Delivery::Once), &[0; 1000], now));
            pacer.release(RATE, now, |_, _| {});
            pacer.due() - now
        };
        // For a second, the sender sends ten times as much as the path carries.
        (0..100).for_each(|step| _ = share(1.0 + f64::from(step) * 0.01, 5));
        (0..100).for_each(|step| _ = share(2.0 + f64::from(step) * 0.01, 0));
        assert!(share(3.1, 2) < 0.02, "{pacer:?}");
    }
}
