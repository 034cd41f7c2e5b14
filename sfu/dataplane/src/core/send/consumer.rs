//! A stream that goes out: one consumer's view of a producer's packets.

use crate::core::interface::spec::{ConsumerSpec, Id};
use crate::core::receive::clock::SourceClock;
use crate::core::receive::producer::{Packet, Producer, RewriterSlot};
use crate::core::send::sender_report::Reporting;
use crate::core::send::sequence_translator::Numbering;
use crate::core::srtp::window::RtpWindow;
use crate::core::table::{ProducerKey, TransportKey};
use crate::core::wire::extensions::{MidElement, Rewriter};
use crate::core::wire::payload::{Frame, write_picture};
use crate::core::wire::rtp::FIXED_HEADER_SIZE;

const ALL_LAYERS: u8 = 7;
const CLOCKS_TRUSTED_WITHIN: i64 = 5; // seconds that sender reports and arrival may be apart; more, and they are wrong

/// The encoding and the highest temporal layer that are forwarded.
pub type Layers = (Option<usize>, Option<u8>);

/// Rewrites packets for one receiver.
///
/// `target` and `target_temporal` are what is asked for, `current` and `temporal` what is in force; `awaited` is the
/// encoding that this consumer will take up when it can, `current` flowing on until then.
#[derive(Debug)]
pub struct Consumer {
    pub id: Id,
    pub transport: TransportKey,
    pub producer: Option<ProducerKey>,
    pub rewriter: RewriterSlot,
    pub ssrc: u32,
    pub paused: bool,
    pub target: Option<usize>,
    pub current: Option<usize>,
    pub awaited: Option<usize>,
    /// Its layers may have changed since the slow path was told.
    pub changed: bool,
    /// What the slow path was told.
    pub reported: Layers,
    /// Datagrams that left.
    pub packets: u64,
    /// Of whole plain packets.
    pub bytes: u64,
    /// Of payloads.
    pub octets: u64,
    /// What is added to the current encoding's timestamps.
    pub timestamp_offset: u32,
    /// Of the newest packet that was made, as it went out.
    pub last_timestamp: u32,
    /// When that was, in seconds.
    pub last_at: Option<f64>,
    /// Its receiver is told the sender's clock so often on the average, in seconds.
    pub report_interval: f64,
    pub reporting: Reporting,
    /// Which indices were sealed: none may be sealed twice (RFC 3711 section 9.1).
    pub sealed: RtpWindow,
    target_temporal: u8,
    temporal: u8,
    payload_types: u128,
    mid: Option<MidElement>,
    numbers: Numbering,
    pictures: Numbering,
    tl0_newest: Option<u8>,
    tl0_offset: u8,
    /// Which encoding the timestamps are of, and its SSRC then.
    source: Option<(usize, Option<u32>)>,
}

/// A packet as its receiver gets it, not sealed yet.
#[derive(Clone, Copy, Debug)]
pub struct Rewritten {
    /// 2^16 times the rollover counter and the sequence number.
    pub index: u64,
    /// Of its header, in bytes.
    pub header: usize,
    pub timestamp: u32,
    /// Of its payload without padding, in bytes.
    pub payload: usize,
}

impl Consumer {
    pub fn new(
        id: Id,
        transport: TransportKey,
        producer: ProducerKey,
        spec: &ConsumerSpec,
        rewriter: RewriterSlot,
        mid: Option<MidElement>,
        first_sequence: u16,
    ) -> Self {
        let mut consumer = Self {
            id,
            transport,
            producer: Some(producer),
            rewriter,
            ssrc: spec.ssrc,
            paused: spec.paused,
            target: spec.encoding,
            current: None,
            awaited: None,
            changed: false,
            reported: (None, None),
            packets: 0,
            bytes: 0,
            octets: 0,
            timestamp_offset: 0,
            last_timestamp: 0,
            last_at: None,
            report_interval: spec.report_interval,
            reporting: Reporting::default(),
            sealed: RtpWindow::default(),
            target_temporal: ALL_LAYERS,
            temporal: 0,
            payload_types: spec.payload_types.iter().fold(0, |set, &one| set | 1 << (one & 0x7F)),
            mid,
            numbers: Numbering::new(Some(i64::from(first_sequence))),
            pictures: Numbering::new(None),
            tl0_newest: None,
            tl0_offset: 0,
            source: None,
        };
        consumer.aim_at_temporal(spec.temporal);
        consumer
    }

