//! A small model of the allocator: one stream with three layers.

use super::super::{Crossing, Why};

pub const LAYERS: [f64; 3] = [0.15e6, 0.5e6, 2.5e6]; // bits per second
/// The share of the estimate that media may use.
const BUDGET: f64 = 0.9;
/// Seconds between a change and the next step up.
const APART: f64 = 2.0;
/// A step up that is taken back within this time has failed, in seconds.
const FAILED: f64 = 10.0;
/// Seconds until the next step up after a failed one, and the factor for each further failure.
const BACK_OFF: f64 = 5.0;
const FURTHER: f64 = 1.5;

pub struct Allocator {
    /// The number of layers that are sent.
    pub level: usize,
    /// Each change: its time, and the level from then on.
    pub changes: Vec<(f64, usize)>,
    pub failures: i32,
    up_at: f64,
    proven: bool,
}

fn rate(level: usize) -> f64 {
    level.checked_sub(1).map_or(0.0, |layer| LAYERS[layer])
}

impl Allocator {
    pub fn new(level: usize) -> Self {
        Self { level, changes: vec![(0.0, level)], failures: 0, up_at: 0.0, proven: false }
    }

    pub fn used(&self) -> f64 {
        rate(self.level)
    }

    /// The estimate that the next step needs.
    pub fn next(&self, now: f64) -> Option<f64> {
        (self.level < LAYERS.len() && now >= self.up_at - APART).then(|| rate(self.level + 1) / BUDGET)
    }

    /// A crossing, or a look at the clock.  Returns whether anything changed.
    pub fn decide(&mut self, crossing: Option<Crossing>, estimate: f64, now: f64) -> bool {
        match crossing.map(|crossing| crossing.why) {
            Some(Why::BelowUsed) => {
                let level = (0..self.level).rev().find(|level| rate(*level) <= BUDGET * estimate).unwrap_or(0);
                let raised = self.changes.last().is_some_and(|(at, before)| *before == self.level && now - at < FAILED);
                let was_raise = self.changes.len() > 1 && self.changes[self.changes.len() - 2].1 < self.level;
                if raised && was_raise {
                    self.failures += 1;
                    self.up_at = now + BACK_OFF * FURTHER.powi(self.failures - 1);
                } else {
                    self.up_at = now + APART;
                }
                self.proven = false;
                return self.set(level, now);
            }
            Some(Why::NextProven) => self.proven = true,
            Some(Why::Blind | Why::Heard) | None => {}
        }
        let fits = self.level < LAYERS.len() && rate(self.level + 1) <= BUDGET * estimate;
        if self.proven && fits && now >= self.up_at {
            self.proven = false;
            self.up_at = now + APART;
            return self.set(self.level + 1, now);
        }
        false
    }

    fn set(&mut self, level: usize, now: f64) -> bool {
        let changed = level != self.level;
        self.level = level;
        if changed {
            self.changes.push((now, level));
        }
        changed
    }

    /// The level at a time.
    pub fn level_at(&self, time: f64) -> usize {
        self.changes.iter().rev().find(|(at, _)| *at <= time).map_or(0, |(_, level)| *level)
    }
}
