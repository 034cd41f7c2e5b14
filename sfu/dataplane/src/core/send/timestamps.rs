//! One timeline of RTP timestamps for a receiver, across switches between encodings.

use crate::core::receive::clock::NtpMapping;
use crate::core::receive::packet::Packet;
use crate::core::receive::producer::Producer;

/// Seconds by which sender reports and arrival times may disagree.  Above that the reports are wrong.
const CLOCKS_TRUSTED_WITHIN: i64 = 5;

/// Adds an offset to timestamps, chosen anew whenever the source changes.
///
/// Every encoding starts its timestamps at a random value, but the receiver sees one stream (one SSRC).  A switch must
/// move its timestamps forward by the time that passed, or playout stalls or jumps.
#[derive(Debug, Default)]
pub struct TimestampAligner {
    /// The number to add (mod 2^32) to the current source's timestamps.
    pub offset: u32,
    /// The newest timestamp that was sent.
    pub last: u32,
    /// When the packet with that timestamp came, in seconds.
    pub last_at: Option<f64>,
    /// The source of the timestamps: the index of the encoding, and its SSRC at that time.
    source: Option<(usize, Option<u32>)>,
}

impl TimestampAligner {
    /// The timestamp under which a packet is sent.
    pub fn translate(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.offset)
    }

    /// A packet with this timestamp is sent at `now`, in seconds.
    pub fn record_sent(&mut self, timestamp: u32, now: f64) {
        // A packet that comes late does not turn the time back.
        if self.last_at.is_none() || timestamp.wrapping_sub(self.last) < 0x8000_0000 {
            self.last = timestamp;
            self.last_at = Some(now);
        }
    }

    /// Choose the offset for an encoding of the producer, of which `packet` is the first to be sent.
    ///
    /// Another source continues the timestamps of the last one.  The same source, after a pause say, keeps its offset:
    /// its own timestamps have gone on.
    pub fn switch_to(&mut self, producer: &Producer, index: usize, packet: &Packet) {
        let source = (index, producer.encodings[index].ssrc);
        if let Some(last_at) = self.last_at
            && self.source != Some(source)
        {
            let clock_rate = producer.spec.clock_rate;
            let (last, timestamp) = (i64::from(self.last), i64::from(packet.header.timestamp));
            // By the arrival times: advance by the time since the last packet.  This is always possible, but off by the
            // network's jitter.
            let passed = ((packet.now - last_at) * f64::from(clock_rate)).round_ties_even() as i64;
            let mut offset = last + passed - timestamp;
            // By the sender's reports: exact, so that audio and video stay in step.  A sender may report nonsense, so
            // ignore its reports if they differ from the arrival times by more than some seconds.
            if let Some(exact) = self.exact_offset(producer, index)
                && difference(exact, offset) < CLOCKS_TRUSTED_WITHIN * i64::from(clock_rate)
            {
                offset = exact;
            }
            // Timestamps never stand still or go back at a switch, as a receiver would take the frame for an old one.
            let ahead = (timestamp + offset - last) as u32;
            if !(1..0x8000_0000).contains(&ahead) {
                offset = last + 1 - timestamp;
            }
            self.offset = offset as u32;
        }
        self.source = Some(source);
    }

    /// The offset that keeps to the producer's NTP timeline.  `None` unless both encodings have sent reports.
    fn exact_offset(&self, producer: &Producer, index: usize) -> Option<i64> {
        let (source, ssrc) = self.source?;
        let source = producer.encodings.get(source).filter(|source| source.ssrc == ssrc)?;
        let timeline = |mapping: NtpMapping| mapping.timeline(producer.spec.clock_rate);
        let (next, before) = (producer.encodings[index].clock.mapping()?, source.clock.mapping()?);
        Some(i64::from(self.offset) + timeline(next) - timeline(before))
    }
}

/// The distance between two timestamps, whichever comes first.
fn difference(one: i64, other: i64) -> i64 {
    i64::from((one.wrapping_sub(other) as u32) as i32).abs()
}
