//! The smallest of the newest measurements.

/// The minimum of about the last two `window`s.
///
/// A minimum over all time would never rise again.  So the measurements are in two buckets, and the older bucket goes
/// when the newer one is as old as a window.  Without new measurements nothing goes: an old value is better than none.
#[derive(Clone, Copy, Debug)]
pub struct WindowedMinimum {
    window: f64,
    began_at: f64,
    newer: f64,
    older: f64,
}

impl WindowedMinimum {
    /// Nothing was measured yet.  `window` in seconds.
    pub fn new(window: f64) -> Self {
        Self { window, began_at: f64::NEG_INFINITY, newer: f64::INFINITY, older: f64::INFINITY }
    }

    /// Add a measurement made at `now`, in seconds.
    pub fn add(&mut self, value: f64, now: f64) {
        if now - self.began_at >= self.window {
            (self.older, self.newer, self.began_at) = (self.newer, f64::INFINITY, now);
        }
        self.newer = self.newer.min(value);
    }

    /// The minimum; `None` before the first measurement.
    pub fn get(&self) -> Option<f64> {
        Some(self.newer.min(self.older)).filter(|value| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_value_counts_and_goes_after_two_windows() {
        let mut minimum = WindowedMinimum::new(5.0);
        assert_eq!(minimum.get(), None);
        for (now, value, expected) in [
            (0.0, 0.3, 0.3),
            (1.0, 0.1, 0.1),
            (2.0, 0.2, 0.1),
            (5.0, 0.4, 0.1),
            (9.9, 0.5, 0.1),
            (10.0, 0.6, 0.4),
            (99.0, 0.7, 0.6),
            (200.0, 0.8, 0.7),
        ] {
            minimum.add(value, now);
            assert_eq!(minimum.get(), Some(expected), "at {now}");
        }
    }
}
