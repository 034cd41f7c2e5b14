//! The rate that the delay allows: up slowly, down at once (draft-ietf-rmcat-gcc-02 section 5.5).

/// Growth in a second, as a factor.
const GROWTH: f64 = 1.08;
/// An overused path keeps this share of what arrives.
const REDUCTION: f64 = 0.85;
/// The rate never grows beyond this multiple of what arrives, plus some bits per second.
const MOST_OF_ACKED: f64 = 1.5;
const ABOVE_ACKED: f64 = 10_000.0;
/// Bits per second that a growing rate gains at least in a second.
const LEAST_GROWTH: f64 = 1000.0;
/// Seconds that a reduction needs beside the round trip until feedback shows what it did.
const RESPONSE: f64 = 0.1;
/// While we send far below the rate, what arrives says little.  So it falls by this factor at most.
const LIMITED_REDUCTION: f64 = 0.7;
/// The rate never falls below this, in bits per second.  Otherwise it would grow for minutes before it counts again.
pub const LEAST_RATE: f64 = 50_000.0;
/// A frame has 1/30 s, and a packet 1,200 bytes.
const FRAMES: f64 = 30.0;
const PACKET: f64 = 1200.0 * 8.0; // bits

/// What an overused path carried, remembered while it does not change much.
#[derive(Debug, Default)]
struct Capacity {
    /// kbit/s
    mean: Option<f64>,
    /// Of the mean, normalised by its root.
    variance: f64,
}

impl Capacity {
    const SHARE: f64 = 0.05;

    fn add(&mut self, rate: f64) {
        let rate = rate / 1e3;
        let mean = self.mean.map_or(rate, |mean| mean + Self::SHARE * (rate - mean));
        let error = mean - rate;
        let variance = (1.0 - Self::SHARE) * self.variance.max(0.4) + Self::SHARE * error * error / mean.max(1.0);
        (self.mean, self.variance) = (Some(mean), variance.clamp(0.4, 2.5));
    }

    /// How far a rate in bits per second is above (1), within (0) or below (-1) three standard deviations of the mean.
    fn compare(&self, rate: f64) -> Option<i32> {
        let mean = self.mean?;
        let deviation = 3.0 * (self.variance * mean).sqrt();
        let rate = rate / 1e3;
        Some(i32::from(rate > mean + deviation) - i32::from(rate < mean - deviation))
    }
}

/// What feedback says about the path.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// Packets take longer and longer.
    pub overused: bool,
    /// A queue neither grows nor empties.
    pub steady: bool,
    /// We send less than the path may carry.
    pub limited: bool,
    /// The rate that arrives, and the same right before the latest arrival, in bits per second.
    pub acked: f64,
    /// See `acked`.
    pub newest_acked: f64,
    /// The rate need not grow beyond this, in bits per second.
    pub enough: f64,
    /// Seconds.
    pub round_trip: f64,
}

/// The controller; see the module.
#[derive(Debug)]
pub struct RateControl {
    rate: f64,
    changed_at: f64,
    reduced_at: f64,
    capacity: Capacity,
}

impl RateControl {
    /// Begin with this rate, in bits per second.
    pub fn new(rate: f64, now: f64) -> Self {
        Self { rate, changed_at: now, reduced_at: f64::NEG_INFINITY, capacity: Capacity::default() }
    }

    /// Bits per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// When the rate was reduced last, in seconds.
    pub fn reduced_at(&self) -> f64 {
        self.reduced_at
    }

    /// A measurement has shown another rate.
    pub fn set(&mut self, rate: f64, now: f64) {
        (self.rate, self.changed_at) = (rate, now);
    }

    /// No feedback comes: multiply the rate.
    pub fn fall(&mut self, factor: f64, now: f64) {
        self.set((factor * self.rate).max(LEAST_RATE), now);
    }

    /// Follow the newest feedback.
    pub fn update(&mut self, observed: &Observed, now: f64) {
        if observed.overused {
            self.reduce(observed, now);
        } else if observed.steady && !observed.limited {
            self.grow(observed, now);
        }
        self.changed_at = now;
    }

