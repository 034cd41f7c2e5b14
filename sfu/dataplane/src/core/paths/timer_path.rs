//! The core at a deadline.

use crate::core::engine::Core;
use crate::core::engine::timers::{Timer, TransportTimer};

impl Core {
    /// The next deadline, in seconds.
    pub fn next_due(&self) -> Option<f64> {
        self.timers.next_due()
    }

    /// Handle every deadline up to `now` (seconds), except that only [`Core::flush`] sends.
    pub fn pass_time(&mut self, now: f64) {
        let mut flush_due = false;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Flush => flush_due = true,
                Timer::Transport(TransportTimer::Consent, key) => self.check_consent(key, now),
                Timer::Transport(TransportTimer::ReceiverReport, key) => self.send_receiver_reports(key, now),
                Timer::Transport(TransportTimer::Nack, key) => self.ask_for_missing(key, now),
                Timer::Transport(TransportTimer::Path, key) => self.review_paths(key, now),
                Timer::Transport(TransportTimer::Feedback, key) => self.send_feedback(key, now),
                Timer::Transport(TransportTimer::Bandwidth, key) => self.review_bandwidth(key, now),
            }
        }
        // The batches still wait, so the timer stays due: the shell calls `flush` next.
        if flush_due {
            self.timers.arm(Timer::Flush, now);
        }
    }
}
