//! How the estimator takes a feedback in: what it says about each packet, and what the arrivals show.

use super::{
    BandwidthEstimator, CALM, LONGEST_ROUND_TRIP, LOSSLESS, MAX_STATUSES, OVERFLOW_BYTES, OVERFLOW_GROWTH,
    OVERFLOW_LEAST, OVERFLOW_LOSS, OVERFLOW_RATE, OVERFLOWING, ROUND_TRIP_SHARE,
};
use crate::core::bandwidth::loss_control::LossReport;
use crate::core::bandwidth::trendline::Usage;
use crate::core::wire::rtcp::TransportFeedback;

impl BandwidthEstimator {
    /// Look up the packets of a feedback.  Those that arrived are in `arrived` then, in the order of arrival.
    ///
    /// `None` if it says nothing new about anything that we have sent.
    pub(super) fn read(&mut self, feedback: &TransportFeedback<'_>, now: f64) -> Option<LossReport> {
        let mut is_news = false;
        let mut report = LossReport { first_sent_at: f64::INFINITY, ..LossReport::default() };
        report.unreported = self.read_gap(feedback.base_sequence, now);
        self.arrived.clear();
        for (number, ticks) in feedback.arrivals() {
            let Some(packet) = self.sent.resolve(number, ticks.is_some(), now) else { continue };
            // After a long time without feedback, more numbers may lie between the two than an `i16` counts.
            let is_newer =
                |until: u16| (number.wrapping_sub(until) as i16) >= 0 || !self.sent.contains(until.wrapping_sub(1));
            if self.reported_until.is_none_or(is_newer) {
                self.reported_until = Some(number.wrapping_add(1));
            }
            is_news = true;
            // A probe may overfill the path for a moment.  What it loses says nothing about the rate of the media.
            let counted = if packet.cluster == 0 { packet.size } else { 0 };
            report.first_sent_at = report.first_sent_at.min(packet.sent_at);
            report.last_sent_at = report.last_sent_at.max(packet.sent_at);
            report.bytes += counted;
            match ticks.map(|ticks| self.clock.seconds(ticks)) {
                Some(arrival) => {
                    report.found += if packet.was_lost { counted } else { 0 };
                    self.probes.on_arrived(&packet, arrival);
                    let size = if packet.was_unreported { 0 } else { packet.size };
                    self.arrived.push((packet.sent_at, arrival, size));
                }
                None => {
                    report.lost += counted;
                    self.probes.on_lost(&packet);
                }
            }
        }
        self.arrived.sort_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
        is_news.then_some(report)
    }

    /// The feedback between the last one and this one was lost.  Returns the bytes that it was about.
    fn read_gap(&mut self, base: u16, now: f64) -> usize {
        let Some(until) = self.reported_until else { return 0 };
        let missing = base.wrapping_sub(until);
        if missing > MAX_STATUSES || !self.sent.contains(base) {
            return 0; // older feedback, or one about packets that were never sent
        }
        let packets = (0..missing).filter_map(|offset| self.sent.resolve_unreported(until.wrapping_add(offset), now));
        packets.map(|packet| packet.size).sum()
    }

    pub(super) fn follow_arrivals(&mut self, report: &LossReport, now: f64) {
        self.overflows = false;
        let Some(&(_, first_arrival, _)) = self.arrived.first() else { return };
        if report.unreported > 0 {
            self.gap_at = now;
            let arrived = 1.0 - self.loss_control.loss();
            self.acked.add_between(report.unreported as f64 * arrived, first_arrival);
        }
        let (mut least_delay, mut last_sent_at) = (f64::INFINITY, f64::NEG_INFINITY);
        for &(sent_at, arrival, size) in &self.arrived {
            self.acked.add(size, arrival);
            least_delay = least_delay.min(arrival - sent_at);
            last_sent_at = last_sent_at.max(sent_at);
            if let Some(delta) = self.groups.add(sent_at, arrival) {
                self.trendline.add(delta);
            }
        }
        let lossless = self.loss_control.loss() < LOSSLESS;
        if self.probes.is_probing() && !self.competition.competes() {
            self.competition.disturb(now);
        }
        self.queue.add(least_delay, lossless, self.competition.competes(), now);
        let loses = report.bytes >= OVERFLOW_BYTES && report.lost as f64 > OVERFLOW_LOSS * report.bytes as f64;
        let rates = self.acked.rate().zip(self.acked.newest_rate());
        let is_slow = rates.is_some_and(|(usual, newest)| usual > OVERFLOW_LEAST && newest < OVERFLOW_RATE * usual);
        let slows = is_slow && self.queue.growth() > OVERFLOW_GROWTH;
        self.overflows = self.queue.newest() > OVERFLOWING && (loses || slows);
        self.competition.update(self.queue.standing(), last_sent_at);
        let queues = self.trendline.usage() == Usage::Over || self.queue.standing() >= CALM;
        self.queued_since = self.queued_since.filter(|_| queues).or(queues.then_some(now));
        let measured = (now - last_sent_at).clamp(0.0, LONGEST_ROUND_TRIP);
        self.round_trip += ROUND_TRIP_SHARE * (measured - self.round_trip);
    }
}
