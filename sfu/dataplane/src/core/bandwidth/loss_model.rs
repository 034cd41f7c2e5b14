//! A model of a path that loses: a share of everything, and all above a rate.

use std::collections::VecDeque;

const WINDOW: usize = 15; // observations
/// How much less each older observation counts.
const FADING: f64 = 0.9;
const LEAST_INHERENT: f64 = 1e-3;
/// A path may lose this share, plus this rate (bits per second) as a share of its own, without being too full.
const MOST_INHERENT: f64 = 0.05;
const INHERENT_RATE: f64 = 100_000.0;
const NEWTON_STEP: f64 = 0.75;
/// Of two explanations, the model prefers the higher rate, while less than this share is lost.
const PREFERENCE_ENDS: f64 = 0.2;
const PREFERENCE_SMOOTHING: f64 = 0.002;
const PREFERENCE: f64 = 0.0002; // per kbit/s
const LOG_PREFERENCE: f64 = 0.02;
/// More observations than this drop the best and the worst of them.
const FEW: usize = 3;
/// A rate this many times the median one explains its losses itself.
const SUDDEN: f64 = 2.0;

/// What was sent in some time, and what of it was lost.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// kB
    pub sent: f64,
    /// kB
    pub lost: f64,
    /// Bits per second.
    pub rate: f64,
}

impl Observation {
    fn loss(&self) -> f64 {
        if self.sent > 0.0 { self.lost / self.sent } else { 0.0 }
    }
}

/// A guess at the path.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Everything above is lost.  Bits per second.
    pub rate: f64,
    /// The share of the rest that is lost.
    pub inherent_loss: f64,
}

impl Channel {
    /// The share of a stream of this rate that the channel loses.
    fn loss(&self, rate: f64) -> f64 {
        let above = ((rate - self.rate) / rate).max(0.0);
        (self.inherent_loss + (1.0 - self.inherent_loss) * above).clamp(1e-6, 1.0 - 1e-6)
    }

    /// The channel with a share of losses that is possible for its rate.
    fn feasible(self) -> Self {
        let most = (MOST_INHERENT + INHERENT_RATE / self.rate.max(1.0)).min(1.0);
        Self { inherent_loss: self.inherent_loss.clamp(LEAST_INHERENT, most), ..self }
    }
}

/// The newest observations, and how well a channel explains them.
#[derive(Debug, Default)]
pub struct LossModel {
    /// The newest first.
    observations: VecDeque<Observation>,
    average: f64,
}

impl LossModel {
    /// Add the newest observation.
    pub fn add(&mut self, observation: Observation) {
        self.observations.truncate(WINDOW - 1);
        self.observations.push_front(observation);
        self.average = if self.is_lossless() { 0.0 } else { self.average() };
    }

    /// Whether nothing was lost in any observation.
    pub fn is_lossless(&self) -> bool {
        self.observations.iter().all(|observation| observation.lost == 0.0)
    }

    /// How many observations there are.
    pub fn count(&self) -> usize {
        self.observations.len()
    }

    /// The share that is lost, 0 to 1, without the best and the worst observation.
    pub fn average_loss(&self) -> f64 {
        self.average
    }

    /// The rate that the losses allow at once, in bits per second.
    pub fn upper_bound(&self) -> f64 {
        let above = self.average - MOST_INHERENT;
        if above > 0.0 { INHERENT_RATE / above } else { f64::INFINITY }
    }

    fn weighted(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let weights = std::iter::successors(Some(1.0), |weight| Some(weight * FADING));
        weights.zip(&self.observations)
    }

