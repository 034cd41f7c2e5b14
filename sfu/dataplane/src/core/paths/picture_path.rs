//! Receivers that cannot decode: because they say so, or because their path was dead while packets were sent on it.

use crate::core::engine::Core;
use crate::core::keys::{ConsumerKey, TransportKey};

/// Assumed until the receiver has reported a round trip, in seconds.
const ROUND_TRIP_UNKNOWN: f64 = 0.2;
/// Seconds within which a receiver repeats its request for a key frame.
const REPEATED: f64 = 0.2;

impl Core {
    /// A receiver cannot decode the stream with this SSRC.
    pub(super) fn on_picture_loss(&mut self, key: TransportKey, ssrc: u32, now: f64) {
        // An SSRC without a consumer is no error: the consumer may have been removed meanwhile.
        if let Some(consumer) = self.transports[key].sender_of(ssrc) {
            self.want_key_frame(consumer, now);
        }
    }

    /// The client is back, and got nothing since `since`.  Each consumer that sent video since then needs a key frame.
    ///
    /// Its decoder would ask for one by itself only after a second or more.
    pub(super) fn restore_pictures(&mut self, key: TransportKey, since: f64, now: f64) {
        for place in 0..self.transports[key].consumers.len() {
            let consumer = self.transports[key].consumers[place];
            let last_at = self.consumers[consumer].timestamps.last_at;
            if self.gets_video(consumer) && last_at.is_some_and(|at| at >= since) {
                self.want_key_frame(consumer, now);
            }
        }
    }

    pub(super) fn gets_video(&self, consumer: ConsumerKey) -> bool {
        let producer = self.consumers.get(consumer).and_then(|consumer| consumer.producer);
        let producer = producer.and_then(|producer| self.producers.get(producer));
        producer.is_some_and(|producer| producer.spec.video)
    }

    /// The receiver of this consumer needs a key frame.  Queue an event for the slow path, unless one still waits there.
    pub(super) fn want_key_frame(&mut self, key: ConsumerKey, now: f64) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        let round_trip = self.transports[consumer.transport].round_trip.unwrap_or(ROUND_TRIP_UNKNOWN);
        let producer = consumer.producer.and_then(|producer| self.producers.get(producer));
        // The core does not recognise the key frames of other codecs, so nothing would end the waiting.  A request that
        // crossed a key frame must not end the repair of that one.
        let crossed = now - consumer.key_frame_at < round_trip + REPEATED;
        consumer.awaits_key_frame |= !crossed && producer.is_some_and(|producer| producer.codec.is_some());
        if !consumer.key_frame_requested {
            match self.events.push_key_frame_request(consumer.id) {
                Ok(()) => consumer.key_frame_requested = true,
                Err(reason) => self.drops.count(reason),
            }
        }
    }
}
