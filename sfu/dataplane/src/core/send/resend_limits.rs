//! Limits on the retransmissions to one receiver: a storm of requests costs nobody else anything.

use std::collections::VecDeque;

/// Numbers that the requests of one datagram may look up.
pub const MAX_LOOK_UPS: usize = 256;
/// Numbers that are looked up in a second.
const LOOK_UPS_A_SECOND: usize = 1000;
/// Seconds over which bytes are counted.
const WINDOW: f64 = 0.5;
/// Seconds between two marks within the window.
const STEP: f64 = 0.1;
/// The share of the media's bytes, and of what the receiver's path carries, that may be sent again within the window.
const SHARE: f64 = 0.15;
/// The share of what the path carries, if no packets wait in a queue there.  A link that loses a fifth of all packets
/// loses a fifth of the repairs, too.
const SHARE_WITHOUT_QUEUE: f64 = 0.5;
/// Bytes that may be sent again in addition to that share of the media.
const FREE: f64 = 32_000.0;
/// Bytes that may be sent again within the window however little the path carries: three full packets.
const LEAST: f64 = 3_700.0;
/// Bytes that may be sent again beyond this, once for each beginning of a stream.  A key frame that came in pieces shows
/// nothing until it is whole.
const BEGINNING: usize = 10_000;

/// What is known of the path to a receiver.
#[derive(Clone, Copy, Debug)]
pub struct RepairPath {
    /// What it carries, in bits per second.
    pub rate: f64,
    /// Whether packets waited in a queue there lately.  Then losses are most likely overflow.  Otherwise they have another
    /// cause, such as a radio link.
    pub is_queued: bool,
}

/// Totals at one moment, in bytes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: f64,
    media: u64,
    resent: u64,
}

/// Counts the look-ups and the bytes of one receiver.
#[derive(Debug, Default)]
pub struct ResendLimits {
    /// When the present second of counting look-ups began.
    second_from: f64,
    look_ups: usize,
    /// The marks within the window: at most two more than it has steps.
    marks: VecDeque<Mark>,
    /// Bytes that were sent again.
    resent: u64,
    /// What is left for the newest beginning.
    beginning: usize,
}

impl ResendLimits {
    /// Whether another number may be looked up at `now`, in seconds.  If so, it is counted.
    pub fn take_look_up(&mut self, now: f64) -> bool {
        if now - self.second_from >= 1.0 {
            self.second_from = now;
            self.look_ups = 0;
        }
        let may = self.look_ups < LOOK_UPS_A_SECOND;
        self.look_ups += usize::from(may);
        may
    }

    /// A stream to the receiver begins with a key frame.
    pub fn begin(&mut self) {
        self.beginning = BEGINNING;
    }

    /// Whether a packet of this size may be sent again at `now` (seconds).  If so, its bytes are counted.
    ///
    /// `media` is the number of bytes of media that were sent to the receiver so far, and `path` what is known of its
    /// path.  On a path that is too
    /// narrow for the media, most requests are for packets that did not fit, and sending those again would take the place
    /// of new ones.  Where no packet waits, the path loses them for another reason, and what is lost must be sent again.
    pub fn take_bytes(&mut self, size: usize, media: u64, path: Option<RepairPath>, now: f64) -> bool {
        self.mark(media, now);
        let first = self.marks.front().copied().unwrap_or(Mark { at: now, media, resent: self.resent });
        let share = if now - first.at > WINDOW { WINDOW / (now - first.at) } else { 1.0 };
        let of_media = SHARE * share * (media - first.media) as f64 + FREE;
        let of_path = path.map_or(f64::INFINITY, |path| {
            let share = if path.is_queued { SHARE } else { SHARE_WITHOUT_QUEUE };
            (share * path.rate / 8.0 * WINDOW).max(LEAST)
        });
        let allowed = of_media.min(of_path);
        if (self.resent - first.resent + size as u64) as f64 <= allowed {
            self.resent += size as u64;
            return true;
        }
        let taken = size <= self.beginning;
        self.beginning -= if taken { size } else { 0 };
        taken
    }

