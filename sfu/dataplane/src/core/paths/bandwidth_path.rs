//! The bandwidth to a receiver: its feedback, the wishes of the slow path, and the events about it.

use crate::core::engine::Core;
use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::interface::spec::{Id, Refused};
use crate::core::interface::statistics::BandwidthStats;
use crate::core::keys::TransportKey;
use crate::core::send::receiver_bandwidth::Aim;
use crate::core::wire::rtcp::TransportFeedback;

/// Probes that leave at one deadline.  The estimator gives one after the other, a few milliseconds apart.
const MOST_PROBES: usize = 4;
/// The shortest time to the next deadline, in seconds, so that an estimator cannot keep the thread busy.
const SHORTEST_WAIT: f64 = 0.001;

impl Core {
    /// Set what the slow path has in mind for the video of a transport, as rates in bits per second.
    ///
    /// `used` is in use, `next` the whole rate after the next step up, and `wanted` all that the client wants.  The
    /// estimator learns them at the next deadline, since a command has no clock.
    pub fn aim_bandwidth(&mut self, transport: Id, used: f64, next: Option<f64>, wanted: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if [Some(used), next, Some(wanted)].into_iter().flatten().any(|rate| !rate.is_finite() || rate < 0.0) {
            return Err(Refused::Invalid("a rate must be a number of at least zero"));
        }
        self.transports[key].bandwidth.get_or_insert_default().set_aim(Aim { used, next, wanted });
        self.timers.arm(Timer::Transport(TransportTimer::Bandwidth, key), f64::NEG_INFINITY);
        Ok(())
    }

    /// The estimate of the bandwidth to a client; `None` before the first packet with a number.
    pub fn bandwidth_stats(&self, transport: Id) -> Result<Option<BandwidthStats>, Refused> {
        let key = self.transports.key(transport)?;
        Ok(self.transports[key].bandwidth.as_ref().and_then(|bandwidth| bandwidth.stats()))
    }

    /// A receiver reports which packets arrived, and when.
    pub(super) fn on_transport_feedback(&mut self, key: TransportKey, feedback: &TransportFeedback<'_>, now: f64) {
        let Some(bandwidth) = &mut self.transports[key].bandwidth else { return };
        match bandwidth.on_feedback(feedback, now) {
            Ok(()) => self.traffic.feedback_of_receivers += 1,
            Err(reason) => return self.drops.count(reason),
        }
        self.follow_bandwidth(key, now);
    }

    /// A receiver says how many bits per second it can take.
    pub(super) fn on_max_bitrate(&mut self, key: TransportKey, bitrate: u64, now: f64) {
        let transport = &mut self.transports[key];
        if !transport.consumers.is_empty() {
            transport.bandwidth.get_or_insert_default().set_max_bitrate(bitrate, now);
            self.follow_bandwidth(key, now);
        }
    }

    /// The send path to a client has changed.
    pub(super) fn on_other_path(&mut self, key: TransportKey, now: f64) {
        let estimator = self.transports[key].bandwidth.as_mut().and_then(|bandwidth| bandwidth.existing());
        if let Some(estimator) = estimator {
            estimator.change_path(now);
            self.follow_bandwidth(key, now);
        }
    }

    /// The timer of the bandwidth fired.
    pub(super) fn review_bandwidth(&mut self, key: TransportKey, now: f64) {
        let numbers = self.prober_of(key).is_some();
        let transport = &mut self.transports[key];
        let Some(bandwidth) = &mut transport.bandwidth else { return };
        if numbers {
            // Everything may be paused, and then nothing but a probe shows what the path carries.
            bandwidth.estimator(transport.round_trip, now);
        }
        bandwidth.pass_time(now);
        for _ in 0..MOST_PROBES {
            let Some(bandwidth) = &mut self.transports[key].bandwidth else { return };
            let wanted = bandwidth.has_aim();
            let Some(bytes) = bandwidth.probe(now) else { break };
            if wanted {
                self.send_probe(key, bytes, now);
            }
        }
        self.follow_bandwidth(key, now);
    }

    /// Report a watermark that was crossed, and wait for the estimator's next deadline.
    fn follow_bandwidth(&mut self, key: TransportKey, now: f64) {
        let transport = &mut self.transports[key];
        let Some(bandwidth) = &mut transport.bandwidth else { return };
        if let Some(crossing) = bandwidth.take_crossing(now) {
            self.events.bandwidth_crossed(transport.id, crossing);
        }
        let due = bandwidth.next_due().max(now + SHORTEST_WAIT);
        if due.is_finite() {
            self.timers.arm(Timer::Transport(TransportTimer::Bandwidth, key), due);
        }
    }
}
