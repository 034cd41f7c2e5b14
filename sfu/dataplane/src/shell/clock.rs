//! The caller's clock, read in the thread.

use std::time::Instant;

/// Seconds on a clock that another keeps; both go at the same speed.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    offset: f64,
}

impl Clock {
    /// It is `now` on the caller's clock.
    pub fn starting_at(now: f64) -> Self {
        Self { start: Instant::now(), offset: now }
    }

    /// In seconds.
    pub fn now(&self) -> f64 {
        self.offset + self.start.elapsed().as_secs_f64()
    }
}
