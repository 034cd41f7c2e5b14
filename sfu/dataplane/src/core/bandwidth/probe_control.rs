//! When to measure the path with padding, and how fast.
//!
//! A probe is short: some milliseconds above the rate of the next step.  Where it arrives as fast as it left, the
//! estimate rises.  But a short probe passes any queue and any token bucket.  So before the step is taken, the rate
//! behind it is held for longer.

use super::probe_cluster::ProbeCluster;
use super::sent_packets::SentPacket;

/// The first probes, as multiples of the estimate at that time, and their duration in seconds.
const FIRST: [f64; 2] = [3.0, 2.0];
const FIRST_DURATION: f64 = 0.1;
const DURATION: f64 = 0.015;
/// A probe is this much above what it is to prove, and at most this multiple of the estimate.
const ABOVE_NEXT: f64 = 1.2;
const MOST_OF_ESTIMATE: f64 = 3.0;
/// A probe that reached this share of its rate, and not the next step, is followed by another one.
const REACHED: f64 = 0.7;
/// Seconds between two probes for the same step.
const INTERVAL: f64 = 2.0;
/// Seconds until the first probe for another step.
const NEW_STEP: f64 = 1.0;
/// Seconds between two probes while the path does not answer at all: first, and at most.
const UNANSWERED_INTERVAL: f64 = 5.0;
const LONGEST_INTERVAL: f64 = 20.0;
/// Seconds until a probe is tried again for which there was nothing to send.
const RETRY: f64 = 0.5;
/// Seconds of a hold, and the share of the next step's estimate that it sends: the media behind the step.
const HOLD_DURATION: f64 = 0.4;
const MEDIA_SHARE: f64 = 0.9;
/// A hold fails if it loses this share more than the path did before, or if a queue of this many seconds builds up.
const MOST_HOLD_LOSS: f64 = 0.03;
const MOST_HOLD_QUEUE: f64 = 0.03;
/// Beside a flow that fills the queue, a longer hold takes a share from it.  It succeeds if little of its last part is
/// lost.
const PUSH_DURATION: f64 = 2.0;
const MOST_PUSH_LOSS: f64 = 0.1;
/// Seconds until the next hold after a failed one, and the factor for each further failure.
const HOLD_INTERVAL: f64 = 5.0;
const HOLD_BACK_OFF: f64 = 1.5;
const LONGEST_HOLD_INTERVAL: f64 = 120.0;
/// Seconds until a step is proven again that was not taken.
const REPEAT: f64 = 30.0;
/// Feedback about a cluster may come this many seconds and one round trip after its end.
const FEEDBACK_DELAY: f64 = 0.35;
/// Aims that differ by less are the same step.
const SAME: f64 = 0.1;
/// While nothing is sent, this much padding (bits per second) keeps feedback coming, but at most a share of the estimate.
const TRICKLE: f64 = 50_000.0;
const MOST_TRICKLE: f64 = 0.5;
const TRICKLE_STEP: f64 = 0.1; // seconds

/// The state of the path that probes depend on.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Bits per second.
    pub estimate: f64,
    /// When the path is calm: no queue stands, and the last reduction is long enough ago.  Nothing waits for ever.
    pub calm_from: f64,
    /// A queue grows although we send nothing but the hold.
    pub congested: bool,
    /// Another flow fills the queue.
    pub competes: bool,
    /// The usual share of losses.
    pub loss: f64,
    /// Seconds.
    pub round_trip: f64,
}

/// What a cluster has led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The path carries at least this rate, in bits per second.
    Carries(f64),
    /// The path did not bear the hold: it carries this rate at most.
    CarriesOnly(f64),
    /// The path bore the next step, which needs this estimate, in bits per second.
    Proven(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Probe,
    Hold,
    Push,
}

/// What the allocator wants, in bits per second.
#[derive(Clone, Copy, Debug, Default)]
struct Aim {
    used: f64,
    next: Option<f64>,
    wanted: f64,
}

/// Decides about probes; see the module.
#[derive(Debug)]
pub struct ProbeControl {
    aim: Aim,
    current: Option<(ProbeCluster, Purpose)>,
    last_id: u8,
    /// How many of the first probes are still to come; `None` before anything is wanted.
    first: Option<usize>,
    probe_at: f64,
    hold_at: f64,
    failed_holds: i32,
    unanswered: i32,
    trickle_at: f64,
}

