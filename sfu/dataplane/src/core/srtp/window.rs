//! Replay protection (RFC 3711 section 3.3.2), and the packet index of a sequence number (section 3.3.1).

/// The newest `64 * WORDS` indices, each seen or not.
#[derive(Clone, Debug)]
pub struct Window<const WORDS: usize> {
    highest: u64,
    seen: [u64; WORDS],
}

/// For RTP: 1,024 packets, as browsers use; 0.1 s of a fast video.
pub type RtpWindow = Window<16>;
/// For RTCP: 128 packets.
pub type RtcpWindow = Window<2>;

impl<const WORDS: usize> Default for Window<WORDS> {
    fn default() -> Self {
        Self { highest: 0, seen: [0; WORDS] }
    }
}

impl<const WORDS: usize> Window<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    /// A window of which nothing more is known than the highest index.  All up to it count as seen.
    pub fn seen_up_to(highest: u64) -> Self {
        Self { highest, seen: [u64::MAX; WORDS] }
    }

    /// The highest index so far; 0 before the first.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether nothing was seen yet.
    pub fn is_fresh(&self) -> bool {
        self.highest == 0 && self.seen[0] == 0
    }

    /// The index nearest to the highest so far: 2^16 times the rollover counter, plus the sequence number (RFC 3711
    /// appendix A).  No index is below 0, so before the first rollover a distant number counts as ahead.
    pub fn guess(&self, sequence_number: u16) -> u64 {
        let step = sequence_number.wrapping_sub(self.highest as u16);
        // Exactly half a cycle counts as ahead in the lower half of a cycle, and as behind in the upper: see appendix
        // A.
        let ahead = step < 0x8000 || (step == 0x8000 && self.highest & 0x8000 == 0);
        let near =
            if ahead { self.highest + u64::from(step) } else { (self.highest + u64::from(step)).wrapping_sub(0x10000) };
        if near > u64::MAX / 2 { u64::from(sequence_number) } else { near }
    }

    /// Whether the index is new, and not older than the window.
    pub fn accepts(&self, index: u64) -> bool {
        index > self.highest
            || (self.highest - index < Self::SIZE && self.seen[Self::word(index)] & Self::bit(index) == 0)
    }

    /// The oldest index of the window.
    pub fn oldest(&self) -> u64 {
        self.highest.saturating_sub(Self::SIZE - 1)
    }

    /// Whether the index was seen, and is not older than the window.
    pub fn contains(&self, index: u64) -> bool {
        index <= self.highest
            && self.highest - index < Self::SIZE
            && self.seen[Self::word(index)] & Self::bit(index) != 0
    }

    /// Note an index as seen.  It must be one that [`Self::accepts`].
    pub fn add(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= Self::SIZE {
                self.seen = [0; WORDS];
            } else {
                for passed in self.highest + 1..index {
                    self.seen[Self::word(passed)] &= !Self::bit(passed);
                }
            }
            self.highest = index;
        }
        self.seen[Self::word(index)] |= Self::bit(index);
    }

    fn word(index: u64) -> usize {
        (index / 64) as usize % WORDS
    }

    fn bit(index: u64) -> u64 {
        1 << (index % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn after(highest: u64) -> RtpWindow {
        let mut window = RtpWindow::default();
        window.add(highest);
        window
    }

    #[test]
    fn the_nearest_index_is_guessed() {
        assert_eq!(after(5).guess(6), 6);
        assert_eq!(after(65535).guess(0), 65536);
        assert_eq!(after(65536).guess(65535), 65535);
        assert_eq!(after(3 * 65536 + 10).guess(65000), 2 * 65536 + 65000);
        assert_eq!(after(65536 + 7232).guess(40000), 65536 + 40000);
        assert_eq!(after(65536 + 40000).guess(7232), 65536 + 7232);
    }

    #[test]
    fn no_index_lies_before_the_beginning() {
        assert_eq!(RtpWindow::default().guess(60000), 60000);
        assert_eq!(after(5).guess(65000), 65000);
    }

    #[test]
    fn the_window_is_a_thousand_packets_long() {
        let mut window = after(2000);
        assert!(window.accepts(977));
        assert!(!window.accepts(976));
        window.add(977);
        assert!(!window.accepts(977));
        window.add(2000 + 1024);
        assert!(window.accepts(2001));
        assert!(!window.accepts(2000));
    }

    proptest! {
        #[test]
        fn no_index_is_accepted_twice_and_no_new_one_refused(indices in prop::collection::vec(0..400u64, 0..300)) {
            let mut window = RtcpWindow::default();
            let mut seen = BTreeSet::new();
            for index in indices {
                let highest = seen.last().copied().unwrap_or(0);
                let new = index + 128 > highest && !seen.contains(&index);
                prop_assert_eq!(window.accepts(index), new);
                prop_assert_eq!(window.contains(index), index + 128 > highest && seen.contains(&index));
                if new {
                    window.add(index);
                    seen.insert(index);
                }
            }
        }
    }
}
