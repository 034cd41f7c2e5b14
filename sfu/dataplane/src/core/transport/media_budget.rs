//! How much one client may send: packets and bytes of RTP and RTCP.
//!
//! A datagram counts before it is decrypted, so that a flood costs little.  Somebody who forges the client's address
//! can use the budget up.  This harms that client alone.  It must not close the client's transport, so only packets
//! with the client's keys count as [`Excess`].

/// What one client may send in the long run.  At once it may send as much as in one second.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct MediaLimits {
    pub packets_per_second: f64,
    pub bits_per_second: f64,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self { packets_per_second: f64::INFINITY, bits_per_second: f64::INFINITY }
    }
}

/// Whether a datagram may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is within the budget.
    Within,
    /// It is beyond the budget, and opened all the same.  If it is authentic, so many datagrams of the client were
    /// beyond the budget.
    Sample(u32),
    /// It is beyond the budget.
    Beyond,
}

/// One of so many datagrams beyond the budget is opened, to learn whether the client itself sends them.
const SAMPLED: u32 = 64;

/// The packets and bytes that are left.  Both are counted down, and filled up only when one has run out, so that a
/// packet costs two subtractions.
#[derive(Clone, Copy, Debug)]
pub struct MediaBudget {
    packets: f64,
    bytes: f64,
    /// When it was filled up, in seconds.
    filled_at: f64,
    beyond: u32,
}

impl Default for MediaBudget {
    fn default() -> Self {
        // Long ago, so that it is full at first, whenever the clock began.
        Self { packets: 0.0, bytes: 0.0, filled_at: f64::NEG_INFINITY, beyond: 0 }
    }
}

impl MediaBudget {
    /// Count a datagram of `size` bytes that came at `now`, in seconds.
    #[inline]
    pub fn take(&mut self, size: usize, limits: &MediaLimits, now: f64) -> Admission {
        self.packets -= 1.0;
        self.bytes -= size as f64;
        if self.packets >= 0.0 && self.bytes >= 0.0 { Admission::Within } else { self.fill(size, limits, now) }
    }

    #[cold]
    fn fill(&mut self, size: usize, limits: &MediaLimits, now: f64) -> Admission {
        let passed = (now - self.filled_at).clamp(0.0, 1.0);
        // Without a limit and without time, the product is not a number, and the smaller one of both is the limit.
        let filled = |left: f64, a_second: f64| (left + a_second * passed).min(a_second);
        let packets = filled(self.packets, limits.packets_per_second);
        let bytes = filled(self.bytes, limits.bits_per_second / 8.0);
        if packets >= 0.0 && bytes >= 0.0 {
            (self.packets, self.bytes, self.filled_at) = (packets, bytes, now);
            return Admission::Within;
        }
        self.packets += 1.0;
        self.bytes += size as f64;
        self.beyond += 1;
        if self.beyond < SAMPLED {
            return Admission::Beyond;
        }
        self.beyond = 0;
        Admission::Sample(SAMPLED)
    }
}

/// Seconds after which an excess is forgotten if it does not go on.
const FORGOTTEN_AFTER: f64 = 10.0;
/// Datagrams and requests beyond the limits after which a transport closes.
const TOLERATED: u32 = 20_000;

/// What the client itself has sent beyond its limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Excess {
    count: u32,
    /// When it grew last, in seconds.
    at: f64,
    reported: bool,
}

impl Excess {
    /// The client sent so much beyond its limits.  Gives true once: when its transport has to close.
    pub fn add(&mut self, count: u32, now: f64) -> bool {
        let before = if now - self.at < FORGOTTEN_AFTER { self.count } else { 0 };
        (self.count, self.at) = (before.saturating_add(count), now);
        self.count >= TOLERATED && !std::mem::replace(&mut self.reported, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MediaLimits = MediaLimits { packets_per_second: 1000.0, bits_per_second: 8e6 };

    /// How many of the packets, which come at this rate for this time, are within the budget.
    fn within(budget: &mut MediaBudget, size: usize, rate: f64, seconds: f64, since: f64) -> usize {
        let times = (0..(rate * seconds) as usize).map(|number| since + number as f64 / rate);
        times.filter(|&now| budget.take(size, &LIMITS, now) == Admission::Within).count()
    }

    #[test]
    fn a_client_within_its_limits_loses_nothing() {
        assert_eq!(within(&mut MediaBudget::default(), 900, 999.0, 60.0, 1.0), 59_940);
        assert_eq!(within(&mut MediaBudget::default(), 1200, 820.0, 60.0, 1.0), 49_200);
    }

    #[test]
    fn packets_and_bytes_are_limited_in_the_long_run() {
        for (size, rate) in [(100, 5000.0), (10_000, 1000.0)] {
            let admitted = within(&mut MediaBudget::default(), size, rate, 60.0, 1.0);
            let expected = (60_000.0 * (1000.0 / size as f64).min(1.0)) as usize;
            assert!((expected..expected + 1100).contains(&admitted), "{admitted} of {expected}");
        }
    }

    #[test]
    fn a_new_client_may_send_a_seconds_worth_at_once() {
        let mut budget = MediaBudget::default();
        assert!((0..1000).all(|_| budget.take(100, &LIMITS, 0.0) == Admission::Within));
        assert_eq!(budget.take(100, &LIMITS, 0.0), Admission::Beyond);
    }

    #[test]
    fn a_client_that_was_quiet_may_send_at_most_two_seconds_worth_at_once() {
        let mut budget = MediaBudget::default();
        within(&mut budget, 100, 100.0, 1.0, 1.0);
        let at_once = (0..9000).filter(|_| budget.take(100, &LIMITS, 99.0) == Admission::Within).count();
        assert!((1000..=2000).contains(&at_once), "{at_once}");
    }

    #[test]
    fn a_few_of_the_datagrams_beyond_the_budget_are_samples() {
        let mut budget = MediaBudget::default();
        within(&mut budget, 100, 1e6, 0.01, 1.0);
        let samples = (0..64_000).filter(|_| budget.take(100, &LIMITS, 1.01) == Admission::Sample(SAMPLED)).count();
        assert!((990..=1000).contains(&samples), "{samples}");
    }

    #[test]
    fn without_limits_nothing_is_beyond() {
        let (mut budget, limits) = (MediaBudget::default(), MediaLimits::default());
        assert!((0..99_999).all(|_| budget.take(1400, &limits, 1.0) == Admission::Within));
    }

    #[test]
    fn an_excess_that_goes_on_is_reported_once_and_one_that_ends_is_forgotten() {
        let mut excess = Excess::default();
        assert!(!excess.add(TOLERATED - 1, 1.0));
        assert!(!excess.add(1, 20.0), "the first one is forgotten");
        assert!(excess.add(TOLERATED - 1, 21.0));
        assert!(!excess.add(TOLERATED, 22.0));
    }
}
