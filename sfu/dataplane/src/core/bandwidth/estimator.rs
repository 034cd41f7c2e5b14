//! The estimator of what the path to one receiver carries: it joins the other parts.

mod feedback;

use super::acknowledged_rate::AcknowledgedRate;
use super::application_limit::ApplicationLimit;
use super::competition::Competition;
use super::interface::{Crossing, PacketKind, Why};
use super::loss_control::LossControl;
use super::packet_groups::PacketGroups;
use super::probe_control::{Outcome, ProbeControl, View};
use super::queue_delay::QueueDelay;
use super::rate_control::{LEAST_RATE, Observed, RateControl};
use super::receiver_clock::ReceiverClock;
use super::sent_packets::SentPackets;
use super::silence::{Silence, Verdict};
use super::trendline::{Trendline, Usage};
use super::watermarks::Watermarks;
use crate::core::wire::rtcp::TransportFeedback;

/// The estimate of a path that nothing is known about, and the most that is assumed of a new one.  Bits per second.
const FIRST_ESTIMATE: f64 = 300_000.0;
const MOST_ON_NEW_PATH: f64 = 600_000.0;
/// The round trip before one was measured, in seconds.
const FIRST_ROUND_TRIP: f64 = 0.1;
const ROUND_TRIP_SHARE: f64 = 0.125; // of a new measurement
const LONGEST_ROUND_TRIP: f64 = 5.0;
/// Feedback with more statuses is refused.  That many packets are 50 Mbit/s over a second.
const MAX_STATUSES: u16 = 4096;
/// A growing trend counts if all packets of a feedback waited this long, or all of two feedbacks the other time.
/// In seconds.  Jitter makes trends, too.
const QUEUED: f64 = 0.04;
const STANDING: f64 = 0.015;
/// A path with a longer queue is not probed, in seconds.
const CALM: f64 = 0.03;
/// But not for longer than this, in seconds.
const PATIENCE: f64 = 5.0;
/// Nor is one whose rate was reduced in this time.
const CALM_AFTER: f64 = 1.0;
/// Our own probes may queue this long without being taken for overuse, in seconds.
const MOST_QUEUED_BY_PROBE: f64 = 0.15;
/// A path overflows if all packets of one feedback wait this long, in seconds, and either this share of at least so many
/// bytes is lost, or the wait has become that much longer within two feedbacks, and this share of the usual rate arrives.
/// That needs no trend, which would take half a second, because a path that loses most packets also loses sound.
const OVERFLOWING: f64 = 0.06;
const OVERFLOW_BYTES: usize = 3_000;
const OVERFLOW_LOSS: f64 = 0.3;
const OVERFLOW_GROWTH: f64 = 0.055;
const OVERFLOW_RATE: f64 = 0.5;
/// Bits per second.  At a lower rate, a single large picture looks the same.
const OVERFLOW_LEAST: f64 = 400_000.0;
/// A path that loses less than this share has no full queue.
const LOSSLESS: f64 = 0.02;
/// For this long after a lost feedback, the rate that arrives is partly guessed, in seconds.
const GAP_LASTS: f64 = 0.6;
/// The estimate grows to this multiple of what is wanted.  More would only delay the answer to a path that narrows.
const ENOUGH: f64 = 1.2;
/// A step that is proven has some reserve, so that its own unevenness does not take it back.
const PROVEN: f64 = 1.03;
/// For this long after the first feedback, only a reduction is reported, in seconds: what arrives is not known yet.
const FIRST_LOOK: f64 = 1.0;
/// The estimate falls by this factor in each second without feedback.
const SILENT_FALL: f64 = 0.8;

/// Estimates what the path to one receiver carries.  Sans-IO: it has no clock and sends nothing.
///
/// Times are in seconds on one steady clock, rates in bits per second, sizes in bytes of UDP payload.
#[derive(Debug)]
pub struct BandwidthEstimator {
    sent: SentPackets,
    /// Bytes that left since the last feedback, without those of probes.
    sent_bytes: usize,
    /// The number behind the last one that feedback was about.
    reported_until: Option<u16>,
    /// When the first feedback came, in seconds.
    heard_at: Option<f64>,
    clock: ReceiverClock,
    groups: PacketGroups,
    trendline: Trendline,
    queue: QueueDelay,
    competition: Competition,
    /// The newest feedback shows that the path carries a fraction of what we send.
    overflows: bool,
    /// When feedback was missing last, in seconds.
    gap_at: f64,
    /// Since when a queue stands or grows, in seconds.
    queued_since: Option<f64>,
    acked: AcknowledgedRate,
    limit: ApplicationLimit,
    delay_control: RateControl,
    loss_control: LossControl,
    probes: ProbeControl,
    silence: Silence,
    marks: Watermarks,
    round_trip: f64,
    /// The packets of one feedback that arrived: departure, arrival, bytes.  Kept for its memory.
    arrived: Vec<(f64, f64, usize)>,
}

