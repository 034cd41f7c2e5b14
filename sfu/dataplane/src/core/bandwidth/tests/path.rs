//! One direction of an emulated path with a bottleneck: its rate, its queue, and its faults.

use crate::core::tests::fuzz::Dice;

/// A policer: it passes bursts, and drops what is above its rate in the long run.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Bits per second.
    pub rate: f64,
    /// Bytes.
    pub size: f64,
}

/// Times in seconds, rates in bits per second, shares from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub rate: f64,
    /// The longest wait in the queue; a packet that would wait longer is dropped.
    pub queue: f64,
    pub delay: f64,
    /// Up to this much more delay for each packet by itself.  Packets overtake each other.
    pub jitter: f64,
    pub loss: f64,
    pub bucket: Option<TokenBucket>,
}

impl Conditions {
    /// A path of this rate, with 20 ms one way and a queue of 300 ms.
    pub const fn of(rate: f64) -> Self {
        Self { rate, queue: 0.3, delay: 0.02, jitter: 0.0, loss: 0.0, bucket: None }
    }
}

pub struct Path {
    conditions: Conditions,
    dice: Dice,
    /// When the link has sent everything that waits.
    free_at: f64,
    tokens: f64,
    filled_at: f64,
}

impl Path {
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        let tokens = conditions.bucket.map_or(0.0, |bucket| bucket.size);
        Self { conditions, dice: Dice::new(seed), free_at: 0.0, tokens, filled_at: 0.0 }
    }

    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// From now on the path has other conditions.  What waits leaves at the new rate.
    pub fn change(&mut self, conditions: Conditions, now: f64) {
        self.free_at = now + self.queued(now) * self.conditions.rate / conditions.rate;
        self.conditions = conditions;
    }

    /// How long a packet would wait that comes now.
    pub fn queued(&self, now: f64) -> f64 {
        (self.free_at - now).max(0.0)
    }

    /// A packet comes to the path.  Returns when it arrives; `None` if it is lost.
    pub fn send(&mut self, size: usize, now: f64) -> Option<f64> {
        let Conditions { rate, queue, delay, jitter, loss, bucket } = self.conditions;
        if bucket.is_some_and(|bucket| !self.take_tokens(bucket, size, now)) || self.queued(now) > queue {
            return None;
        }
        self.free_at = self.free_at.max(now) + 8.0 * size as f64 / rate;
        let arrival = self.free_at + delay + jitter * self.dice.share();
        (!self.dice.chance(loss)).then_some(arrival)
    }

    fn take_tokens(&mut self, bucket: TokenBucket, size: usize, now: f64) -> bool {
        self.tokens = (self.tokens + bucket.rate / 8.0 * (now - self.filled_at)).min(bucket.size);
        self.filled_at = now;
        let passes = self.tokens >= size as f64;
        self.tokens -= if passes { size as f64 } else { 0.0 };
        passes
    }
}

#[test]
fn a_path_has_its_rate_and_its_queue() {
    let mut path = Path::new(Conditions::of(1e6), 1);
    let arrivals: Vec<_> = (0..100).map(|_| path.send(1250, 1.0)).collect();
    assert!(arrivals[0].is_some_and(|at| (at - 1.03).abs() < 1e-9));
    assert!(arrivals[9].is_some_and(|at| (at - 1.12).abs() < 1e-9));
    assert!((30..=32).contains(&arrivals.iter().flatten().count()));
    assert!((path.queued(1.1) - 0.21).abs() < 0.02);
    path.change(Conditions::of(2e6), 1.1);
    assert!((path.queued(1.1) - 0.105).abs() < 0.01);
}

#[test]
fn a_token_bucket_passes_a_burst_and_then_its_rate() {
    let bucket = Some(TokenBucket { rate: 1e6, size: 50_000.0 });
    let mut path = Path::new(Conditions { bucket, ..Conditions::of(100e6) }, 1);
    assert_eq!((0..100).filter(|_| path.send(1000, 0.0).is_some()).count(), 50);
    let passed = (1..=2000).filter(|step| path.send(1000, f64::from(*step) * 0.004).is_some()).count();
    assert!((990..1010).contains(&passed), "{passed}");
}
