//! Whether another flow fills the queue, as TCP does until it loses packets.
//!
//! Who gives way to such a flow each time a queue grows ends with nothing.  So beside one, only losses count.

/// A longer queue stands, in seconds.
const STANDS: f64 = 0.03;
/// We must have given way to this share of what we used.
const GAVE_WAY: f64 = 0.75;
/// Packets that left so many seconds after that, or after a probe, show what remains of the queue without us.
const SETTLED: f64 = 0.5;
/// For so many seconds, the queue must keep this share of its length, or grow again by this time in seconds.
const WINDOW: f64 = 2.0;
const KEPT: f64 = 0.8;
const RISE: f64 = 0.02;
/// The queue of another flow grows and falls by at least this in some seconds.  One that is ours is full or empties.
const SWING: f64 = 0.008;
const SWING_WINDOW: f64 = 4.0;

/// A time with a standing queue.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: f64,
    /// The queue when it began, and its least and greatest length since then, in seconds.
    first: f64,
    least: f64,
    most: f64,
}

/// Watches the queue; see the module.
#[derive(Debug, Default)]
pub struct Competition {
    window: Option<Window>,
    used: f64,
    stands: bool,
    gave_way: bool,
    /// Packets that left before this time do not count, in seconds.
    settled_at: f64,
    competes: bool,
}

impl Competition {
    /// This rate is in use from now on, in bits per second.
    pub fn set_used(&mut self, used: f64, now: f64) {
        if used < GAVE_WAY * self.used {
            self.gave_way |= self.stands;
            self.disturb(now);
        }
        self.used = used;
    }

    /// We send more, or less, than the media that are in use.
    pub fn disturb(&mut self, now: f64) {
        self.settled_at = now + SETTLED;
        self.window = None;
    }

    /// Packets that left at `sent_at` waited for `queue` seconds.
    pub fn update(&mut self, queue: f64, sent_at: f64) {
        self.stands = queue >= STANDS;
        if !self.stands {
            (self.gave_way, self.competes, self.window) = (false, false, None);
            return;
        }
        if sent_at < self.settled_at {
            return;
        }
        let window = self.window.get_or_insert(Window { from: sent_at, first: queue, least: queue, most: queue });
        window.least = window.least.min(queue);
        window.most = window.most.max(queue);
        let duration = if self.competes { SWING_WINDOW } else { WINDOW };
        if sent_at - window.from < duration {
            return;
        }
        let swings = window.most - window.least >= SWING;
        let stays = queue >= KEPT * window.first || queue - window.least >= RISE;
        self.competes = swings && (self.competes || (self.gave_way && stays));
        self.window = None;
    }

    /// Whether another flow fills the queue.
    pub fn competes(&self) -> bool {
        self.competes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(
        competition: &mut Competition,
        seconds: std::ops::Range<u32>,
        queue: impl Fn(f64) -> f64,
        used: f64,
    ) -> bool {
        competition.set_used(used, f64::from(seconds.start));
        for step in 10 * seconds.start..10 * seconds.end {
            let now = f64::from(step) / 10.0;
            competition.update(queue(now), now);
        }
        competition.competes()
    }

    #[test]
    fn a_queue_that_stays_although_we_give_way_is_not_ours() {
        let mut competition = Competition::default();
        let saw = |now: f64| 0.2 + 0.1 * (now / 3.0).fract();
        assert!(!feed(&mut competition, 0..5, saw, 2e6));
        assert!(feed(&mut competition, 5..10, saw, 0.5e6));
        assert!(feed(&mut competition, 10..30, saw, 2e6), "it lasts while we take our share");
        assert!(!feed(&mut competition, 30..40, |_| 0.3, 2e6), "a full queue without swings is ours");
    }

    #[test]
    fn a_queue_that_empties_is_ours() {
        let mut competition = Competition::default();
        feed(&mut competition, 0..1, |now| 0.3 * now, 2e6);
        assert!(!feed(&mut competition, 1..7, |now| 0.3 - 0.05 * (now - 1.0), 0.5e6));
    }
}