    fn reduce(&mut self, observed: &Observed, now: f64) {
        if now - self.reduced_at < observed.round_trip + RESPONSE {
            return;
        }
        self.reduced_at = now;
        let carried = observed.newest_acked;
        let least = if observed.limited {
            LIMITED_REDUCTION * self.rate
        } else {
            if self.capacity.compare(carried).is_some_and(|side| side < 0) {
                self.capacity = Capacity::default();
            }
            self.capacity.add(carried);
            0.0
        };
        self.rate = self.rate.min((REDUCTION * carried).max(least).max(LEAST_RATE));
    }

    fn grow(&mut self, observed: &Observed, now: f64) {
        let most = (MOST_OF_ACKED * observed.acked + ABOVE_ACKED).min(observed.enough);
        let passed = (now - self.changed_at).clamp(0.0, 1.0);
        let side = self.capacity.compare(observed.acked);
        if side == Some(1) {
            self.capacity = Capacity::default();
        }
        let grown = if side == Some(0) {
            self.rate + self.gradual_growth(observed.round_trip) * passed
        } else {
            self.rate * GROWTH.powf(passed) + LEAST_GROWTH * passed
        };
        self.rate = self.rate.max(grown.min(most));
    }

    /// Half a packet in each response time, in bits per second for each second: near the capacity.
    fn gradual_growth(&self, round_trip: f64) -> f64 {
        let frame = self.rate / FRAMES;
        let packet = frame / (frame / PACKET).ceil().max(1.0);
        (0.5 * packet / (round_trip + RESPONSE)).max(LEAST_GROWTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Observed = Observed {
        overused: false,
        steady: true,
        limited: false,
        acked: 1e6,
        newest_acked: 1e6,
        enough: 1e9,
        round_trip: 0.05,
    };
    const OVERUSED: Observed = Observed { overused: true, steady: false, ..STEADY };

    #[test]
    fn the_rate_grows_by_eight_per_cent_a_second_up_to_what_arrives() {
        let mut control = RateControl::new(1e6, 0.0);
        (1..=10).for_each(|step| control.update(&STEADY, f64::from(step) * 0.1));
        assert!((control.rate() / 1.08e6 - 1.0).abs() < 0.01, "{}", control.rate());
        (1..=1000).for_each(|step| control.update(&STEADY, 1.0 + f64::from(step) * 0.1));
        assert_eq!(control.rate(), 1.51e6);
    }

    #[test]
    fn a_sender_below_its_share_does_not_grow() {
        let mut control = RateControl::new(1e6, 0.0);
        (1..=100).for_each(|step| control.update(&Observed { limited: true, ..STEADY }, f64::from(step) * 0.1));
        assert_eq!(control.rate(), 1e6);
    }

    #[test]
    fn overuse_reduces_once_in_a_response_time() {
        let mut control = RateControl::new(2e6, 0.0);
        control.update(&OVERUSED, 1.0);
        assert_eq!(control.rate(), 0.85e6);
        control.update(&Observed { newest_acked: 0.5e6, ..OVERUSED }, 1.1);
        assert_eq!(control.rate(), 0.85e6);
        control.update(&Observed { newest_acked: 0.5e6, ..OVERUSED }, 1.2);
        assert_eq!(control.rate(), 0.425e6);
        control.update(&Observed { newest_acked: 2e6, ..OVERUSED }, 1.5);
        assert_eq!(control.rate(), 0.425e6, "overuse raises nothing");
    }

    #[test]
    fn near_the_capacity_the_rate_grows_gradually() {
        let mut control = RateControl::new(2e6, 0.0);
        (0..20).for_each(|step| control.update(&OVERUSED, f64::from(step)));
        let before = control.rate();
        control.update(&STEADY, 20.0);
        let grown = control.rate() - before;
        assert!((20_000.0..40_000.0).contains(&grown), "{grown}");
    }

    #[test]
    fn what_arrives_from_a_limited_sender_says_little() {
        let mut control = RateControl::new(2e6, 0.0);
        control.update(&Observed { limited: true, newest_acked: 0.1e6, ..OVERUSED }, 1.0);
        assert_eq!(control.rate(), 1.4e6);
    }

    #[test]
    fn a_rate_that_was_reduced_to_nothing_is_soon_worth_something_again() {
        let mut control = RateControl::new(1e6, 0.0);
        (0..100).for_each(|step| control.update(&Observed { newest_acked: 0.0, ..OVERUSED }, f64::from(step)));
        assert_eq!(control.rate(), LEAST_RATE);
        (0..60).for_each(|_| control.fall(0.8, 100.0));
        assert_eq!(control.rate(), LEAST_RATE);
    }
}
