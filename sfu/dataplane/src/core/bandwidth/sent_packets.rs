//! The packets that were sent lately, by their transport-wide sequence number.

/// Entries before the first growth, and at most.  Both are powers of two.
const FEWEST: usize = 128;
const MOST: usize = 8192;
/// Feedback about a packet may come for this long, in µs.  The ring grows rather than forget a younger packet.
const KEPT: u32 = 2_000_000;

/// What is known about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No packet.
    Empty,
    /// No feedback so far.
    Waiting,
    /// The socket did not take it.
    Unsent,
    /// The feedback about it was lost itself.
    Unreported,
    /// Reported as missing.
    Lost,
    /// Reported as received.
    Received,
}

/// 12 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// µs modulo 2³²: 71 minutes, far more than any packet stays here.
    sent_at: u32,
    size: u16,
    number: u16,
    fate: Fate,
    cluster: u8,
}

const EMPTY: Entry = Entry { sent_at: 0, size: 0, number: 0, fate: Fate::Empty, cluster: 0 };

/// A packet that feedback tells something new about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SentPacket {
    /// Seconds.
    pub sent_at: f64,
    /// Bytes.
    pub size: usize,
    /// The probe that it belongs to; 0 for none.
    pub cluster: u8,
    /// It was reported as missing before.
    pub was_lost: bool,
    /// It was counted before, as one whose feedback was lost.
    pub was_unreported: bool,
}

/// A ring of packets; see the module.
#[derive(Debug, Default)]
pub struct SentPackets {
    /// Empty until the first packet.
    entries: Vec<Entry>,
    next_number: u16,
}

fn micros(now: f64) -> u64 {
    (now * 1e6) as u64
}

impl SentPackets {
    /// Remember a packet of `size` bytes that leaves at `now` (seconds).  Returns its number.
    pub fn record(&mut self, size: usize, cluster: u8, now: f64) -> u16 {
        let sent_at = micros(now) as u32;
        let number = self.next_number;
        if self.must_grow(number, sent_at) {
            self.grow();
        }
        self.next_number = number.wrapping_add(1);
        let place = self.place(number);
        self.entries[place] = Entry { sent_at, size: size as u16, number, fate: Fate::Waiting, cluster };
        number
    }

    fn place(&self, number: u16) -> usize {
        usize::from(number) & (self.entries.len() - 1)
    }