    /// Note the totals once for each step, and forget those from before the window.
    fn mark(&mut self, media: u64, now: f64) {
        let now_mark = Mark { at: now, media, resent: self.resent };
        match self.marks.back().copied() {
            Some(last) if now - last.at < STEP => return,
            Some(last) if now - last.at > WINDOW + STEP => {
                // The receiver asked for nothing meanwhile.  Assume that the media flowed evenly.
                let lately = (media - last.media) as f64 * WINDOW / (now - last.at);
                self.marks.clear();
                self.marks.push_back(Mark { at: now - WINDOW, media: media - lately as u64, ..now_mark });
            }
            _ => {}
        }
        self.marks.push_back(now_mark);
        while self.marks.get(1).is_some_and(|second| now - second.at >= WINDOW) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queued(rate: f64) -> Option<RepairPath> {
        Some(RepairPath { rate, is_queued: true })
    }

    #[test]
    fn look_ups_are_limited_for_each_second() {
        let mut limits = ResendLimits::default();
        let mut take = |now| (0..256).filter(|_| limits.take_look_up(now)).count();
        assert_eq!([5.0, 5.1, 5.2, 5.3, 5.4, 5.5].map(&mut take), [256, 256, 256, 232, 0, 0]);
        assert_eq!(take(6.0), 256);
    }

    #[test]
    fn bytes_are_limited_by_the_media_of_the_last_half_second() {
        let mut limits = ResendLimits::default();
        let mut resent = [0.0; 6];
        for tick in 0..6000u64 {
            let (now, media) = (tick as f64 * 0.001, tick * 1000);
            // A megabyte of media a second; the receiver asks for all of it again, but not in the fourth second.
            if tick / 1000 != 3 && limits.take_bytes(1000, media, None, now) {
                resent[tick as usize / 1000] += 1000.0;
            }
        }
        // At most 15 % of a second's media, and twice 32 kB.  The window is up to a step longer than it must be.
        for second in [1, 2, 4, 5] {
            assert!((150_000.0..=215_000.0).contains(&resent[second]), "{resent:?}");
        }
    }

    #[test]
    fn a_receiver_that_asked_for_nothing_for_long_has_its_share_at_once() {
        let mut limits = ResendLimits::default();
        assert!(limits.take_bytes(1000, 1_000_000, None, 1.0));
        let burst = (0..1000).filter(|_| limits.take_bytes(1000, 11_000_000, None, 11.0)).count();
        assert_eq!(burst, 107, "32 kB, and 15 % of half a second's megabyte");
    }

    #[test]
    fn a_narrow_path_gets_a_share_of_what_it_carries() {
        for (estimate, expected) in [(50_000.0, 3), (300_000.0, 3), (1_600_000.0, 15), (100e6, 44)] {
            let mut limits = ResendLimits::default();
            assert!(limits.take_bytes(0, 0, queued(estimate), 1.0));
            let burst = (0..1000).filter(|_| limits.take_bytes(1000, 80_000, queued(estimate), 1.3)).count();
            assert_eq!(burst, expected, "{estimate} bit/s");
        }
    }

    #[test]
    fn a_path_that_loses_packets_without_a_queue_gets_more_of_them_again() {
        for (rate, expected) in [(50_000.0, 3), (300_000.0, 9), (450_000.0, 14), (100e6, 44)] {
            let path = Some(RepairPath { rate, is_queued: false });
            let mut limits = ResendLimits::default();
            assert!(limits.take_bytes(0, 0, path, 1.0));
            let burst = (0..1000).filter(|_| limits.take_bytes(1000, 80_000, path, 1.3)).count();
            assert_eq!(burst, expected, "{rate} bit/s");
        }
    }

    #[test]
    fn each_beginning_adds_the_bytes_of_a_key_frame() {
        let mut limits = ResendLimits::default();
        let burst = |limits: &mut ResendLimits, now| {
            (0..1000).filter(|_| limits.take_bytes(1000, 0, queued(300_000.0), now)).count()
        };
        assert_eq!(burst(&mut limits, 1.0), 3);
        (0..2).for_each(|_| limits.begin());
        assert_eq!([1.1, 1.2].map(|now| burst(&mut limits, now)), [10, 0]);
        assert_eq!(burst(&mut limits, 3.0), 3);
    }

    proptest! {
        /// In no half second are more bytes sent again than the limit allows, whatever the receiver asks for and when.
        #[test]
        fn no_half_second_has_more_than_its_share(
            steps in prop::collection::vec((0..60u32, 0..20_000u64, 1..3000usize), 1..400),
        ) {
            let mut limits = ResendLimits::default();
            let (mut now, mut media) = (1.0, 0);
            let mut sent: Vec<(f64, u64, usize)> = Vec::new();
            for (pause, bytes, size) in steps {
                now += f64::from(pause) * 0.005;
                media += bytes;
                let taken = limits.take_bytes(size, media, None, now);
                sent.push((now, bytes, if taken { size } else { 0 }));
                prop_assert!(limits.marks.len() <= 8);
                let lately = || sent.iter().rev().take_while(|(at, ..)| now - at < WINDOW);
                let resent: usize = lately().map(|(.., size)| size).sum();
                // While the receiver asks for nothing, the media counts as spread evenly.  So look at more of it here.
                let before = sent.iter().rev().take_while(|(at, ..)| now - at < 2.0 * WINDOW + STEP);
                let most: u64 = before.map(|(_, bytes, _)| bytes).sum();
                prop_assert!(resent as f64 <= SHARE * most as f64 + FREE, "{} of {}", resent, most);
            }
        }
    }
}
