//! The price of feedback: a receiver that sends too much of it is not read.

/// Packets about which feedback is read in a second.  As many full packets are more than 200 Mbit/s.
const A_SECOND: f64 = 20_000.0;
/// The most packets at once.
const BURST: f64 = 10_000.0;
/// Feedback costs as much as if it were about this many packets, however few they are.
const LEAST: u16 = 64;

/// A token bucket with one token for each packet that feedback is about.
#[derive(Debug)]
pub struct FeedbackLimit {
    tokens: f64,
    /// When the bucket was filled last, in seconds.
    filled_at: f64,
}

impl Default for FeedbackLimit {
    fn default() -> Self {
        Self { tokens: BURST, filled_at: 0.0 }
    }
}

impl FeedbackLimit {
    /// Whether feedback about `count` packets may be read at `now`, in seconds.
    pub fn take(&mut self, count: u16, now: f64) -> bool {
        let passed = (now - self.filled_at).max(0.0);
        self.tokens = (self.tokens + passed * A_SECOND).min(BURST);
        self.filled_at = now;
        let price = f64::from(count.max(LEAST));
        let taken = price <= self.tokens;
        if taken {
            self.tokens -= price;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_of_a_fast_receiver_is_read_and_a_flood_of_it_is_not() {
        let mut limit = FeedbackLimit::default();
        // 2,000 packets a second, and feedback about them every 50 ms.
        assert!((0..2000).all(|step| limit.take(100, f64::from(step) * 0.05)));
        let read = (0..10_000).filter(|step| limit.take(1, 200.0 + f64::from(*step) * 0.0001)).count();
        assert_eq!(read, 156 + 312, "a burst, and a second's share");
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tokens() {
        let mut limit = FeedbackLimit::default();
        while limit.take(4096, 1.0) {}
        assert!(!limit.take(4096, 0.5));
        assert!(!limit.take(4096, 0.6));
    }
}
