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
/// The share of the media's bytes that may be sent again within the window.
///
/// Without an estimate of the receiver's bandwidth, the bytes of the media stand for it.
const SHARE: f64 = 0.15;
/// Bytes that may be sent again in addition to that share.
const FREE: f64 = 32_000.0;

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
}

impl ResendLimits {
    /// How many of the `wanted` numbers may be looked up at `now`, in seconds.
    pub fn take_look_ups(&mut self, wanted: usize, now: f64) -> usize {
        if now - self.second_from >= 1.0 {
            self.second_from = now;
            self.look_ups = 0;
        }
        let taken = wanted.min(LOOK_UPS_A_SECOND - self.look_ups);
        self.look_ups += taken;
        taken
    }

    /// Whether a packet of this size may be sent again at `now` (seconds).  If so, its bytes are counted.
    ///
    /// `media` is the number of bytes of media that were sent to the receiver so far.
    pub fn take_bytes(&mut self, size: usize, media: u64, now: f64) -> bool {
        self.mark(media, now);
        let first = self.marks.front().copied().unwrap_or(Mark { at: now, media, resent: self.resent });
        let share = if now - first.at > WINDOW { WINDOW / (now - first.at) } else { 1.0 };
        let allowed = SHARE * share * (media - first.media) as f64 + FREE;
        let taken = (self.resent - first.resent + size as u64) as f64 <= allowed;
        if taken {
            self.resent += size as u64;
        }
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

    #[test]
    fn look_ups_are_limited_for_each_second() {
        let mut limits = ResendLimits::default();
        let taken: Vec<_> = (0..6).map(|step| limits.take_look_ups(256, 5.0 + f64::from(step) * 0.1)).collect();
        assert_eq!(taken, [256, 256, 256, 232, 0, 0]);
        assert_eq!(limits.take_look_ups(17, 6.0), 17);
    }

    #[test]
    fn bytes_are_limited_by_the_media_of_the_last_half_second() {
        let mut limits = ResendLimits::default();
        let mut resent = [0.0; 6];
        for tick in 0..6000u64 {
            let (now, media) = (tick as f64 * 0.001, tick * 1000);
            // A megabyte of media a second; the receiver asks for all of it again, but not in the fourth second.
            if tick / 1000 != 3 && limits.take_bytes(1000, media, now) {
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
        assert!(limits.take_bytes(1000, 1_000_000, 1.0));
        let burst = (0..1000).filter(|_| limits.take_bytes(1000, 11_000_000, 11.0)).count();
        assert_eq!(burst, 107, "32 kB, and 15 % of half a second's megabyte");
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
                let taken = limits.take_bytes(size, media, now);
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
