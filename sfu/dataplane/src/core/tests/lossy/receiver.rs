//! A client that receives one stream, asks for what is missing, and checks what it gets.

use std::collections::BTreeMap;

use super::super::*;
use crate::core::receive::clock::middle;
use crate::core::rtcp::{Nack, PictureLoss, ReceiverReport, ReportBlock, RtcpPacket, read_untrusted};

/// The receiver's SSRC of media; retransmissions have the next one.
pub const SSRC: u32 = 7000;
const RTX_SSRC: u32 = SSRC + 1;
const RETRY: f64 = 0.1; // seconds: a browser that knows no round trip assumes this one
const TRIES: u32 = 10;
const KEY_FRAME_PATIENCE: f64 = 0.2; // seconds: a decoder that cannot begin asks for a key frame this often
const REPORT_INTERVAL: f64 = 1.0;
const MOST_SKIPPED: u32 = 60; // packets from a missing one to a key frame: they came within two round trips
const VP8_DESCRIPTOR: usize = 6; // bytes before the VP8 payload, as the publisher writes it

struct Missing {
    asked_at: f64,
    tries: u32,
}

/// A packet of the stream, however it came.
pub struct Arrived {
    pub at: f64,
    pub marker: bool,
    pub timestamp: u32,
    /// Without padding; empty for a packet of padding alone.
    pub payload: Vec<u8>,
}

impl Arrived {
    /// The number that the publisher wrote into the packet.
    pub fn id(&self, video: bool) -> Option<u32> {
        let at = if video { VP8_DESCRIPTOR + 1 } else { 0 };
        self.payload.get(at..at + 4).map(|id| u32::from_be_bytes(id.try_into().unwrap()))
    }
}

pub struct Receiver {
    pub client: Client,
    /// Whether it asks for missing packets.
    pub asks: bool,
    highest: Option<i64>,
    missing: BTreeMap<i64, Missing>,
    pub arrived: BTreeMap<i64, Arrived>,
    /// The packets that came by themselves, in the order of their arrival.
    pub in_order_of_arrival: Vec<i64>,
    pub duplicates: u64,
    pub retransmissions: u64,
    /// The first packet of the first key frame.
    began: Option<i64>,
    /// When it asks for a key frame, unless it can begin before.
    key_frame_at: f64,
    last_report: u32,
    last_report_at: f64,
    next_report_at: f64,
    /// The packets that were sent, and those of them that were lost, in its last report.
    reported: (i64, i64),
}

impl Receiver {
    pub fn new(client: Client, asks: bool) -> Self {
        Self {
            client,
            asks,
            highest: None,
            missing: BTreeMap::new(),
            arrived: BTreeMap::new(),
            in_order_of_arrival: Vec::new(),
            duplicates: 0,
            retransmissions: 0,
            began: None,
            key_frame_at: f64::INFINITY,
            last_report: 0,
            last_report_at: 0.0,
            next_report_at: REPORT_INTERVAL,
            reported: (0, 0),
        }
    }

    /// Take in a datagram.
    pub fn receive(&mut self, datagram: Vec<u8>, now: f64) {
        if (192..=223).contains(&datagram[1]) {
            self.receive_rtcp(datagram, now);
            return;
        }
        let mut packet = datagram;
        let header = parse_header_untrusted(&packet, &mut Vec::new()).unwrap();
        let size = match self.client.srtp.open_rtp(&mut packet, &header, |_| true) {
            Ok(size) => size,
            Err(DropReason::Replayed) => {
                self.duplicates += 1;
                return;
            }
            Err(reason) => panic!("{reason:?}"),
        };
        let mut payload = packet[header.size..size].to_vec();
        if header.padding {
            let padding = usize::from(*payload.last().unwrap());
            payload.truncate(payload.len() - padding);
        }
        let (number, repaired) = match header.ssrc {
            SSRC => (header.sequence_number, false),
            RTX_SSRC => {
                self.retransmissions += 1;
                assert_eq!(header.payload_type, 102);
                let number = u16::from_be_bytes([payload[0], payload[1]]);
                payload.drain(..2);
                (number, true)
            }
            other => panic!("SSRC {other}"),
        };
        let arrived = Arrived { at: now, marker: header.marker, timestamp: header.timestamp, payload };
        self.take(number, arrived, repaired, now);
    }

