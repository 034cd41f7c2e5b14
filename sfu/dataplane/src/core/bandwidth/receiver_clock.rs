//! The receiver's clock: feedback has its times modulo 12 days, and it may jump.

const TICK: f64 = 250e-6; // seconds
/// A larger difference between our clock and the receiver's over the time of one feedback is a jump, in seconds.
const JUMP: f64 = 0.25;

/// Turns the ticks of feedback into seconds without a wrap, and notices jumps.
#[derive(Debug, Default)]
pub struct ReceiverClock {
    /// The newest ticks, and the same without a wrap.
    newest: Option<(i64, i64)>,
    /// Our time, and the latest arrival that the feedback had, in seconds.
    last_feedback: Option<(f64, f64)>,
}

impl ReceiverClock {
    /// The time of an arrival in seconds, on a clock whose zero is anywhere.
    pub fn seconds(&mut self, ticks: i64) -> f64 {
        let (before, total) = self.newest.unwrap_or((ticks, 0));
        let total = total + i64::from((ticks - before) as i32); // 2³² ticks are one round
        self.newest = Some((ticks, total));
        total as f64 * TICK
    }

    /// Whether the clock has jumped since the last feedback.  `arrival` is the latest one in this feedback, and `now`
    /// the time at which it came.
    ///
    /// Where the path delays packets, the feedback about them comes as much later.  Only a clock that jumps separates
    /// the two.
    pub fn jumped(&mut self, arrival: f64, now: f64) -> bool {
        let jumped = |(at, last): (f64, f64)| ((arrival - last) - (now - at)).abs() > JUMP;
        self.last_feedback.replace((now, arrival)).is_some_and(jumped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_wrap_without_a_jump() {
        let mut clock = ReceiverClock::default();
        let first = clock.seconds((1 << 31) - 400);
        assert!((clock.seconds(-(1 << 31)) - first - 0.1).abs() < 1e-9);
        assert!((clock.seconds((1 << 31) - 400) - first).abs() < 1e-9, "an older time again");
    }

    #[test]
    fn a_late_feedback_is_no_jump_and_a_step_is_one() {
        let mut clock = ReceiverClock::default();
        assert!(!clock.jumped(5.0, 100.0));
        assert!(!clock.jumped(5.1, 100.1));
        assert!(!clock.jumped(7.0, 102.0), "both stood still");
        assert!(clock.jumped(17.1, 102.1));
        assert!(!clock.jumped(17.2, 102.2));
        assert!(clock.jumped(7.3, 102.3));
    }
}
