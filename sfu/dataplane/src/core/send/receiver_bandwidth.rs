//! The bandwidth of one receiver: the estimator, with the limits and wishes around it.

use crate::core::bandwidth::{BandwidthEstimator, Crossing, Why};
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::statistics::BandwidthStats;
use crate::core::send::feedback_limit::FeedbackLimit;
use crate::core::send::resend_limits::RepairPath;
use crate::core::wire::rtcp::TransportFeedback;

/// The shortest time between two reports that follow a receiver's own estimate, in seconds.
const REPORT_PAUSE: f64 = 0.5;

/// Seconds without video after which a receiver's own estimate lapses.  It measures what arrives, so without video it has
/// nothing to say, and would keep all video paused for ever.
const LAPSE: f64 = 10.0;
/// Video leaves at so many times the estimate of a narrow path.  A little more than it carries, since the estimate may be
/// low; but less while a queue has to empty.
const HASTE: f64 = 1.25;
/// See [`HASTE`].
const RESTRAINT: f64 = 0.8;
/// The longest pause between two feedbacks on a path that is not cut, in seconds.  Browsers send one each 50 to 250 ms.
const SILENCE: f64 = 0.5;
/// For this long after such a pause, receivers ask for what they missed in it.  In seconds.
const UNCUT: f64 = 2.0;
/// For this long after packets waited in a queue on the path, what is lost counts as its overflow.  In seconds.
const QUEUED_LATELY: f64 = 3.0;
/// Of a path with fewer bits per second, repeated audio would take a tenth and more.
const TIGHT: f64 = 400_000.0;

/// How much room the path to a client has beside its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For all video that the client wants.
    Wide,
    /// For a part of it.
    Narrow,
    /// For so little of it that repeated audio would be a large part.  It would cause the losses that it should hide.
    Tight,
}

/// The rates that the slow path has in mind for one transport, in bits per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// The rate that is in use.
    pub used: f64,
    /// The whole rate after the next step up; `None` without one.
    pub next: Option<f64>,
    /// The rate that all receivers of the transport want together.
    pub wanted: f64,
}

/// The estimator of one receiver's path.  It is made for the first packet with a number.
///
/// A receiver without transport-wide feedback may send its own estimate instead (REMB).  It counts as it is.
#[derive(Debug, Default)]
pub struct ReceiverBandwidth {
    estimator: Option<BandwidthEstimator>,
    aim: Option<Aim>,
    /// The aim has not reached the estimator yet: a command has no clock.
    aim_is_new: bool,
    limit: FeedbackLimit,
    /// Feedback was read, so the estimate is a measured one.
    measured: bool,
    /// When the newest feedback came, and when the first one after a longer silence did, in seconds.
    fed_at: f64,
    fed_again_at: f64,
    /// When packets waited in a queue on the path last, in seconds.
    queued_at: f64,
    /// The newest estimate of the receiver itself, in bits per second.
    max_bitrate: Option<f64>,
    /// When it came, in seconds.
    max_bitrate_at: f64,
    /// The last report that followed from it for this aim.
    reported: Option<Why>,
    /// When that was, in seconds.
    reported_at: f64,
    /// Bytes of probes so far: sealed packets.
    pub probe_bytes: u64,
}

impl ReceiverBandwidth {
    /// The estimator, made at `now` (seconds) if there is none yet.  `round_trip` is the known one to the receiver.
    pub fn estimator(&mut self, round_trip: Option<f64>, now: f64) -> &mut BandwidthEstimator {
        self.estimator.get_or_insert_with(|| {
            let mut estimator = BandwidthEstimator::new(now);
            round_trip.inspect(|&seconds| estimator.set_round_trip(seconds));
            estimator
        })
    }

    /// The estimator, if packets with numbers were sent.
    pub fn existing(&mut self) -> Option<&mut BandwidthEstimator> {
        self.estimator.as_mut()
    }

    /// Aim at these rates from the next [`Self::pass_time`] on.
    pub fn set_aim(&mut self, aim: Aim) {
        (self.aim, self.aim_is_new, self.reported) = (Some(aim), true, None);
    }

    /// The receiver itself estimates that it can take so many bits per second.  Feedback counts more than that.
    pub fn set_max_bitrate(&mut self, bitrate: u64, now: f64) {
        self.max_bitrate = Some(bitrate as f64).filter(|_| !self.measured);
        self.max_bitrate_at = now;
    }

    /// When the receiver's own estimate lapses, in seconds; infinite while video is in use.
    fn lapses_at(&self) -> f64 {
        let is_idle = self.max_bitrate.is_some() && self.aim.is_some_and(|aim| aim.used == 0.0);
        if is_idle { self.max_bitrate_at + LAPSE } else { f64::INFINITY }
    }

    /// Whether the slow path has an aim.  Without one, nothing measures the path but media.
    pub fn has_aim(&self) -> bool {
        self.aim.is_some()
    }