impl BandwidthEstimator {
    /// Before the first packet.
    pub fn new(now: f64) -> Self {
        Self {
            sent: SentPackets::default(),
            sent_bytes: 0,
            reported_until: None,
            heard_at: None,
            clock: ReceiverClock::default(),
            groups: PacketGroups::default(),
            trendline: Trendline::default(),
            queue: QueueDelay::default(),
            competition: Competition::default(),
            overflows: false,
            gap_at: f64::NEG_INFINITY,
            queued_since: None,
            acked: AcknowledgedRate::default(),
            limit: ApplicationLimit::new(now),
            delay_control: RateControl::new(FIRST_ESTIMATE, now),
            loss_control: LossControl::default(),
            probes: ProbeControl::default(),
            silence: Silence::default(),
            marks: Watermarks::default(),
            round_trip: FIRST_ROUND_TRIP,
            arrived: Vec::new(),
        }
    }

    /// The round trip that something else measured (the handshake), for the time before the first feedback.  In seconds.
    pub fn set_round_trip(&mut self, seconds: f64) {
        self.round_trip = seconds.clamp(0.0, LONGEST_ROUND_TRIP);
    }

    /// A packet of `size` bytes leaves now.  Returns its transport-wide sequence number.
    pub fn record(&mut self, size: usize, kind: PacketKind, now: f64) -> u16 {
        self.silence.on_sent(now);
        let cluster = self.probes.on_sent(size);
        if cluster == 0 && kind != PacketKind::Probe {
            self.sent_bytes += size;
        }
        self.sent.record(size, cluster, now)
    }

    /// These packets were recorded, but the socket did not take them.
    pub fn mark_unsent(&mut self, first: u16, count: usize) {
        self.sent.mark_unsent(first, count);
    }

    /// What the allocator does, in bits per second: the rate in use, the estimate that the next step needs (`None`
    /// without a step), and the rate that everybody wants together.
    pub fn aim(&mut self, used: f64, next: Option<f64>, wanted: f64, now: f64) {
        self.probes.aim(used, next, wanted, now);
        self.silence.watch(self.probes.is_active(), now);
        self.marks.set_used(used);
        self.competition.set_used(used, now);
        self.advance(now);
    }

    /// The send path is another one now.
    pub fn change_path(&mut self, now: f64) {
        let rate = self.estimate().min(MOST_ON_NEW_PATH);
        self.delay_control = RateControl::new(rate, now);
        self.loss_control = LossControl::default();
        self.forget_delays();
        self.sent.forget();
        self.reported_until = None;
        self.probes.restart(now);
        self.advance(now);
    }

    /// Times from before are on another path, or on another clock.
    fn forget_delays(&mut self) {
        self.groups = PacketGroups::default();
        self.trendline = Trendline::default();
        self.queue = QueueDelay::default();
        self.competition = Competition::default();
        self.queued_since = None;
        self.acked = AcknowledgedRate::default();
    }

    /// Feedback came from the receiver.
    pub fn on_feedback(&mut self, feedback: &TransportFeedback<'_>, now: f64) {
        if feedback.count > MAX_STATUSES {
            return;
        }
        let Some(report) = self.read(feedback, now) else { return };
        self.heard_at.get_or_insert(now);
        if self.silence.said_blind() {
            self.marks.report(self.estimate(), Why::Heard);
        }
        if self.silence.on_feedback(now) {
            self.probes.restart(now);
        }
        let estimate = self.estimate();
        self.limit.update(std::mem::take(&mut self.sent_bytes), estimate, now);
        let jumped = self.arrived.last().is_some_and(|(_, arrival, _)| self.clock.jumped(*arrival, now));
        if jumped {
            self.forget_delays();
        } else {
            self.follow_arrivals(&report, now);
        }
        if !self.take_outcome(now) && !jumped {
            self.follow_delay(now);
        }
        if let Some(acked) = self.acked.rate() {
            let limited = self.limit.is_limited();
            self.loss_control.update(&report, self.delay_control.rate(), acked, limited);
        }
        self.compare(now);
    }

    fn is_overused(&self) -> bool {
        let waits = self.queue.newest() > QUEUED || self.queue.standing() > STANDING;
        let fills = self.queue.grows() || self.loss_control.loss() > LOSSLESS;
        let over = self.overflows || (self.trendline.usage() == Usage::Over && waits && fills);
        over && !self.competition.competes()
    }