    fn must_grow(&self, number: u16, sent_at: u32) -> bool {
        match self.entries.len() {
            0 => true,
            MOST => false,
            _ => {
                let oldest = &self.entries[self.place(number)];
                oldest.fate != Fate::Empty && sent_at.wrapping_sub(oldest.sent_at) < KEPT
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let smaller = std::mem::take(&mut self.entries);
        self.entries = vec![EMPTY; (2 * smaller.len()).max(FEWEST)];
        for entry in smaller.into_iter().filter(|entry| entry.fate != Fate::Empty) {
            let place = self.place(entry.number);
            self.entries[place] = entry;
        }
    }

    fn find(&mut self, number: u16) -> Option<&mut Entry> {
        let mask = self.entries.len().checked_sub(1)?;
        let entry = &mut self.entries[usize::from(number) & mask];
        (entry.fate != Fate::Empty && entry.number == number).then_some(entry)
    }

    /// Whether a packet with this number was sent lately.
    pub fn contains(&mut self, number: u16) -> bool {
        self.find(number).is_some()
    }

    /// Forget the packets, because they took another path.  Feedback about them says nothing any more.
    pub fn forget(&mut self) {
        self.entries.fill(EMPTY);
    }

    /// These packets did not leave.  A later report that one was received wins.
    pub fn mark_unsent(&mut self, first: u16, count: usize) {
        for offset in 0..count.min(self.entries.len()) {
            if let Some(entry) = self.find(first.wrapping_add(offset as u16)) {
                entry.fate = Fate::Unsent;
            }
        }
    }

    /// Feedback at `now` (seconds) says whether a packet arrived.  `None` if that is nothing new, or no such packet is
    /// known.
    pub fn resolve(&mut self, number: u16, arrived: bool, now: f64) -> Option<SentPacket> {
        let entry = self.find(number)?;
        let before = entry.fate;
        entry.fate = match (before, arrived) {
            (Fate::Received, _) | (Fate::Lost | Fate::Unsent, false) => return None,
            (_, true) => Fate::Received,
            (_, false) => Fate::Lost,
        };
        Some(Self::known(entry, before, now))
    }

    /// The feedback about this packet did not come.  `None` if another feedback has told its fate, or no such packet
    /// is known.
    pub fn resolve_unreported(&mut self, number: u16, now: f64) -> Option<SentPacket> {
        let entry = self.find(number).filter(|entry| entry.fate == Fate::Waiting)?;
        entry.fate = Fate::Unreported;
        Some(Self::known(entry, Fate::Waiting, now))
    }

    fn known(entry: &Entry, before: Fate, now: f64) -> SentPacket {
        let now = micros(now);
        let age = u64::from((now as u32).wrapping_sub(entry.sent_at));
        SentPacket {
            sent_at: now.saturating_sub(age) as f64 * 1e-6,
            size: usize::from(entry.size),
            cluster: entry.cluster,
            was_lost: before == Fate::Lost,
            was_unreported: before == Fate::Unreported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_twelve_bytes() {
        assert_eq!(size_of::<Entry>(), 12);
    }

    #[test]
    fn a_packet_is_resolved_once() {
        let mut packets = SentPackets::default();
        let number = packets.record(1200, 3, 10.5);
        let expected = SentPacket { sent_at: 10.5, size: 1200, cluster: 3, was_lost: false, was_unreported: false };
        assert_eq!(packets.resolve(number, false, 11.0), Some(expected));
        assert_eq!(packets.resolve(number, false, 11.0), None);
        assert_eq!(packets.resolve(number, true, 11.5), Some(SentPacket { was_lost: true, ..expected }));
        assert_eq!(packets.resolve(number, true, 11.5), None);
        assert_eq!(packets.resolve(number, false, 11.5), None);
        assert_eq!(packets.resolve(number.wrapping_add(1), true, 11.5), None, "it was never sent");
    }

    #[test]
    fn an_unsent_packet_is_not_lost_but_may_be_received() {
        let mut packets = SentPackets::default();
        let first = packets.record(100, 0, 1.0);
        packets.record(100, 0, 1.0);
        packets.mark_unsent(first, 2);
        assert_eq!(packets.resolve(first, false, 1.1), None);
        assert!(packets.resolve(first, true, 1.1).is_some());
        packets.mark_unsent(first, usize::MAX);
    }

    #[test]
    fn a_packet_without_feedback_may_be_reported_later() {
        let mut packets = SentPackets::default();
        let number = packets.record(100, 0, 1.0);
        assert!(packets.resolve_unreported(number, 1.2).is_some());
        assert_eq!(packets.resolve_unreported(number, 1.2), None);
        assert!(packets.resolve(number, true, 1.3).is_some_and(|packet| packet.was_unreported));
    }

    #[test]
    fn the_ring_grows_for_young_packets_only() {
        let mut packets = SentPackets::default();
        assert_eq!(packets.entries.capacity(), 0);
        (0..1000).for_each(|number| _ = packets.record(100, 0, f64::from(number) * 0.1));
        assert_eq!(packets.entries.len(), FEWEST, "ten packets a second need no more");
        (0..100_000).for_each(|number| _ = packets.record(100, 0, 100.0 + f64::from(number) * 1e-5));
        assert_eq!(packets.entries.len(), MOST);
        let newest = packets.next_number.wrapping_sub(1);
        assert!(packets.resolve(newest, true, 102.0).is_some());
        assert!(packets.resolve(newest.wrapping_sub(MOST as u16 - 1), true, 102.0).is_some());
        assert_eq!(packets.resolve(newest.wrapping_sub(MOST as u16), true, 102.0), None);
    }

    #[test]
    fn growing_keeps_what_is_known() {
        let mut packets = SentPackets { next_number: 65_500, ..SentPackets::default() };
        let numbers: Vec<u16> = (0..300).map(|size| packets.record(size, 0, 1.0)).collect();
        for (size, number) in numbers.into_iter().enumerate() {
            assert_eq!(packets.resolve(number, true, 1.1).map(|packet| packet.size), Some(size));
        }
    }

    #[test]
    fn times_survive_the_wrap_of_microseconds() {
        let mut packets = SentPackets::default();
        let now = 4294.9;
        let number = packets.record(100, 0, now);
        let packet = packets.resolve(number, true, now + 0.2).unwrap();
        assert!((packet.sent_at - now).abs() < 2e-6, "{packet:?}");
    }

    #[test]
    fn packets_of_another_path_are_forgotten_and_their_numbers_are_not_taken_again() {
        let mut packets = SentPackets::default();
        let number = packets.record(100, 0, 1.0);
        packets.forget();
        assert_eq!(packets.resolve(number, true, 1.1), None);
        assert_eq!(packets.record(100, 0, 1.2), number.wrapping_add(1));
    }
}