    fn take(&mut self, number: u16, arrived: Arrived, repaired: bool, now: f64) {
        let highest = self.highest.unwrap_or(i64::from(number) - 1);
        let number = highest + i64::from(number.wrapping_sub(highest as u16) as i16);
        self.missing.remove(&number);
        for gap in highest + 1..number {
            self.missing.entry(gap).or_insert(Missing { asked_at: f64::NEG_INFINITY, tries: 0 });
        }
        self.highest = Some(highest.max(number));
        if !repaired {
            self.in_order_of_arrival.push(number);
        }
        if let Some(before) = self.arrived.get(&number) {
            self.duplicates += 1;
            assert_eq!(before.payload, arrived.payload, "number {number} came with two contents");
            // The timestamp of padding means nothing.
            let padding = arrived.payload.is_empty();
            assert!(padding || before.timestamp == arrived.timestamp && before.marker == arrived.marker, "{number}");
            return;
        }
        if self.asks && self.began.is_none() {
            self.key_frame_at = self.key_frame_at.min(now + KEY_FRAME_PATIENCE);
        }
        if begins_key_frame(&arrived.payload) {
            // The decoder needs nothing from before the key frame.
            self.missing.retain(|&missing, _| missing > number);
        }
        if begins_key_frame(&arrived.payload) && self.began.is_none_or(|first| number < first) {
            self.began = Some(number);
            self.key_frame_at = f64::INFINITY;
        }
        self.arrived.insert(number, arrived);
    }

    fn receive_rtcp(&mut self, mut datagram: Vec<u8>, now: f64) {
        let Ok(size) = self.client.srtp.open_rtcp(&mut datagram, |_| true) else { return };
        for packet in read_untrusted(&datagram[..size]).map(Result::unwrap) {
            if let RtcpPacket::SenderReport(report) = packet {
                (self.last_report, self.last_report_at) = (middle(report.info.ntp), now);
            }
        }
    }

    /// When it has something to send next, in seconds.
    pub fn next_at(&self) -> f64 {
        let retries = self.missing.values().filter(|_| self.asks).map(|one| one.asked_at + RETRY);
        retries.fold(self.next_report_at.min(self.key_frame_at), f64::min)
    }

    /// The RTCP packets that it sends at `now`.
    pub fn tick_at(&mut self, now: f64) -> Vec<Vec<u8>> {
        let mut compounds = Vec::new();
        if self.asks {
            compounds.extend(self.feedback(now));
        }
        if now >= self.next_report_at {
            self.next_report_at = now + REPORT_INTERVAL;
            let delay = ((now - self.last_report_at) * 65_536.0) as u32;
            let (fraction_lost, lost) = self.losses();
            let block = ReportBlock {
                ssrc: SSRC,
                fraction_lost,
                lost,
                last_report: self.last_report,
                delay,
                ..ReportBlock::default()
            };
            let mut report = Vec::new();
            ReceiverReport::write(1, &[block], &mut report);
            compounds.push(report);
        }
        for compound in &mut compounds {
            self.client.srtp.seal_rtcp(compound).unwrap();
        }
        compounds
    }

    /// The share in 1/256 that was lost since the last report, and all losses (RFC 3550 appendix A.3).
    fn losses(&mut self) -> (u8, i32) {
        let (Some(highest), Some(first)) = (self.highest, self.in_order_of_arrival.iter().min()) else { return (0, 0) };
        let expected = highest - first + 1;
        let lost = expected - self.in_order_of_arrival.len() as i64;
        let (expected_before, lost_before) = std::mem::replace(&mut self.reported, (expected, lost));
        let share = 256 * (lost - lost_before).max(0) / (expected - expected_before).max(1);
        (share.min(255) as u8, lost as i32)
    }

