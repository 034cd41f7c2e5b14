//! The rate that losses allow.
//!
//! Losses alone do not mean that the path is too full: radio loses too.  So the controller looks for the channel that
//! explains them best, and lowers the rate only if that is one that we overfill.  This is the second version of
//! libwebrtc's controller.

use super::loss_model::{Channel, LossModel, Observation};

const OBSERVATION: f64 = 0.25; // seconds
/// Observations before the controller limits anything.
const LEAST_OBSERVATIONS: usize = 3;
const FACTORS: [f64; 3] = [1.02, 1.0, 0.95];
const FIRST_INHERENT: f64 = 0.01;
/// After a reduction, the rate grows to at most this multiple in each window of time (seconds).
const MOST_GROWTH: f64 = 1.3;
const GROWTH_WINDOW: f64 = 0.3;
/// Nor beyond this multiple of what arrives; the second one right above the rate at which it was reduced.
const MOST_OF_ACKED: f64 = 1.5;
const MOST_OF_ACKED_HELD: f64 = 1.2;
const HELD: f64 = 1.3;
/// Of the path's own losses, this share at most counts as a part of what it carries.
const MOST_COMPENSATED: f64 = 0.3;
/// How long a reduced rate is held, in seconds: first, and at most.  It doubles each time.
const FIRST_HOLD: f64 = 0.3;
const LONGEST_HOLD: f64 = 60.0;

/// What one feedback says about losses.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossReport {
    /// Bytes that it is about.
    pub bytes: usize,
    /// Bytes that are missing.
    pub lost: usize,
    /// Bytes that were reported as missing before, and have arrived.
    pub found: usize,
    /// Bytes whose feedback was lost.
    pub unreported: usize,
    /// The first and the last departure that it is about, in seconds.
    pub first_sent_at: f64,
    /// See `first_sent_at`.
    pub last_sent_at: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Losses limit nothing.
    Free,
    Increasing,
    Decreasing,
}

/// A rate that is held after a reduction.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until: f64,
    /// The duration of the next one.
    next: f64,
    rate: f64,
}

const NO_HOLD: Hold = Hold { until: f64::NEG_INFINITY, next: FIRST_HOLD, rate: f64::INFINITY };

/// The controller; see the module.
#[derive(Debug)]
pub struct LossControl {
    model: LossModel,
    /// Bytes of the observation that has begun.
    sent: usize,
    lost: usize,
    unreported: usize,
    /// When the last observation ended, as a departure in seconds.
    ended_at: Option<f64>,
    best: Option<Channel>,
    state: State,
    rate: f64,
    hold: Hold,
    /// The present window of growth: its begin, and its highest rate.
    growth: Option<(f64, f64)>,
}

impl Default for LossControl {
    fn default() -> Self {
        Self {
            model: LossModel::default(),
            sent: 0,
            lost: 0,
            unreported: 0,
            ended_at: None,
            best: None,
            state: State::Free,
            rate: f64::INFINITY,
            hold: NO_HOLD,
            growth: None,
        }
    }
}

impl LossControl {
    /// The rate in bits per second; infinite if losses limit nothing.
    pub fn rate(&self) -> f64 {
        if self.state == State::Free { f64::INFINITY } else { self.rate }
    }