    pub fn aim_at_temporal(&mut self, temporal: Option<u8>) {
        self.target_temporal = temporal.unwrap_or(ALL_LAYERS);
    }

    pub fn takes(&self, payload_type: u8) -> bool {
        self.payload_types & 1 << payload_type != 0
    }

    /// Take up an encoding of the producer with this packet: all numbers go on from where they are.
    pub fn begin(&mut self, producer: &Producer, index: usize, packet: &Packet) {
        self.align_timestamps(producer, index, packet);
        self.current = Some(index);
        self.temporal = self.target_temporal;
        self.reporting.restart();
        self.numbers.begin(packet.extended);
        if let Some(frame) = packet.frame {
            if frame.picture.is_some() {
                self.pictures.begin(packet.picture);
            }
            if let (Some(tl0), Some(newest)) = (frame.tl0, self.tl0_newest) {
                self.tl0_offset = newest.wrapping_add(1).wrapping_sub(tl0.index);
            }
        }
    }

    /// Another source's timestamps continue those of the last; the same source's just go on.
    fn align_timestamps(&mut self, producer: &Producer, index: usize, packet: &Packet) {
        let source = (index, producer.encodings[index].ssrc);
        if let Some(last_at) = self.last_at
            && self.source != Some(source)
        {
            let clock_rate = producer.spec.clock_rate;
            let (last, timestamp) = (i64::from(self.last_timestamp), i64::from(packet.header.timestamp));
            let passed = ((packet.now - last_at) * f64::from(clock_rate)).round_ties_even() as i64;
            let mut offset = last + passed - timestamp;
            if let Some(exact) = self.exact_offset(producer, index)
                && difference(exact, offset) < CLOCKS_TRUSTED_WITHIN * i64::from(clock_rate)
            {
                offset = exact;
            }
            let ahead = (timestamp + offset - last) as u32;
            if !(1..0x8000_0000).contains(&ahead) {
                offset = last + 1 - timestamp;
            }
            self.timestamp_offset = offset as u32;
        }
        self.source = Some(source);
    }

    /// The offset that stays on the producer's common timeline, where both encodings' places on it are known.
    fn exact_offset(&self, producer: &Producer, index: usize) -> Option<i64> {
        let (source, ssrc) = self.source?;
        let source = producer.encodings.get(source).filter(|source| source.ssrc == ssrc)?;
        let timeline = |clock: SourceClock| clock.timeline(producer.spec.clock_rate);
        let (clock, before) = (producer.encodings[index].clock.get()?, source.clock.get()?);
        Some(i64::from(self.timestamp_offset) + timeline(clock) - timeline(before))
    }

    /// All before this number, by which the source counts, is too late; our own go on.
    pub fn skip_to(&mut self, number: i64) {
        self.numbers.begin(number);
    }