    /// A NACK for all that is due, and a PLI once it gives a packet up.
    fn feedback(&mut self, now: f64) -> Vec<Vec<u8>> {
        let mut compounds = Vec::new();
        let before = self.missing.len();
        self.missing.retain(|_, one| one.tries < TRIES || now < one.asked_at + RETRY);
        if self.missing.len() < before || now >= self.key_frame_at {
            if self.key_frame_at.is_finite() {
                self.key_frame_at = now + KEY_FRAME_PATIENCE;
            }
            let mut loss = Vec::new();
            PictureLoss { sender_ssrc: 1, media_ssrc: SSRC }.write(&mut loss);
            compounds.push(loss);
        }
        let mut due = Vec::new();
        for (&number, one) in &mut self.missing {
            if now >= one.asked_at + RETRY {
                (one.asked_at, one.tries) = (now, one.tries + 1);
                due.push(number as u16);
            }
        }
        for numbers in due.chunks(100) {
            let mut nack = Vec::new();
            Nack::write(1, SSRC, numbers, &mut nack);
            compounds.push(nack);
        }
        compounds
    }

    /// From its first key frame on, the stream is one that a VP8 decoder accepts.
    ///
    /// All frames are whole, and number their pictures one by one.  Where a number is missing, a key frame follows soon:
    /// what was lost before a switch to another encoding is not sent again after it.
    pub fn assert_decodes(&self) {
        let began = self.began.expect("a key frame");
        let mut before: Option<&Arrived> = None;
        let (mut expected, mut skipped) = (began, 0);
        for (&number, packet) in self.arrived.range(began..) {
            if number != expected {
                before = None;
            }
            expected = number + 1;
            if packet.payload.is_empty() {
                continue;
            }
            if let Some(before) = before {
                assert_follows(before, packet);
            } else if !begins_key_frame(&packet.payload) {
                skipped += 1;
                assert!(skipped <= MOST_SKIPPED, "no key frame before {number}");
                continue;
            }
            (before, skipped) = (Some(packet), 0);
        }
    }
}

/// A packet that directly follows another one belongs to the same frame, or to the next.
fn assert_follows(before: &Arrived, packet: &Arrived) {
    let begins = packet.payload[0] & 0x10 != 0;
    // A switch may leave the last frame of the encoding before unfinished.  The key frame makes up for it.
    assert!(begins == before.marker || begins_key_frame(&packet.payload), "frames are whole");
    let (was, is) = (picture(before), picture(packet));
    let step = packet.timestamp.wrapping_sub(before.timestamp);
    assert!(step < 0x8000_0000 && (step > 0) == begins, "timestamps rise with the frames: {step}");
    assert_eq!(is.0.wrapping_sub(was.0) & 0x7FFF, u16::from(begins), "one picture number for a frame");
    let lowest = begins && packet.payload[5] >> 6 == 0;
    assert_eq!(is.1.wrapping_sub(was.1), u8::from(lowest), "TL0PICIDX counts the lowest layer");
}

fn begins_key_frame(payload: &[u8]) -> bool {
    payload.len() > VP8_DESCRIPTOR && payload[0] & 0x10 != 0 && payload[VP8_DESCRIPTOR] & 1 == 0
}

/// Picture id and TL0PICIDX.
fn picture(packet: &Arrived) -> (u16, u8) {
    let payload = &packet.payload;
    (u16::from_be_bytes([payload[2] & 0x7F, payload[3]]), payload[4])
}

/// The specification of such a consumer, with `format` for its numbers.
pub fn spec(format: &ConsumerFormat) -> ConsumerSpec<'_> {
    ConsumerSpec { rtx_ssrc: Some(RTX_SSRC), ..ConsumerSpec::new(format, SSRC) }
}

/// Retransmissions of the router's VP8 have payload type 102.
pub fn format() -> ConsumerFormat {
    ConsumerFormat { rtx_payload_types: [(101, 102)].into(), report_interval: 1.0, ..super::super::format() }
}
