//! Whether we send less than the estimate, so that nothing shows what the path carries.

/// We use the path while we send this share of the estimate.
const USED: f64 = 0.65;
/// The unused share of the window's bytes from which on we are limited, and below which we are not any more.
const BEGINS: f64 = 0.8;
const ENDS: f64 = 0.5;
const WINDOW: f64 = 0.5; // seconds

/// A budget that fills at the used share of the estimate, and that sent bytes empty.
#[derive(Debug)]
pub struct ApplicationLimit {
    budget: f64,
    changed_at: f64,
    limited: bool,
}

impl ApplicationLimit {
    /// Limited from the beginning: nothing was sent.
    pub fn new(now: f64) -> Self {
        Self { budget: 0.0, changed_at: now, limited: true }
    }

    /// `sent` bytes left since the last call.  `estimate` is in bits per second.
    pub fn update(&mut self, sent: usize, estimate: f64, now: f64) {
        let rate = USED * estimate / 8.0;
        let most = rate * WINDOW;
        let passed = (now - self.changed_at).clamp(0.0, 2.0 * WINDOW);
        self.changed_at = now;
        self.budget = (self.budget + rate * passed - sent as f64).clamp(-most, most);
        self.limited = self.budget > most * if self.limited { ENDS } else { BEGINS };
    }

    /// Whether we send less than the path may carry.
    pub fn is_limited(&self) -> bool {
        self.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_below_its_share_is_limited() {
        let mut limit = ApplicationLimit::new(0.0);
        assert!(limit.is_limited());
        let mut send = |from: u32, to: u32, rate: f64| {
            (from..to).for_each(|step| limit.update((rate / 80.0) as usize, 1e6, f64::from(step) * 0.1));
            limit.is_limited()
        };
        assert!(!send(1, 30, 0.9e6));
        assert!(send(30, 80, 0.5e6));
        assert!(!send(80, 200, 0.7e6));
    }
}
