//! A limit on the events that one client's losses could not be repaired.

const BURST: f64 = 4.0; // events that may come together: for three encodings of a camera, and a screen
const PER_SECOND: f64 = 1.0; // events in the long run

/// A token bucket.  Each event makes the slow path look at all receivers of an encoding, and a client can cause it.
#[derive(Clone, Copy, Debug)]
pub struct FailureLimit {
    left: f64,
    /// When `left` was counted, in seconds.
    at: f64,
}

impl Default for FailureLimit {
    fn default() -> Self {
        Self { left: BURST, at: 0.0 }
    }
}

impl FailureLimit {
    /// Whether an event may be queued at `now`, in seconds.  If so, it is counted.
    pub fn take(&mut self, now: f64) -> bool {
        let left = BURST.min(self.left + (now - self.at).max(0.0) * PER_SECOND);
        (self.left, self.at) = (left, now);
        let allowed = left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_events_may_come_together_and_then_one_a_second() {
        let mut limit = FailureLimit::default();
        let mut allowed = [0; 3];
        for tick in 0..3000 {
            allowed[tick / 1000] += u32::from(limit.take(100.0 + tick as f64 / 1000.0));
        }
        assert_eq!(allowed, [4, 1, 1]);
        assert_eq!((0..9).filter(|_| limit.take(200.0)).count(), 4);
    }
}
