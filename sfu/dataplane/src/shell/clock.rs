//! The caller's clock, for the thread to read.

use std::time::Instant;

/// The caller's clock, which runs at the speed of the system's monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    offset: f64,
}

impl Clock {
    /// A clock that shows `now` at this moment, in seconds.
    pub fn starting_at(now: f64) -> Self {
        Self { start: Instant::now(), offset: now }
    }

    /// The time now, in seconds.
    pub fn now(&self) -> f64 {
        self.offset + self.start.elapsed().as_secs_f64()
    }
}