    /// Read feedback.  Fails with the reason if it costs more than the receiver may ask for.  Feedback has no effect
    /// before the first packet with a number.
    pub fn on_feedback(&mut self, feedback: &TransportFeedback<'_>, now: f64) -> Result<(), DropReason> {
        let Some(estimator) = &mut self.estimator else { return Ok(()) };
        if !self.limit.take(feedback.count, now) {
            return Err(DropReason::TooMuchFeedback);
        }
        estimator.on_feedback(feedback, now);
        if estimator.is_queued() {
            self.queued_at = now;
        }
        if now - self.fed_at > SILENCE {
            self.fed_again_at = now;
        }
        self.fed_at = now;
        (self.measured, self.max_bitrate) = (true, None);
        Ok(())
    }

    /// Whether feedback has come all the time until `now` (seconds).  Then the path may be too narrow, but it was not cut.
    pub fn is_fed(&self, now: f64) -> bool {
        self.measured && now - self.fed_at <= SILENCE && now - self.fed_again_at > UNCUT
    }

    /// Handle everything that is due at `now`, in seconds.
    pub fn pass_time(&mut self, now: f64) {
        if self.lapses_at() <= now {
            self.max_bitrate = None;
        }
        let Some(estimator) = &mut self.estimator else { return };
        if let Some(Aim { used, next, wanted }) = self.aim.filter(|_| self.aim_is_new) {
            estimator.aim(used, next, wanted, now);
            self.aim_is_new = false;
        }
        if estimator.next_due() <= now {
            estimator.on_timer(now);
        }
    }

    /// Bytes of padding to send at `now`, if a probe is due.
    pub fn probe(&mut self, now: f64) -> Option<usize> {
        self.estimator.as_mut()?.probe(now)
    }

    /// When [`Self::pass_time`] is due next, in seconds.  Infinite if never.  Packets that leave do not change it.
    pub fn next_due(&self) -> f64 {
        let Some(estimator) = &self.estimator else { return self.lapses_at() };
        if self.aim_is_new { f64::NEG_INFINITY } else { estimator.next_due().min(self.lapses_at()) }
    }

    /// The watermark that the estimate crossed last, if the slow path does not know that yet.
    pub fn take_crossing(&mut self, now: f64) -> Option<Crossing> {
        // Take the estimator's crossing in any case: while one waits, the estimator is due at once.
        let measured = self.estimator.as_mut().and_then(|estimator| estimator.take_crossing(now));
        match self.max_bitrate {
            Some(estimate) => self.take_crossing_of(estimate, now),
            None => measured,
        }
    }

    /// The watermark that the receiver's own estimate has crossed.  It is reported once for each aim.
    fn take_crossing_of(&mut self, estimate: f64, now: f64) -> Option<Crossing> {
        let Aim { used, next, .. } = self.aim?;
        let why = match next {
            _ if estimate < used => Some(Why::BelowUsed),
            Some(next) if estimate >= next => Some(Why::NextProven),
            _ => None,
        };
        if why == self.reported || now - self.reported_at < REPORT_PAUSE {
            return None;
        }
        self.reported = why;
        let crossing = Crossing { estimate, why: why? };
        self.reported_at = now;
        Some(crossing)
    }

    /// Whether the path carries less than what is in use.
    pub fn is_short(&self) -> bool {
        self.estimate().zip(self.aim).is_some_and(|(estimate, aim)| estimate < aim.used)
    }

    /// The rate at which video leaves, in bits per second, while the path has no room for all that is wanted.
    ///
    /// `None` if it has, and while everything is sent because nobody knows yet what the path carries.
    pub fn pace(&self) -> Option<f64> {
        let (estimate, aim) = self.estimate().zip(self.aim)?;
        let is_queued = self.estimator.as_ref().is_some_and(BandwidthEstimator::is_queued);
        (aim.used < aim.wanted).then_some(estimate * if is_queued { RESTRAINT } else { HASTE })
    }

    /// What the limits of retransmissions need to know.  The receiver's own estimate says nothing of queues.
    pub fn repair_path(&self, now: f64) -> Option<RepairPath> {
        let is_queued = self.max_bitrate.is_some() || now - self.queued_at < QUEUED_LATELY;
        self.estimate().map(|rate| RepairPath { rate, is_queued })
    }

    /// How much room the path has for the video that the transport's receivers want.
    pub fn room(&self) -> Room {
        match self.estimate().zip(self.aim) {
            Some((estimate, aim)) if estimate < aim.used.max(aim.wanted) => {
                if estimate < TIGHT {
                    Room::Tight
                } else {
                    Room::Narrow
                }
            }
            _ => Room::Wide,
        }
    }

    /// What the path carries, in bits per second; `None` before the receiver gives feedback.
    pub fn estimate(&self) -> Option<f64> {
        let measured = self.estimator.as_ref().filter(|_| self.measured);
        self.max_bitrate.or_else(|| measured.map(BandwidthEstimator::estimate))
    }

    /// The figures for the slow path; `None` before the receiver gives feedback.
    pub fn stats(&self) -> Option<BandwidthStats> {
        let probe_bytes = self.probe_bytes;
        if let Some(estimate) = self.max_bitrate {
            return Some(BandwidthStats { estimate, acked: None, loss: 0.0, round_trip: None, probe_bytes });
        }
        self.estimator.as_ref().filter(|_| self.measured).map(|estimator| BandwidthStats {
            estimate: estimator.estimate(),
            acked: estimator.acked(),
            loss: estimator.loss(),
            round_trip: Some(estimator.round_trip()),
            probe_bytes,
        })
    }
}
