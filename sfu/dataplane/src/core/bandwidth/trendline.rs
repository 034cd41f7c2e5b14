//! Whether packets take longer and longer, because a queue on the way grows
//! (draft-ietf-rmcat-gcc-02 sections 5.3 and 5.4).

use super::packet_groups::GroupDelta;

const WINDOW: usize = 20; // groups
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
/// The trend counts in full after this many groups.
const MOST_GROUPS: u32 = 60;
const FIRST_THRESHOLD: f64 = 12.5; // ms
const LEAST_THRESHOLD: f64 = 6.0;
const MOST_THRESHOLD: f64 = 600.0;
/// How fast the threshold follows a trend that is above it, and one below it, per ms.
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// The threshold does not follow a trend that is this far above it: a sudden change of the path.
const MOST_ABOVE: f64 = 15.0;
const LONGEST_STEP: f64 = 100.0; // ms
/// A trend must last this long to count, in ms.
const OVERUSE_TIME: f64 = 10.0;

/// What the delay says about the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// A queue empties.
    Under,
    /// Nothing changes.
    #[default]
    Normal,
    /// A queue grows: we send more than the path carries.
    Over,
}

/// The detector; see the module.
#[derive(Debug)]
pub struct Trendline {
    groups: u32,
    delay: f64,
    smoothed: f64,
    /// The arrival of each group and its smoothed delay, in ms; a ring.
    window: [(f64, f64); WINDOW],
    seen: usize,
    trend: f64,
    threshold: f64,
    changed_at: Option<f64>,
    /// For how long the trend was above the threshold, in ms, and in how many groups.
    over: Option<(f64, u32)>,
    usage: Usage,
}

impl Default for Trendline {
    fn default() -> Self {
        Self {
            groups: 0,
            delay: 0.0,
            smoothed: 0.0,
            window: [(0.0, 0.0); WINDOW],
            seen: 0,
            trend: 0.0,
            threshold: FIRST_THRESHOLD,
            changed_at: None,
            over: None,
            usage: Usage::Normal,
        }
    }
}

impl Trendline {
    /// The newest judgement.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Add the time between two groups.
    pub fn add(&mut self, delta: GroupDelta) {
        self.groups = (self.groups + 1).min(MOST_GROUPS);
        self.delay += delta.arrived - delta.sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        self.window[self.seen % WINDOW] = (delta.at, self.smoothed);
        self.seen += 1;
        let trend = (self.seen >= WINDOW).then(|| slope(&self.window)).flatten().unwrap_or(self.trend);
        self.judge(trend, delta);
    }

    fn judge(&mut self, trend: f64, delta: GroupDelta) {
        let gained = f64::from(self.groups) * trend * GAIN;
        if gained > self.threshold {
            let (time, groups) =
                self.over.map_or((delta.sent / 2.0, 1), |(time, groups)| (time + delta.sent, groups + 1));
            self.over = Some((time, groups));
            if time > OVERUSE_TIME && groups > 1 && trend >= self.trend {
                self.over = Some((0.0, 0));
                self.usage = Usage::Over;
            }
        } else {
            self.over = None;
            self.usage = if gained < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.trend = trend;
        self.adapt(gained.abs(), delta.at);
    }

    /// Let the threshold follow the trend, so that a path with jitter, or with TCP on it, is not overused all the time.
    fn adapt(&mut self, gained: f64, at: f64) {
        let step = (at - self.changed_at.replace(at).unwrap_or(at)).clamp(0.0, LONGEST_STEP);
        if gained <= self.threshold + MOST_ABOVE {
            let speed = if gained < self.threshold { FALL } else { RISE };
            let threshold = self.threshold + speed * (gained - self.threshold) * step;
            self.threshold = threshold.clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
        }
    }
}

/// The slope of the line with the least squares; `None` if all points are above each other.
fn slope(points: &[(f64, f64); WINDOW]) -> Option<f64> {
    let (count, (origin, _)) = (WINDOW as f64, points[0]);
    let (mut sum_x, mut sum_y, mut sum_xx, mut sum_xy) = (0.0, 0.0, 0.0, 0.0);
    for (x, y) in points {
        let x = x - origin;
        sum_x += x;
        sum_y += y;
        sum_xx += x * x;
        sum_xy += x * y;
    }
    let denominator = count * sum_xx - sum_x * sum_x;
    (denominator > 0.0).then(|| (count * sum_xy - sum_x * sum_y) / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feed groups that leave every 33 ms and take `growth` ms longer each.  Returns whether overuse was seen.
    fn feed(trendline: &mut Trendline, groups: u32, growth: f64) -> bool {
        let mut seen = false;
        for _ in 0..groups {
            let last = trendline.window[(trendline.seen + WINDOW - 1) % WINDOW].0;
            let at = last + 33.0 + growth;
            trendline.add(GroupDelta { sent: 33.0, arrived: 33.0 + growth, at });
            seen |= trendline.usage() == Usage::Over;
        }
        seen
    }

    #[test]
    fn a_growing_queue_is_overuse_and_an_emptying_one_is_underuse() {
        let mut trendline = Trendline::default();
        assert!(!feed(&mut trendline, 100, 0.0));
        assert!(feed(&mut trendline, 15, 10.0));
        assert!(!feed(&mut trendline, 40, -5.0) || trendline.usage() == Usage::Under);
        feed(&mut trendline, 60, 0.0);
        assert_eq!(trendline.usage(), Usage::Normal);
    }

    #[test]
    fn the_threshold_follows_a_small_trend() {
        let mut trendline = Trendline::default();
        feed(&mut trendline, 200, 0.0);
        assert_eq!(trendline.threshold, LEAST_THRESHOLD);
        feed(&mut trendline, 300, 2.0);
        assert!(trendline.threshold > LEAST_THRESHOLD);
    }
}
