//! Sender reports about what is forwarded, on the sender's own clocks (RFC 3550 section 6.4).

use crate::core::engine::Core;
use crate::core::receive::clock::middle;
use crate::core::send::consumer::Consumer;
use crate::core::table::TransportKey;
use crate::core::wire::receiver_report::{Block, Reception};

const KEPT: usize = 5; // so many of the newest reports can be answered: those of some seconds
const SOONEST: f64 = 1.0; // seconds from a report to the next, where the clock was moved
const SHORT_SECOND: f64 = 65_536.0; // in the middle 32 bits of the NTP format
const GOLDEN: f64 = 0.618_033_988_749_894_9; // its multiples spread evenly over the fractions

const SENDER_REPORT: [u8; 4] = [0x80, 200, 0, 6]; // no report blocks, 6 words behind the first
const SOURCE_DESCRIPTION: [u8; 2] = [0x81, 202]; // of one source
const CNAME: u8 = 1;
const MAX_CNAME: usize = 255;

/// What a consumer's receiver was told, and when the next report is due.
///
/// Reports leave behind media, so nothing is reported where nothing was sent.
#[derive(Debug, Default)]
pub struct Reporting {
    /// In seconds; at once where the receiver does not know the clock yet.
    pub due: f64,
    /// When the newest was made, in seconds.
    pub made_at: f64,
    /// The middle of the NTP time of each of the newest, and when it left.
    sent: [Option<(u32, f64)>; KEPT],
    next: usize,
    /// What its receiver reported.
    pub reception: Option<Reception>,
}

impl Reporting {
    /// It begins, or goes by another clock: what was reported before says nothing.
    pub fn restart(&mut self) {
        *self = Self { reception: self.reception, ..Self::default() };
    }

    /// What was told is not true any more.  However often that is so, one report a second is enough.
    pub fn hurry(&mut self, now: f64) {
        self.due = self.due.min(now.max(self.made_at + SOONEST));
    }

    fn sent(&mut self, ntp: u64, now: f64) {
        self.sent[self.next] = Some((middle(ntp), now));
        self.next = (self.next + 1) % KEPT;
    }

    /// The receiver reported.  The round trip goes by our own clock alone (RFC 3550 section 6.4.1 has both ends of it):
    /// the NTP time in a sender report is another client's.
    pub fn answered(&mut self, block: &Block, now: f64) {
        let before = self.reception.and_then(|reception| reception.round_trip);
        let sent_at = self.sent.iter().flatten().find(|(report, _)| *report == block.last_report).map(|(_, at)| *at);
        let trip = sent_at.map(|sent_at| now - sent_at - f64::from(block.delay) / SHORT_SECOND);
        // Below nothing lies what is rounded, or made up.
        let round_trip = trip.filter(|trip| *trip >= 0.0).or(before);
        let Block { fraction_lost, lost, jitter, .. } = *block;
        self.reception = Some(Reception { fraction_lost, lost, jitter, round_trip });
    }
}

/// What the mean interval to the `serial`-th report is multiplied with: 0.5 to 1.5, as RFC 3550 section 6.3.1 has it.
///
/// Those who begin together do not stay together.
pub fn spread(serial: u64) -> f64 {
    0.5 + (serial as f64 * GOLDEN).fract()
}

impl Core {
    /// Put the reports that are due behind the media that waits to leave.
    pub(in crate::core) fn add_reports(&mut self, key: TransportKey, now: f64) {
        let Self { transports, consumers, producers, report, drops, .. } = self;
        let transport = &mut transports[key];
        let Some(srtp) = &mut transport.srtp else { return };
        for place in 0..transport.burst.reporting.len() {
            let consumer = transport.burst.reporting[place];
            let Some(sender) = consumers.get_mut(consumer) else { continue };
            let Some(producer) = sender.producer.and_then(|producer| producers.get(producer)) else { continue };
            let clock = sender.current.and_then(|current| producer.encodings[current].clock.get());
            let Some(clock) = clock else { continue };
            let (ntp, timestamp) = clock.read(producer.spec.clock_rate, now);
            write(sender, ntp, timestamp, &producer.spec.cname, report);
            match srtp.seal_rtcp(report) {
                Ok(()) => {
                    sender.reporting.sent(ntp, now);
                    transport.burst.push_report(consumer, report);
                }
                Err(reason) => drops.count(reason),
            }
        }
    }
}

/// A compound packet of a sender report and its source's name (RFC 3550 sections 6.4.1 and 6.5).
fn write(consumer: &Consumer, ntp: u64, timestamp: u32, cname: &str, out: &mut Vec<u8>) {
    let ssrc = consumer.ssrc.to_be_bytes();
    out.clear();
    out.extend(SENDER_REPORT);
    out.extend(ssrc);
    out.extend(ntp.to_be_bytes());
    out.extend(timestamp.wrapping_add(consumer.timestamp_offset).to_be_bytes());
    out.extend((consumer.packets as u32).to_be_bytes());
    out.extend((consumer.octets as u32).to_be_bytes());
    let name = &cname.as_bytes()[..cname.len().min(MAX_CNAME)];
    // The SSRC, the item, and at least one zero to end it, in whole words.
    let words = 1 + (2 + name.len()) / 4 + 1;
    out.extend(SOURCE_DESCRIPTION);
    out.extend((words as u16).to_be_bytes());
    out.extend(ssrc);
    out.extend([CNAME, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(out.len() + 4 - (2 + name.len()) % 4, 0);
}
