//! The rate at which packets arrive at the receiver.

const BUCKET: f64 = 0.025; // seconds
const BUCKETS: i64 = 32; // a power of two, more than a window has
/// Seconds over which the rate is taken, and those at the end of which an overused path shows what it carries.
const WINDOW: f64 = 0.5;
const SHORT_WINDOW: f64 = 0.125;
/// No rate is given before this time has passed, in seconds.
const FIRST: f64 = 0.1;

/// Counts arrived bytes in steps of time on the receiver's clock.
#[derive(Debug)]
pub struct AcknowledgedRate {
    buckets: [f64; BUCKETS as usize],
    /// The number of the newest bucket, and of the first one ever.
    newest: i64,
    first: i64,
    /// The latest arrival in seconds; `None` before the first one.
    latest: Option<f64>,
}

impl Default for AcknowledgedRate {
    fn default() -> Self {
        Self { buckets: [0.0; BUCKETS as usize], newest: 0, first: 0, latest: None }
    }
}

fn place(number: i64) -> usize {
    (number & (BUCKETS - 1)) as usize
}

fn bucket(seconds: f64) -> i64 {
    (seconds / BUCKET).floor() as i64
}

impl AcknowledgedRate {
    /// Bytes arrived at this time, in seconds.
    pub fn add(&mut self, bytes: usize, at: f64) {
        self.put(bytes as f64, bucket(at));
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
    }

    /// Bytes arrived at unknown times since the latest arrival: the feedback about them was lost.
    ///
    /// `until` is the next known arrival.
    pub fn add_between(&mut self, bytes: f64, until: f64) {
        let Some(from) = self.latest else { return };
        let (first, last) = (bucket(from) + 1, bucket(until).max(bucket(from) + 1));
        let first = first.max(last - BUCKETS + 1);
        let share = bytes / (last - first + 1) as f64;
        (first..=last).for_each(|number| self.put(share, number));
    }

    fn put(&mut self, bytes: f64, number: i64) {
        if self.latest.is_none() {
            (self.newest, self.first) = (number, number);
        }
        if number > self.newest {
            let cleared = (number - self.newest).min(BUCKETS);
            (0..cleared).for_each(|back| self.buckets[place(number - back)] = 0.0);
            self.newest = number;
        }
        if number > self.newest - BUCKETS {
            self.buckets[place(number)] += bytes;
        }
    }

    /// The rate in bits per second; `None` if too little is known.
    pub fn rate(&self) -> Option<f64> {
        self.rate_over(WINDOW)
    }

    /// The rate right before the latest arrival.
    pub fn newest_rate(&self) -> Option<f64> {
        self.rate_over(SHORT_WINDOW)
    }

    fn rate_over(&self, window: f64) -> Option<f64> {
        let latest = self.latest?;
        let oldest = (self.newest - (window / BUCKET) as i64).max(self.first);
        let time = latest - oldest as f64 * BUCKET;
        if time < FIRST {
            return None;
        }
        let bytes: f64 = (oldest..=self.newest).map(|number| self.buckets[place(number)]).sum();
        Some(8.0 * bytes / time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(rate: &mut AcknowledgedRate, from: u32, to: u32) {
        (from..to).for_each(|number| rate.add(1250, f64::from(number) * 0.01));
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        let mut rate = AcknowledgedRate::default();
        assert_eq!(rate.rate(), None);
        steady(&mut rate, 0, 200);
        assert!((rate.rate().unwrap() / 1e6 - 1.0).abs() < 0.03, "{:?}", rate.rate());
        assert!((rate.newest_rate().unwrap() / 1e6 - 1.0).abs() < 0.1, "{:?}", rate.newest_rate());
    }

    #[test]
    fn bytes_without_feedback_are_spread() {
        let mut rate = AcknowledgedRate::default();
        steady(&mut rate, 0, 100);
        rate.add_between(10.0 * 1250.0, 1.1);
        steady(&mut rate, 110, 120);
        assert!((rate.rate().unwrap() / 1e6 - 1.0).abs() < 0.05, "{:?}", rate.rate());
    }

    #[test]
    fn times_far_apart_and_backwards_are_no_trouble() {
        let mut rate = AcknowledgedRate::default();
        for at in [0.0, 1e9, -1e9, 1e9 + 0.2, 5.0] {
            rate.add(1000, at);
            rate.add_between(1000.0, at);
            assert!(rate.rate().is_none_or(f64::is_finite));
        }
    }
}
