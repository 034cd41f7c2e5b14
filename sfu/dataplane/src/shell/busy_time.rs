//! How much of its time a thread is busy, for other threads to read.

use std::sync::atomic::{AtomicU64, Ordering};

/// The time for which a thread did not wait.  The thread writes it, and any thread reads it without a lock.
///
/// One number holds all, so that no reader sees half of a change.  While the thread waits, it is the busy time so far.
/// While the thread is busy, it is negative: `-1 - since`.  The busy time is then the time since `since`, the moment at
/// which the thread would have begun if it had never waited.
pub struct BusyTime(AtomicU64);

impl BusyTime {
    /// A thread that is busy from `now` on, in seconds.  The clock must not be negative.
    pub fn since(now: f64) -> Self {
        Self(AtomicU64::new((-1.0 - now).to_bits()))
    }

    /// The thread begins to wait.
    pub fn pause(&self, now: f64) {
        self.0.store(self.seconds(now).to_bits(), Ordering::Release);
    }

    /// The thread has waited.
    pub fn resume(&self, now: f64) {
        self.0.store((-1.0 - (now - self.seconds(now))).to_bits(), Ordering::Release);
    }

    /// The busy time so far, in seconds.
    pub fn seconds(&self, now: f64) -> f64 {
        let number = f64::from_bits(self.0.load(Ordering::Acquire));
        if number < 0.0 { (now + 1.0 + number).max(0.0) } else { number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_without_waiting_counts() {
        let busy = BusyTime::since(0.0);
        assert_eq!(busy.seconds(2.0), 2.0);
        busy.pause(3.0);
        assert_eq!(busy.seconds(3.0), 3.0);
        assert_eq!(busy.seconds(9.0), 3.0, "a wait that goes on");
        busy.resume(10.0);
        assert_eq!(busy.seconds(10.0), 3.0);
        assert_eq!(busy.seconds(10.5), 3.5);
        busy.pause(11.0);
        busy.resume(12.0);
        assert_eq!(busy.seconds(12.0), 4.0);
    }

    #[test]
    fn a_wait_that_begins_twice_counts_once() {
        let busy = BusyTime::since(5.0);
        busy.pause(6.0);
        busy.pause(7.0);
        assert_eq!(busy.seconds(8.0), 1.0);
        busy.resume(8.0);
        busy.resume(9.0);
        assert_eq!(busy.seconds(9.0), 2.0);
    }
}