    fn average(&self) -> f64 {
        let total = |keep: &dyn Fn(usize) -> bool| {
            let kept = self.weighted().enumerate().filter(|(place, _)| keep(*place));
            let sums = kept.fold((0.0, 0.0), |(lost, sent), (_, (weight, observation))| {
                (lost + weight * observation.lost, sent + weight * observation.sent)
            });
            if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 }
        };
        if self.observations.len() <= FEW {
            return total(&|_| true);
        }
        let by_loss =
            |one: &usize, other: &usize| self.observations[*one].loss().total_cmp(&self.observations[*other].loss());
        let worst = (0..self.observations.len()).max_by(by_loss).unwrap_or(0);
        let best = (0..self.observations.len()).min_by(by_loss).unwrap_or(0);
        if self.observations[worst].rate >= SUDDEN * self.median_rate() {
            return total(&|_| true);
        }
        total(&|place| place != worst && place != best)
    }

    fn median_rate(&self) -> f64 {
        let mut rates = [0.0; WINDOW];
        rates.iter_mut().zip(&self.observations).for_each(|(rate, observation)| *rate = observation.rate);
        let rates = &mut rates[..self.observations.len()];
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }

    /// The channel of this rate whose own losses explain the observations best (a step of Newton's method).
    pub fn fit(&self, channel: Channel) -> Channel {
        let channel = channel.feasible();
        let derivatives = self.weighted().fold((0.0, 0.0), |(first, second), (weight, observation)| {
            let loss = channel.loss(observation.rate);
            let (lost, arrived) = (observation.lost, observation.sent - observation.lost);
            (
                first + weight * (lost / loss - arrived / (1.0 - loss)),
                second - weight * (lost / (loss * loss) + arrived / ((1.0 - loss) * (1.0 - loss))),
            )
        });
        if derivatives.1 >= 0.0 {
            return channel;
        }
        let inherent_loss = channel.inherent_loss - NEWTON_STEP * derivatives.0 / derivatives.1;
        Channel { inherent_loss, ..channel }.feasible()
    }

    /// How well a channel explains the observations: the logarithm of its likelihood, with the preference.
    pub fn score(&self, channel: &Channel) -> f64 {
        let preference = self.preference(channel.rate / 1e3);
        let scores = self.weighted().map(|(weight, observation)| {
            let loss = channel.loss(observation.rate);
            let arrived = observation.sent - observation.lost;
            weight * (observation.lost * loss.ln() + arrived * (1.0 - loss).ln() + preference * observation.sent)
        });
        scores.sum()
    }

    fn preference(&self, kilobits: f64) -> f64 {
        let distance = PREFERENCE_ENDS - self.average;
        // Never the other way: after a fall, losses at the former rate would lower a rate that loses nothing.
        let strength = distance.max(0.0) / (PREFERENCE_SMOOTHING + distance.abs());
        strength * (PREFERENCE * kilobits + LOG_PREFERENCE * (1.0 + kilobits).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(loss: f64) -> LossModel {
        let mut model = LossModel::default();
        (0..WINDOW).for_each(|_| model.add(Observation { sent: 60.0, lost: 60.0 * loss, rate: 2e6 }));
        model
    }

    #[test]
    fn few_losses_are_the_paths_own_and_many_are_ours() {
        let score = |model: &LossModel, rate| model.score(&model.fit(Channel { rate, inherent_loss: 0.01 }));
        let few = model(0.03);
        assert!(score(&few, 2.5e6) > score(&few, 1.9e6));
        let many = model(0.4);
        assert!(score(&many, 2.5e6) < score(&many, 1.2e6));
    }

    #[test]
    fn the_average_leaves_one_bad_moment_out() {
        let mut model = model(0.0);
        model.add(Observation { sent: 60.0, lost: 50.0, rate: 2e6 });
        assert_eq!(model.average_loss(), 0.0);
        model.add(Observation { sent: 600.0, lost: 500.0, rate: 20e6 });
        assert!(model.average_loss() > 0.3, "a sudden rate explains its losses");
    }

    #[test]
    fn the_upper_bound_begins_above_five_per_cent() {
        assert_eq!(model(0.04).upper_bound(), f64::INFINITY);
        assert!((model(0.1).upper_bound() / 2e6 - 1.0).abs() < 1e-6);
    }
}
