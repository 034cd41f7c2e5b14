//! Maps the kernel's time stamps of datagrams to the clock of the core.
//!
//! The stamps are on the system's wall clock, which somebody may set at any time.  So their age counts, and only while
//! the wall clock keeps step with ours.

use std::time::Duration;

/// How far the clocks may move apart between two reads, in seconds, and as a share of the time between them.  The
/// kernel corrects the wall clock by 0.05 % at most, unless it sets it.
const JITTER: f64 = 0.001;
const DRIFT: f64 = 0.001;
/// The age in seconds from which on a stamp is not credible.  It may be from before a step of the clock.
const OLDEST: f64 = 1.0;

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    /// On our clock, in seconds.
    now: f64,
    /// On the wall clock, since 1970.
    wall: Duration,
}

/// The newest reading of both clocks.
#[derive(Default)]
pub struct ArrivalClock(Option<Reading>);

impl ArrivalClock {
    /// Take a reading of both clocks: ours in seconds, and the wall clock since 1970.
    ///
    /// Gives a function from a stamp to the time of the arrival on our clock, which is `now` or before.  Without a
    /// credible stamp it is `now`.
    pub fn read(&mut self, now: f64, wall: Duration) -> impl Fn(Option<Duration>) -> f64 + use<> {
        let was_set = self.0.replace(Reading { now, wall }).is_some_and(|before| {
            let passed = now - before.now;
            let on_wall = wall.as_secs_f64() - before.wall.as_secs_f64();
            (on_wall - passed).abs() > JITTER + DRIFT * passed
        });
        move |stamp| {
            let age = stamp.and_then(|stamp| wall.checked_sub(stamp)).map(|age| age.as_secs_f64());
            now - age.filter(|&age| age < OLDEST && !was_set).unwrap_or(0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_secs(1_800_000_000);

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A time in whole milliseconds: on the wall clock of today, a second has no more than seven decimals.
    fn rounded(seconds: f64) -> f64 {
        (1000.0 * seconds).round() / 1000.0
    }

    #[test]
    fn an_arrival_is_as_old_as_its_stamp() {
        let mut clock = ArrivalClock::default();
        let arrival = clock.read(50.0, WALL);
        assert_eq!(rounded(arrival(Some(WALL - milliseconds(7)))), 49.993);
        assert_eq!(arrival(None), 50.0);
        let arrival = clock.read(53.0, WALL + milliseconds(3001));
        assert_eq!(rounded(arrival(Some(WALL + milliseconds(2999)))), 52.998, "the wall clock is being corrected");
    }

    #[test]
    fn stamps_do_not_count_while_the_wall_clock_is_set() {
        let mut clock = ArrivalClock::default();
        let _ = clock.read(50.0, WALL);
        for wall in [WALL + milliseconds(300), WALL - milliseconds(200), milliseconds(5)] {
            let arrival = clock.read(50.01, wall);
            assert_eq!(arrival(Some(wall - milliseconds(5))), 50.01);
            let arrival = clock.read(50.02, wall + milliseconds(10));
            assert_eq!(rounded(arrival(Some(wall + milliseconds(6)))), 50.016);
        }
    }

    #[test]
    fn a_stamp_from_the_future_or_of_long_ago_is_not_credible() {
        let arrival = ArrivalClock::default().read(50.0, WALL);
        for stamp in [WALL + milliseconds(1), WALL - milliseconds(1001), Duration::ZERO] {
            assert_eq!(arrival(Some(stamp)), 50.0);
        }
    }
}
