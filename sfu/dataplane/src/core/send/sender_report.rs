//! Sender reports about what is forwarded, on the sender's own clocks (RFC 3550 section 6.4).

use crate::core::interface::statistics::ReceptionReport;
use crate::core::receive::clock::middle;
use crate::core::wire::rtcp::ReportBlock;

const KEPT: usize = 5; // how many reports a receiver may still answer: those of the last seconds
const SOONEST: f64 = 1.0; // seconds between two reports at least, however often the clock is moved
const SHORT_SECOND: f64 = 65_536.0; // one second in the middle 32 bits of the NTP format
const GOLDEN: f64 = 0.618_033_988_749_894_9; // the fractional parts of its multiples spread evenly between 0 and 1

/// The times of a consumer's sender reports, and its receiver's answers to them.
///
/// A report follows a media packet, and each packet checks whether a report is due.  So no timer is needed, and a
/// stream without packets reports nothing.
#[derive(Debug)]
pub struct ReportSchedule {
    /// Mean seconds between two reports.
    interval: f64,
    /// When the next report is due, in seconds; at once for a receiver that does not know the clock yet.
    due: f64,
    /// When the newest report was due, in seconds.
    last_at: f64,
    /// For each of the newest reports the middle of its NTP time.
    sent: [u32; KEPT],
    /// When each of them left, in seconds; NaN for none.
    sent_at: [f64; KEPT],
    /// Place of the oldest report in both.
    oldest: u8,
    /// The receiver's newest report.
    pub reception_report: Option<ReceptionReport>,
}

impl ReportSchedule {
    /// The first report is due at once; the mean `interval` is in seconds.
    pub fn new(interval: f64) -> Self {
        let (sent, sent_at) = ([0; KEPT], [f64::NAN; KEPT]);
        Self { interval, due: 0.0, last_at: 0.0, sent, sent_at, oldest: 0, reception_report: None }
    }

    /// The receiver gets another clock from now on: report it at once, and forget the reports before.
    pub fn restart(&mut self) {
        *self = Self { reception_report: self.reception_report, ..Self::new(self.interval) };
    }

    /// The clock was moved, so that the last report is wrong now.  Report again, but once a second at most.
    pub fn hurry(&mut self, now: f64) {
        self.due = self.due.min(now.max(self.last_at + SOONEST));
    }

    /// Whether a report is due at `now` (seconds).
    pub fn is_due(&self, now: f64) -> bool {
        now >= self.due
    }

    /// Schedule the next report; this is the `serial`-th one of the core.
    ///
    /// The interval is multiplied with 0.5 to 1.5 (RFC 3550 section 6.3.1), so that streams that began together do not
    /// report together.  Multiples of the golden ratio spread evenly, so they serve as random numbers.
    pub fn schedule(&mut self, now: f64, serial: u64) {
        self.last_at = now;
        self.due = now + self.interval * (0.5 + (serial as f64 * GOLDEN).fract());
    }

    /// A report with this NTP time left at `now`, in seconds.
    pub fn record_sent(&mut self, ntp: u64, now: f64) {
        let place = usize::from(self.oldest);
        (self.sent[place], self.sent_at[place]) = (middle(ntp), now);
        self.oldest = (self.oldest + 1) % KEPT as u8;
    }

    /// When the sender report with this middle of its NTP time left, in seconds, if it is one of the newest.
    pub fn sent_at(&self, report: u32) -> Option<f64> {
        let mut sent = self.sent.iter().zip(&self.sent_at).filter(|(_, at)| !at.is_nan());
        sent.find(|(sent, _)| **sent == report).map(|(_, at)| *at)
    }

    /// The receiver reported at `now`, in seconds.  Gives the round trip, if it answered one of the newest reports.
    ///
    /// The round trip is measured on our own clock alone.  RFC 3550 section 6.4.1 reads it off the NTP times, but the
    /// NTP time in our sender reports is another client's.
    pub fn on_report_block(&mut self, block: &ReportBlock, now: f64) -> Option<f64> {
        let before = self.reception_report.and_then(|report| report.round_trip);
        let trip = self.sent_at(block.last_report).map(|sent_at| now - sent_at - f64::from(block.delay) / SHORT_SECOND);
        // A negative round trip is a rounding error or a forgery.  Keep the previous value.
        let fresh = trip.filter(|trip| *trip >= 0.0);
        let ReportBlock { fraction_lost, lost, jitter, .. } = *block;
        self.reception_report = Some(ReceptionReport { fraction_lost, lost, jitter, round_trip: fresh.or(before) });
        fresh
    }
}
