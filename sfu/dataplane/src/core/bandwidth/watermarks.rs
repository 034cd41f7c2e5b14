//! What the slow path learns: that the estimate crossed a mark, not each estimate.

use super::interface::{Crossing, Why};

/// Seconds between two crossings.
const APART: f64 = 0.5;
/// The estimate must fall by this factor below the reported one to be reported again, or rise above the mark by the
/// other one before the mark counts anew.
const FURTHER: f64 = 0.95;
const BACK: f64 = 1.05;
/// Rates that differ by less are the same aim.
const SAME: f64 = 0.02;

/// The marks, and the crossing that waits.
#[derive(Debug)]
pub struct Watermarks {
    used: f64,
    /// The estimate with which the mark was last reported as crossed.
    reported: Option<f64>,
    waiting: Option<Crossing>,
    taken_at: f64,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { used: 0.0, reported: None, waiting: None, taken_at: f64::NEG_INFINITY }
    }
}

impl Watermarks {
    /// This rate is in use from now on, in bits per second.
    pub fn set_used(&mut self, used: f64) {
        if (used - self.used).abs() > SAME * self.used {
            self.reported = None;
            self.waiting.take_if(|crossing| crossing.why == Why::BelowUsed);
        }
        self.used = used;
    }

    /// The estimate changed.
    pub fn on_estimate(&mut self, estimate: f64) {
        if estimate >= self.used {
            self.waiting.take_if(|crossing| crossing.why == Why::BelowUsed);
            if estimate >= BACK * self.used {
                self.reported = None;
            }
        } else if self.reported.is_none_or(|reported| estimate < FURTHER * reported) {
            self.reported = Some(estimate);
            self.waiting = Some(Crossing { estimate, why: Why::BelowUsed });
        }
    }

    /// Something else is to be reported.  It does not displace that the estimate is below what is in use.
    pub fn report(&mut self, estimate: f64, why: Why) {
        if self.waiting.is_none_or(|crossing| crossing.why != Why::BelowUsed) {
            self.waiting = Some(Crossing { estimate, why });
        }
    }

    /// When a crossing can be taken; infinite if none waits.
    pub fn due(&self) -> f64 {
        if self.waiting.is_some() { self.taken_at + APART } else { f64::INFINITY }
    }

    /// The newest crossing, at most two a second.
    pub fn take(&mut self, now: f64) -> Option<Crossing> {
        let crossing = self.waiting.take_if(|_| now >= self.taken_at + APART)?;
        self.taken_at = now;
        Some(crossing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_reported_once_until_it_gets_worse() {
        let mut marks = Watermarks::default();
        marks.set_used(1e6);
        marks.on_estimate(1.2e6);
        assert_eq!(marks.take(0.0), None);
        marks.on_estimate(0.9e6);
        assert_eq!(marks.take(0.1), Some(Crossing { estimate: 0.9e6, why: Why::BelowUsed }));
        marks.on_estimate(0.89e6);
        assert_eq!(marks.take(1.0), None);
        marks.on_estimate(0.8e6);
        assert!(marks.take(1.1).is_some());
        marks.on_estimate(0.7e6);
        assert_eq!((marks.take(1.2), marks.due()), (None, 1.6));
        assert!(marks.take(1.6).is_some_and(|crossing| crossing.estimate == 0.7e6));
    }

    #[test]
    fn what_is_below_comes_first_and_goes_when_it_is_over() {
        let mut marks = Watermarks::default();
        marks.set_used(1e6);
        marks.on_estimate(0.9e6);
        marks.report(0.9e6, Why::Blind);
        assert_eq!(marks.waiting.map(|crossing| crossing.why), Some(Why::BelowUsed));
        marks.on_estimate(1e6);
        assert_eq!(marks.take(0.0), None);
        marks.report(2e6, Why::NextProven);
        assert!(marks.take(0.0).is_some());
    }
}