    fn follow_delay(&mut self, now: f64) {
        let Some((acked, newest_acked)) = self.acked.rate().zip(self.acked.newest_rate()) else { return };
        let by_probe = self.probes.is_probing() && self.queue.newest() < MOST_QUEUED_BY_PROBE;
        let observed = Observed {
            overused: self.is_overused() && !by_probe,
            steady: self.trendline.usage() == Usage::Normal,
            limited: self.limit.is_limited() && !self.overflows,
            acked,
            newest_acked,
            enough: ENOUGH * self.probes.wanted(),
            round_trip: self.round_trip,
        };
        self.delay_control.update(&observed, now);
        let complete = now - self.gap_at > GAP_LASTS;
        let free =
            complete && observed.steady && self.queue.standing() < STANDING && self.loss_control.loss() < LOSSLESS;
        if free && acked > self.delay_control.rate() {
            self.delay_control.set(acked, now);
        }
    }

    /// Report it if the estimate crosses a mark.
    fn compare(&mut self, now: f64) {
        let reduced = self.delay_control.reduced_at().is_finite() || self.loss_control.rate().is_finite();
        if reduced || self.heard_at.is_some_and(|at| now - at >= FIRST_LOOK) {
            self.marks.on_estimate(self.estimate());
        }
    }

    fn view(&self) -> View {
        let reduced = self.delay_control.reduced_at() + CALM_AFTER;
        View {
            estimate: self.estimate(),
            calm_from: self.queued_since.map_or(reduced, |since| reduced.max(since + PATIENCE)),
            competes: self.competition.competes(),
            congested: self.is_overused() && self.queue.newest() > QUEUED,
            loss: self.loss_control.loss(),
            round_trip: self.round_trip,
        }
    }

    /// Follow what a probe has shown.  Returns whether it changed the rate.
    fn take_outcome(&mut self, now: f64) -> bool {
        let view = self.view();
        let probed = self.probes.is_probing();
        let outcome = self.probes.advance(&view, now);
        if self.probes.is_probing() && !probed {
            self.queued_since.iter_mut().for_each(|since| *since = now); // let the queue settle before the next one
        }
        match outcome {
            Some(Outcome::Carries(rate)) => {
                self.delay_control.set(rate.max(self.delay_control.rate()), now);
                self.loss_control.lift(rate);
            }
            Some(Outcome::CarriesOnly(rate)) => {
                let rate = rate.max(self.acked.rate().unwrap_or(0.0));
                self.delay_control.set(rate.min(self.delay_control.rate()), now);
            }
            Some(Outcome::Proven(next)) => {
                let next = PROVEN * next;
                self.delay_control.set(next.max(self.delay_control.rate()), now);
                if view.competes {
                    self.loss_control.restart();
                } else {
                    self.loss_control.lift(next);
                }
                if self.estimate() >= next {
                    self.marks.report(self.estimate(), Why::NextProven);
                }
            }
            None => return false,
        }
        true
    }

    fn advance(&mut self, now: f64) {
        self.take_outcome(now);
        self.compare(now);
    }

    /// When `on_timer` must be called next, and then `probe` until it gives `None`.  Infinite if never.
    ///
    /// It changes with every call of another method but `record`.
    pub fn next_due(&self) -> f64 {
        self.probes.due(&self.view()).min(self.silence.due()).min(self.marks.due())
    }

    /// A deadline has passed.
    pub fn on_timer(&mut self, now: f64) {
        match self.silence.check(now) {
            Verdict::Fine => {}
            Verdict::Blind => self.marks.report(self.estimate(), Why::Blind),
            Verdict::Fall => {
                self.delay_control.fall(SILENT_FALL, now);
                self.loss_control.scale(SILENT_FALL);
            }
        }
        self.advance(now);
    }

    /// How many bytes of padding to send now, if a probe is due.  Record each packet as a `PacketKind::Probe`.
    ///
    /// Media count as well, so the number is what is missing beside them.  More or less may be sent.
    pub fn probe(&mut self, now: f64) -> Option<usize> {
        self.probes.padding(self.estimate(), now)
    }

    /// Whether packets wait in a queue on the path.
    pub fn is_queued(&self) -> bool {
        self.queue.newest() >= CALM
    }

    /// What the path carries, in bits per second.
    pub fn estimate(&self) -> f64 {
        self.delay_control.rate().min(self.loss_control.rate()).max(LEAST_RATE)
    }

    /// The rate that arrives at the receiver, in bits per second.
    pub fn acked(&self) -> Option<f64> {
        self.acked.rate()
    }

    /// The share of bytes that the path loses lately, 0 to 1.  Everything that depends on losses asks here.
    pub fn loss(&self) -> f64 {
        self.loss_control.loss()
    }

    /// The round trip in seconds, with the time that the receiver takes to send feedback.
    pub fn round_trip(&self) -> f64 {
        self.round_trip
    }

    /// The newest crossing of a watermark.  At most two a second.
    pub fn take_crossing(&mut self, now: f64) -> Option<Crossing> {
        self.marks.take(now)
    }
}
