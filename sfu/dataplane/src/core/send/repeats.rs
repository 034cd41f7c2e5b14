//! Audio packets that are sent twice, for receivers that lose packets and take no redundant audio (RFC 2198).
//!
//! The second one is the same sealed packet, bit by bit.  The same bytes with the same index tell an eavesdropper
//! nothing new, and the receiver's replay protection drops the one that comes later (RFC 3711 section 3.3.2).

use std::collections::HashMap;

use crate::core::keys::ConsumerKey;

/// A packet is not sent again later than this, in seconds.  In a pause of speech the next packet comes late, and by then
/// the receiver has played on.
const LATEST: f64 = 0.1;

/// A sealed packet that is sent once more.
#[derive(Debug, Default)]
struct Sealed {
    /// Empty before the packet was sealed, and after it was sent again.
    bytes: Vec<u8>,
    /// Bytes of the whole plain packet.
    plain: u16,
    /// When the packet was queued, in seconds.
    at: f64,
}

/// The newest packet of each consumer of audio on one transport, until it is sent again with the next one.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<ConsumerKey, Sealed>);

impl Repeats {
    /// Expect the sealed packet that a consumer queues at `now`, in seconds.
    ///
    /// Appends the one before to `out`, unless it was sent long ago, or has more than `room` bytes.  Gives the bytes of
    /// the plain packet if one was appended.
    pub fn exchange(&mut self, consumer: ConsumerKey, now: f64, room: usize, out: &mut Vec<u8>) -> Option<u16> {
        let Sealed { bytes, plain, at } = self.0.entry(consumer).or_default();
        let usable = !bytes.is_empty() && bytes.len() <= room && now - *at <= LATEST;
        if usable {
            out.extend_from_slice(bytes);
        }
        bytes.clear();
        *at = now;
        usable.then_some(*plain)
    }

    /// Keep the sealed packet of a consumer, with `plain` bytes before it was sealed.
    pub fn keep(&mut self, consumer: ConsumerKey, packet: &[u8], plain: u16) {
        if let Some(sealed) = self.0.get_mut(&consumer) {
            sealed.bytes.clear();
            sealed.bytes.extend_from_slice(packet);
            sealed.plain = plain;
        }
    }

    /// Nothing of this consumer is sent again any more.
    pub fn forget(&mut self, consumer: ConsumerKey) {
        self.0.remove(&consumer);
    }

    /// Whether no consumer sends packets twice.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    const ROOM: usize = 1472;

    fn consumers<const N: usize>() -> [ConsumerKey; N] {
        let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
        std::array::from_fn(|_| consumers.insert(()))
    }

    /// Queue a packet and seal it.  Gives the packet that is sent again with it.
    fn send(repeats: &mut Repeats, consumer: ConsumerKey, packet: &[u8], now: f64, room: usize) -> Vec<u8> {
        let mut again = Vec::new();
        let plain = repeats.exchange(consumer, now, room, &mut again);
        assert_eq!(plain, (!again.is_empty()).then(|| again.len() as u16 - 1));
        repeats.keep(consumer, packet, packet.len() as u16 - 1);
        again
    }

    #[test]
    fn each_consumer_repeats_its_packet_with_its_next_one() {
        let mut repeats = Repeats::default();
        let [one, other] = consumers();
        assert_eq!(send(&mut repeats, one, b"first", 1.0, ROOM), b"");
        assert_eq!(send(&mut repeats, other, b"other", 1.01, ROOM), b"");
        assert_eq!(send(&mut repeats, one, b"second", 1.02, ROOM), b"first");
        assert_eq!(send(&mut repeats, other, b"more", 1.03, ROOM), b"other");
        assert_eq!(send(&mut repeats, one, b"third", 1.04, ROOM), b"second");
    }

    #[test]
    fn a_packet_is_not_repeated_late_twice_or_beyond_the_room() {
        let mut repeats = Repeats::default();
        let [one] = consumers();
        send(&mut repeats, one, b"before a pause", 1.0, ROOM);
        assert_eq!(send(&mut repeats, one, b"after it", 1.11, ROOM), b"");
        assert_eq!(send(&mut repeats, one, b"next", 1.13, 7), b"");
        assert_eq!(repeats.exchange(one, 1.15, ROOM, &mut Vec::new()), Some(3));
        assert_eq!(repeats.exchange(one, 1.17, ROOM, &mut Vec::new()), None, "it was not sealed yet");
    }

    #[test]
    fn a_consumer_that_is_forgotten_keeps_nothing() {
        let mut repeats = Repeats::default();
        let [one] = consumers();
        send(&mut repeats, one, b"first", 1.0, ROOM);
        repeats.forget(one);
        repeats.keep(one, b"sealed late", 4);
        assert!(repeats.is_empty());
    }
}