    /// Append the packet as this receiver gets it, plain and of at most `room` bytes where our MID decides that.
    ///
    /// `None` where it is left out, and leaves no hole.
    pub fn rewrite(
        &mut self,
        packet: &Packet,
        rewriter: &mut Rewriter,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Option<Rewritten> {
        let layered = packet.frame.and_then(|frame| frame.temporal.map(|temporal| (frame, temporal)));
        if packet.left_out
            || !self.takes(packet.payload_type)
            || !layered.is_none_or(|(frame, temporal)| self.takes_layer(frame, temporal))
        {
            if packet.frame.is_some_and(|frame| frame.picture.is_some()) {
                self.pictures.leave_out(packet.picture);
            }
            let kept = self.numbers.leave_out(packet.extended)?;
            return self.fill(u64::try_from(kept).ok()?, packet, out);
        }
        let number = u64::try_from(self.numbers.take(packet.extended)?).ok()?;
        let frame = packet.frame.unwrap_or_default();
        let picture = frame.picture.and_then(|_| self.pictures.take(packet.picture));
        if frame.picture.is_some() && picture.is_none() {
            // The rest of its picture was left out, before its layer was taken up.
            return self.fill(number, packet, out);
        }
        rewriter.prepare(packet.plain, packet.elements, packet.serial);
        let timestamp = packet.header.timestamp.wrapping_add(self.timestamp_offset);
        let start = out.len();
        let padding = self.write_header(packet, rewriter, number, timestamp, room, out);
        let header = out.len() - start;
        out.extend_from_slice(packet.payload);
        out.extend_from_slice(padding);
        self.renumber_frame(packet, frame, picture, &mut out[start + header..]);
        Some(Rewritten { index: number, header, timestamp, payload: packet.payload.len() })
    }

    /// The padding goes along, and our MID does, where the packet stays small enough: they are no loss, as the receiver
    /// knows the SSRC as well (RFC 8843 section 9.2).  Gives the padding that is to be sent.
    fn write_header<'a>(
        &self,
        packet: &Packet<'a>,
        rewriter: &Rewriter,
        number: u64,
        timestamp: u32,
        room: usize,
        out: &mut Vec<u8>,
    ) -> &'a [u8] {
        let sources = &packet.plain[FIXED_HEADER_SIZE..packet.header.csrcs_end];
        let rest = FIXED_HEADER_SIZE + sources.len() + packet.payload.len();
        let mid = self.mid.as_ref().filter(|mid| rest + rewriter.size(Some(mid)) <= room);
        let extensions = rewriter.size(mid);
        let padding = if rest + extensions + packet.padding.len() <= room { packet.padding } else { &[] };
        let mut fixed = self.fixed_header(packet, number, timestamp);
        fixed[0] |= packet.plain[0] & 0x0F | if extensions > 0 { 0x10 } else { 0 };
        fixed[0] |= if padding.is_empty() { 0 } else { 0x20 };
        fixed[1] |= u8::from(packet.header.marker) << 7;
        out.extend_from_slice(&fixed);
        out.extend_from_slice(sources);
        rewriter.write(mid, out);
        padding
    }

    fn fixed_header(&self, packet: &Packet, number: u64, timestamp: u32) -> [u8; FIXED_HEADER_SIZE] {
        let mut fixed = [0; FIXED_HEADER_SIZE];
        fixed[0] = 0x80;
        fixed[1] = packet.payload_type;
        fixed[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        fixed[4..8].copy_from_slice(&timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        fixed
    }

    /// A packet that is left out has a number, kept while others overtook it, which the receiver would miss.
    ///
    /// It gets one byte of padding instead (RFC 3550 section 5.1).
    fn fill(&self, number: u64, packet: &Packet, out: &mut Vec<u8>) -> Option<Rewritten> {
        let timestamp = packet.header.timestamp.wrapping_add(self.timestamp_offset);
        let mut fixed = self.fixed_header(packet, number, timestamp);
        fixed[0] |= 0x20;
        out.extend_from_slice(&fixed);
        out.push(1);
        Some(Rewritten { index: number, header: FIXED_HEADER_SIZE, timestamp, payload: 0 })
    }

    /// Temporal layers change where that harms no picture: down at any frame, up where the encoder says so.
    ///
    /// A key frame depends on nothing, and what follows it on nothing before it.
    fn takes_layer(&mut self, frame: Frame, temporal: u8) -> bool {
        let before = self.temporal;
        if frame.begins {
            if frame.key || self.target_temporal < before {
                self.temporal = self.target_temporal;
            } else if frame.sync && before < temporal && temporal <= self.target_temporal {
                self.temporal = temporal;
            }
        }
        let takes = temporal <= self.temporal;
        if takes && frame.switch_up && self.temporal < self.target_temporal {
            self.temporal = self.target_temporal;
        }
        takes
    }

    /// Continue picture id and TL0PICIDX.
    fn renumber_frame(&mut self, packet: &Packet, frame: Frame, picture: Option<i64>, payload: &mut [u8]) {
        if let (Some(place), Some(picture)) = (frame.picture, picture)
            && picture != packet.picture
        {
            write_picture(payload, place, picture);
        }
        if let Some(tl0) = frame.tl0 {
            let index = tl0.index.wrapping_add(self.tl0_offset);
            if self.tl0_newest.is_none_or(|newest| index.wrapping_sub(newest) < 0x80) {
                self.tl0_newest = Some(index);
            }
            payload[usize::from(tl0.at)] = index;
        }
    }

    /// A packet was made at `now`, in seconds: what comes next goes on from there.
    pub fn made(&mut self, timestamp: u32, now: f64) {
        if self.last_at.is_none() || timestamp.wrapping_sub(self.last_timestamp) < 0x8000_0000 {
            self.last_timestamp = timestamp;
            self.last_at = Some(now);
        }
    }

    /// The highest temporal layer in force.
    pub fn temporal(&self) -> u8 {
        self.temporal
    }
}

/// How far apart two timestamps are, whichever comes first.
fn difference(one: i64, other: i64) -> i64 {
    i64::from((one.wrapping_sub(other) as u32) as i32).abs()
}