impl Default for ProbeControl {
    fn default() -> Self {
        Self {
            aim: Aim::default(),
            current: None,
            last_id: 0,
            first: None,
            probe_at: 0.0,
            hold_at: 0.0,
            failed_holds: 0,
            unanswered: 0,
            trickle_at: f64::NEG_INFINITY,
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME * other
}

impl ProbeControl {
    /// What is used, the estimate that the next step needs, and what everybody wants together, in bits per second.
    pub fn aim(&mut self, used: f64, next: Option<f64>, wanted: f64, now: f64) {
        let before = std::mem::replace(&mut self.aim, Aim { used, next, wanted });
        if wanted > 0.0 {
            self.first.get_or_insert(FIRST.len());
        } else {
            self.current = None;
        }
        let is_same = before.next.zip(next).is_some_and(|(before, next)| same(next, before)) && same(used, before.used);
        if !is_same {
            // The rates of cameras change by themselves.
            if before.next.is_some_and(|next| used >= (1.0 - SAME) * MEDIA_SHARE * next) {
                self.failed_holds = 0;
            }
            if self.failed_holds == 0 {
                self.hold_at = now;
            }
            if self.unanswered == 0 {
                self.probe_at = self.probe_at.clamp(now, now + NEW_STEP);
            }
        }
    }

    /// Whether anything is to be sent or wanted.
    pub fn is_active(&self) -> bool {
        self.aim.used > 0.0 || self.aim.wanted > 0.0
    }

    /// The path is new, or answers again: measure it at once.
    pub fn restart(&mut self, now: f64) {
        self.current = None;
        (self.probe_at, self.hold_at) = (now, now);
        (self.unanswered, self.failed_holds) = (0, 0);
    }

    /// A packet leaves.  Returns the cluster that it belongs to, or 0.
    pub fn on_sent(&mut self, size: usize) -> u8 {
        let Some((cluster, _)) = &mut self.current else { return 0 };
        if cluster.on_sent(size) { cluster.id } else { 0 }
    }

    /// A packet of a cluster arrived.
    pub fn on_arrived(&mut self, packet: &SentPacket, arrival: f64) {
        if let Some((cluster, _)) = self.current.as_mut().filter(|(cluster, _)| cluster.id == packet.cluster) {
            cluster.on_arrived(packet, arrival);
        }
    }

    /// A packet of a cluster is missing.
    pub fn on_lost(&mut self, packet: &SentPacket) {
        if let Some((cluster, _)) = self.current.as_mut().filter(|(cluster, _)| cluster.id == packet.cluster) {
            cluster.on_lost(packet);
        }
    }

    /// What everybody wants together, in bits per second.
    pub fn wanted(&self) -> f64 {
        self.aim.wanted
    }

    /// Whether what is measured now is our own padding.
    pub fn is_probing(&self) -> bool {
        self.current.is_some()
    }

    /// Bytes of padding to send now.
    pub fn padding(&mut self, estimate: f64, now: f64) -> Option<usize> {
        if let Some((cluster, _)) = &mut self.current {
            return cluster.padding(now);
        }
        if now < self.trickle_due() {
            return None;
        }
        self.trickle_at = now + TRICKLE_STEP;
        Some((TRICKLE.min(MOST_TRICKLE * estimate) * TRICKLE_STEP / 8.0) as usize)
    }

    /// Something is wanted and nothing is sent.
    fn is_paused(&self) -> bool {
        self.aim.wanted > 0.0 && self.aim.used == 0.0
    }

    fn trickle_due(&self) -> f64 {
        if self.is_paused() { self.trickle_at } else { f64::INFINITY }
    }

    /// When to call `advance` and `padding`; infinite if never.
    pub fn due(&self, view: &View) -> f64 {
        let decision = match &self.current {
            Some((cluster, _)) => cluster.due().min(Self::deadline(cluster, view)),
            None => self.decision_due(view),
        };
        decision.min(self.trickle_due())
    }

    fn deadline(cluster: &ProbeCluster, view: &View) -> f64 {
        cluster.ended_at().map_or(f64::INFINITY, |ended| ended + view.round_trip + FEEDBACK_DELAY)
    }

    /// When the next cluster begins, unless the path is not calm.
    fn decision_due(&self, view: &View) -> f64 {
        if self.aim.wanted <= 0.0 {
            return f64::INFINITY;
        }
        let Some(next) = self.aim.next else {
            return if self.first_rate(view).is_some() { self.probe_at } else { f64::INFINITY };
        };
        let at = if self.first_rate(view).is_some() || (view.estimate < next && !view.competes) {
            self.probe_at
        } else {
            self.hold_at
        };
        if view.competes {
            return at; // it will not become calm
        }
        at.max(view.calm_from)
    }

    /// The rate of the next of the first probes, if it would show anything.
    fn first_rate(&self, view: &View) -> Option<f64> {
        let left = self.first.filter(|left| *left > 0)?;
        let rate = FIRST[FIRST.len() - left] * view.estimate;
        let most = ABOVE_NEXT * self.aim.wanted / MEDIA_SHARE;
        (view.estimate < most).then_some(rate.min(most))
    }

    /// Finish the cluster whose feedback has come, and begin the next one.
    pub fn advance(&mut self, view: &View, now: f64) -> Option<Outcome> {
        let outcome = self.finish(view, now);
        let estimate = match outcome {
            Some(Outcome::Carries(rate)) => rate.max(view.estimate),
            _ => view.estimate,
        };
        let view = View { estimate, ..*view };
        if self.current.is_none() && now >= self.decision_due(&view) {
            self.begin(&view, now);
        }
        outcome
    }

    fn begin(&mut self, view: &View, now: f64) {
        if let Some(rate) = self.first_rate(view) {
            return self.begin_cluster(Purpose::Probe, rate, FIRST_DURATION, now);
        }
        let Some(next) = self.aim.next else { return };
        if view.competes {
            self.begin_cluster(Purpose::Push, MEDIA_SHARE * next, PUSH_DURATION, now);
        } else if view.estimate < next {
            let rate = (ABOVE_NEXT * next).min(MOST_OF_ESTIMATE * view.estimate);
            self.begin_cluster(Purpose::Probe, rate, DURATION, now);
        } else {
            self.begin_cluster(Purpose::Hold, MEDIA_SHARE * next, HOLD_DURATION, now);
        }
    }

    fn begin_cluster(&mut self, purpose: Purpose, rate: f64, duration: f64, now: f64) {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.current = Some((ProbeCluster::new(self.last_id, rate, duration, now), purpose));
    }

    fn finish(&mut self, view: &View, now: f64) -> Option<Outcome> {
        let (cluster, purpose) = self.current.as_mut()?;
        let failed = *purpose == Purpose::Hold
            && (view.congested || cluster.queued() > MOST_HOLD_QUEUE || cluster.loses(view.loss + MOST_HOLD_LOSS));
        if failed {
            cluster.end(now);
        }
        if !failed && !cluster.is_complete() && now < Self::deadline(cluster, view) {
            return None;
        }
        let (cluster, purpose) = self.current.take()?;
        if !cluster.was_sent() && !failed {
            (self.probe_at, self.hold_at) = (self.probe_at.max(now + RETRY), self.hold_at.max(now + RETRY));
            return None;
        }
        match purpose {
            Purpose::Probe => self.finish_probe(&cluster, view, now),
            Purpose::Hold => {
                let measured = cluster.measure().map(|measured| measured.rate);
                let bore = !failed && measured.is_some_and(|rate| rate >= MEDIA_SHARE * cluster.rate);
                // A hold that ended too soon to measure anything does not speak against what is in use.
                let rate = measured.map_or(self.aim.used, |rate| rate.min(cluster.rate * (1.0 - cluster.loss())));
                self.finish_hold(bore, rate, now)
            }
            Purpose::Push => {
                let (rate, loss) = cluster.late();
                self.finish_hold(loss <= MOST_PUSH_LOSS && rate >= MEDIA_SHARE * cluster.rate, rate, now)
            }
        }
    }

    fn finish_probe(&mut self, cluster: &ProbeCluster, view: &View, now: f64) -> Option<Outcome> {
        if !cluster.was_answered() {
            self.probe_at = now + (UNANSWERED_INTERVAL * 2f64.powi(self.unanswered)).min(LONGEST_INTERVAL);
            self.unanswered = (self.unanswered + 1).min(4);
            return None;
        }
        self.unanswered = 0;
        self.first = self.first.map(|left| left.saturating_sub(1));
        // Packets that leave together look faster than the cluster was.
        let measured = cluster.measure().map(|measured| measured.rate.min(cluster.rate));
        let carried = measured.filter(|rate| *rate > view.estimate);
        let reached = carried.is_some_and(|rate| rate >= REACHED * cluster.rate);
        let more = self.aim.next.is_some_and(|next| carried.is_some_and(|rate| rate < next));
        self.probe_at = if reached && more || self.first.is_some_and(|left| left > 0) { now } else { now + INTERVAL };
        carried.map(Outcome::Carries)
    }

    fn finish_hold(&mut self, bore: bool, rate: f64, now: f64) -> Option<Outcome> {
        if let Some(next) = self.aim.next.filter(|_| bore) {
            self.hold_at = now + REPEAT;
            return Some(Outcome::Proven(next));
        }
        let pause = HOLD_INTERVAL * HOLD_BACK_OFF.powi(self.failed_holds);
        self.failed_holds = (self.failed_holds + 1).min(8);
        self.hold_at = now + pause.min(LONGEST_HOLD_INTERVAL);
        self.probe_at = now + INTERVAL;
        Some(Outcome::CarriesOnly(rate))
    }
}

#[cfg(test)]
mod tests;