    /// The share that the path loses, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.model.average_loss()
    }

    /// Multiply the rate.
    pub fn scale(&mut self, factor: f64) {
        self.rate *= factor;
        self.best.iter_mut().for_each(|best| best.rate *= factor);
    }

    /// A probe has shown that the path carries this rate, in bits per second.  It does not show what losses do to it.
    pub fn lift(&mut self, rate: f64) {
        let rate = rate.min(self.model.upper_bound());
        self.best.iter_mut().for_each(|best| best.rate = best.rate.max(rate));
        self.rate = self.rate.max(rate);
        self.hold.rate = self.hold.rate.max(rate);
        self.growth = None;
    }

    /// The losses until now were those of a transition.
    pub fn restart(&mut self) {
        *self = Self { ended_at: self.ended_at, ..Self::default() };
    }

    /// Follow the newest feedback.  `delay_rate` is what the delay allows, `acked` is what arrives, in bits per second.
    pub fn update(&mut self, report: &LossReport, delay_rate: f64, acked: f64, limited: bool) {
        let Some(now) = self.observe(report) else { return };
        if self.state == State::Free && self.model.is_lossless() {
            self.best = None; // the first loss finds the path as the delay shows it
            return;
        }
        let before = self.best.unwrap_or(Channel { rate: delay_rate, inherent_loss: FIRST_INHERENT });
        // To let so much arrive, we must send what the path loses anyway, too.
        let acked = acked / (1.0 - before.inherent_loss.min(MOST_COMPENSATED));
        let mut best = self.best_candidate(before, delay_rate, acked, limited);
        if self.model.average_loss() > best.inherent_loss {
            best.rate = best.rate.min(before.rate); // more is lost than the path's own share
        }
        if self.state != State::Free {
            best.rate = self.bound_growth(before.rate, best.rate, acked, now);
        }
        let bounded = best.rate.min(self.model.upper_bound()).min(delay_rate).max(acked);
        self.best = Some(if bounded < best.rate {
            Channel { rate: bounded, inherent_loss: 0.0 }
        } else {
            Channel { rate: best.rate.max(acked), ..best }
        });
        if self.model.count() >= LEAST_OBSERVATIONS {
            self.follow(bounded, delay_rate, acked, now);
        }
    }

    /// Add the report to the present observation.  Gives the time, as a departure, if that ends it.
    fn observe(&mut self, report: &LossReport) -> Option<f64> {
        self.sent += report.bytes;
        self.lost = (self.lost + report.lost).saturating_sub(report.found);
        self.unreported += report.unreported;
        let last = self.ended_at.get_or_insert(report.first_sent_at);
        let duration = report.last_sent_at - *last;
        if duration < OBSERVATION {
            return None;
        }
        *last = report.last_sent_at;
        self.model.add(Observation {
            sent: self.sent as f64 / 1e3,
            lost: self.lost.min(self.sent) as f64 / 1e3,
            rate: ((self.sent + self.unreported) as f64 * 8.0 / duration).max(1.0),
        });
        (self.sent, self.lost, self.unreported) = (0, 0, 0);
        Some(report.last_sent_at)
    }

    fn best_candidate(&self, before: Channel, delay_rate: f64, acked: f64, limited: bool) -> Channel {
        let mut rates = [before.rate; 5];
        rates.iter_mut().zip(FACTORS).for_each(|(rate, factor)| *rate *= factor);
        if !limited {
            rates[3] = acked;
        }
        rates[4] = delay_rate.max(before.rate);
        let most = self.growth.filter(|_| self.state != State::Free).map_or(f64::INFINITY, |(_, most)| most);
        let candidates = rates.map(|rate| {
            self.model.fit(Channel { rate: rate.min(most.max(before.rate)), inherent_loss: before.inherent_loss })
        });
        let best =
            candidates.iter().map(|one| (self.model.score(one), one)).max_by(|one, other| one.0.total_cmp(&other.0));
        best.map_or(before, |(_, channel)| *channel)
    }

    fn bound_growth(&self, before: f64, best: f64, acked: f64, now: f64) -> f64 {
        let best = match self.growth {
            Some((from, most)) if now < from + GROWTH_WINDOW => best.min(most),
            _ => best,
        };
        if best <= before {
            return best;
        }
        let factor = if acked < HELD * self.hold.rate { MOST_OF_ACKED_HELD } else { MOST_OF_ACKED };
        before.max(best.min(factor * acked))
    }

    fn follow(&mut self, bounded: f64, delay_rate: f64, acked: f64, now: f64) {
        let limits = bounded < delay_rate;
        if self.state == State::Decreasing && self.hold.until > now && limits {
            self.hold.rate = self.hold.rate.max(acked);
            self.rate = self.hold.rate.min(bounded);
            return;
        }
        let rises = bounded > self.rate || (bounded == self.rate && self.state == State::Increasing);
        if !limits {
            self.hold = NO_HOLD;
            self.state = State::Free;
        } else if self.state != State::Free && rises {
            self.state = State::Increasing;
        } else {
            if self.state != State::Decreasing {
                let next = (2.0 * self.hold.next).min(LONGEST_HOLD);
                self.hold = Hold { until: now + self.hold.next, next, rate: bounded };
            }
            self.state = State::Decreasing;
        }
        self.rate = bounded;
        if self.state != State::Free && self.growth.is_none_or(|(from, _)| now > from + GROWTH_WINDOW) {
            self.growth = Some((now, MOST_GROWTH * bounded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of feedback, ten times a second, about a stream of this rate.
    fn feed(control: &mut LossControl, from: u32, steps: u32, rate: f64, loss: f64, delay_rate: f64) {
        for step in from..from + steps {
            let bytes = (rate / 80.0) as usize;
            let report = LossReport {
                bytes,
                lost: (bytes as f64 * loss) as usize,
                first_sent_at: f64::from(step) * 0.1,
                last_sent_at: f64::from(step) * 0.1 + 0.09,
                ..LossReport::default()
            };
            control.update(&report, delay_rate, rate * (1.0 - loss), false);
        }
    }

    #[test]
    fn five_per_cent_limit_nothing() {
        let mut control = LossControl::default();
        feed(&mut control, 0, 300, 2.5e6, 0.05, 3e6);
        assert!(control.rate() >= 2.5e6, "{}", control.rate());
        assert!((control.loss() - 0.05).abs() < 0.005);
    }

    #[test]
    fn a_path_that_is_too_full_lowers_the_rate_to_what_arrives() {
        let mut control = LossControl::default();
        feed(&mut control, 0, 50, 2e6, 0.0, 3e6);
        feed(&mut control, 50, 30, 2e6, 0.5, 3e6);
        assert!((0.9e6..1.3e6).contains(&control.rate()), "{}", control.rate());
        feed(&mut control, 80, 300, 1e6, 0.0, 3e6);
        assert!(control.rate() > 1.1e6, "{}", control.rate());
    }

    #[test]
    fn packets_that_are_found_were_not_lost() {
        let mut control = LossControl::default();
        let at = |first_sent_at, last_sent_at| LossReport {
            bytes: 1000,
            first_sent_at,
            last_sent_at,
            ..LossReport::default()
        };
        control.update(&LossReport { lost: 1000, ..at(0.0, 0.1) }, 1e6, 1e6, false);
        control.update(&LossReport { found: 1000, ..at(0.1, 0.3) }, 1e6, 1e6, false);
        assert_eq!((control.model.count(), control.loss()), (1, 0.0));
    }

    #[test]
    fn what_a_probe_has_shown_outlasts_a_rate_that_is_held() {
        let mut control = LossControl::default();
        feed(&mut control, 0, 50, 2e6, 0.0, 3e6);
        feed(&mut control, 50, 20, 2e6, 0.5, 3e6);
        control.hold.until = 60.0; // as after some reductions
        feed(&mut control, 70, 60, 0.9e6, 0.0, 3e6);
        assert!(control.rate() < 1.1e6, "{control:?}");
        control.lift(2e6);
        feed(&mut control, 130, 5, 0.9e6, 0.0, 3e6);
        assert!(control.rate() >= 2e6, "{control:?}");
    }
}
