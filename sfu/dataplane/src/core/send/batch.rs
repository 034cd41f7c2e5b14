//! Packets that wait to leave to one receiver.
//!
//! The packets of a video frame come together.  They wait for the last of them and leave in one segmented send (UDP
//! GSO).  That costs the system about as much as a single packet.

use crate::core::keys::ConsumerKey;
use crate::core::send::pacer::Pacer;
use crate::core::send::queued_packet::{Delivery, QueuedPacket, Seal};
use crate::core::send::repeats::Repeats;
use crate::core::send::run_numbers::RunNumbers;
use crate::core::srtp::Srtp;

const MAX_RUN_BYTES: usize = 65_000; // a segmented send has at most 65,535 bytes with its headers, like a datagram
const MAX_BYTES_KEPT: usize = 32 * 1024; // room for several frames; the memory of a large key frame is given back
const STEP: usize = 256; // bytes by which the memory grows at least
const SLACK: usize = 32; // bytes by which a packet may be larger than it came: a MID
const REVIEW: u8 = 255; // batches from one look at the memory that is not needed to the next
const MAX_PADDING: usize = 64; // a packet grows by 1/64 at most: encoders split a frame into sizes some bytes apart

const PADDED: u8 = 0x20; // the padding bit of the first byte (RFC 3550 section 5.1)

/// The parts of a run that its packets change while they are sealed.
struct Sealing<'a, 'b, 'c> {
    srtp: &'a Srtp,
    repeats: Option<&'b mut Repeats>,
    numbers: Option<&'b mut RunNumbers<'c>>,
}

impl QueuedPacket {
    /// Give the packet its number, seal it in place, and keep it if it is sent once more.
    // It has three callers.  As a call of its own it costs a hundredth of the core's instructions for audio.
    #[inline(always)]
    fn seal(&self, packet: &mut [u8], sealing: &mut Sealing<'_, '_, '_>) {
        let Some(Seal { header, ssrc, index, delivery, .. }) = self.seal else { return };
        if self.number_at > 0
            && let Some(numbers) = &mut sealing.numbers
        {
            let (at, number) = (usize::from(self.number_at), numbers.take(packet.len(), delivery.kind()));
            packet[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
        sealing.srtp.seal_rtp(packet, usize::from(header), ssrc, index);
        if delivery == Delivery::Twice
            && let Some(repeats) = &mut sealing.repeats
        {
            let trailer = self.size - self.plain;
            repeats.keep(self.consumer, packet, packet.len() as u16 - trailer);
        }
    }
}

/// Bytes of padding that a plain packet of this size may get; none if it is padded already.
pub fn most_padding(first_byte: u8, plain: usize) -> u8 {
    if first_byte & PADDED == 0 { (plain / MAX_PADDING) as u8 } else { 0 }
}

/// The packets that wait for one receiver, one behind the other.
#[derive(Debug)]
pub struct SendBatch {
    /// The bytes of the packets, each with room for its tag.
    pub bytes: Vec<u8>,
    /// Consumers for which a sender report is due when the batch leaves.
    pub reporting: Vec<ConsumerKey>,
    queued: Vec<QueuedPacket>,
    /// The packets that are sent again with the next ones; `None` while no consumer sends packets twice.
    repeats: Option<Box<Repeats>>,
    /// The video that waits longer; `None` while the path has room for all of it.
    pacer: Option<Box<Pacer>>,
    /// When the batch must leave, in seconds; infinite if it is empty.
    due: f64,
    /// A packet takes a transport-wide sequence number when it leaves.
    numbered: bool,
    /// Bytes of the largest batch since the last look at the memory.
    largest: usize,
    /// Batches until the next look.
    until_review: u8,
}

impl Default for SendBatch {
    fn default() -> Self {
        let (bytes, reporting, queued) = (Vec::new(), Vec::new(), Vec::new());
        let (repeats, pacer, due) = (None, None, f64::INFINITY);
        Self { bytes, reporting, queued, repeats, pacer, due, numbered: false, largest: 0, until_review: REVIEW }
    }
}

impl SendBatch {
    /// Make room for a packet that came with this size, in bytes.
    #[inline]
    pub fn make_room(&mut self, size: usize) {
        let wanted = self.bytes.len() + size + SLACK;
        if wanted > self.bytes.capacity() {
            self.grow(wanted);
        }
    }

    /// Take little more memory than is needed.  A vector that grows by itself doubles.  For a frame of five packets,
    /// each receiver would have three kilobytes too many, and twelve once two senders' frames have met.
    #[cold]
    fn grow(&mut self, wanted: usize) {
        let capacity = self.bytes.capacity();
        let step = if capacity < MAX_BYTES_KEPT { capacity / 8 } else { capacity };
        let enough = wanted.max(capacity + step).next_multiple_of(STEP);
        self.bytes.reserve_exact(enough - self.bytes.len());
    }

    /// Queue the packet whose bytes were appended last.  It must leave by `due`, in seconds.
    pub fn push(&mut self, packet: QueuedPacket, due: f64) {
        self.queued.push(packet);
        self.due = self.due.min(due);
        self.numbered |= packet.number_at > 0;
    }

    /// Queue a sealed report, which leaves with the rest.
    pub fn push_report(&mut self, consumer: ConsumerKey, report: &[u8]) {
        self.bytes.extend_from_slice(report);
        let size = report.len() as u16;
        self.queued.push(QueuedPacket { consumer, size, plain: 0, payload: 0, padding: 0, number_at: 0, seal: None });
    }

    /// The consumer's packet that was queued last, at `now` (seconds), is sent twice (`repeated`) or once.
    ///
    /// If twice, the consumer's packet before it is queued too, exactly as it was sent.  A packet that is old, or larger
    /// than `room` bytes, is not queued again.
    pub fn repeat(&mut self, consumer: ConsumerKey, repeated: bool, now: f64, room: usize) {
        if !repeated {
            self.end_repeats(consumer);
            return;
        }
        let start = self.bytes.len();
        let repeats = self.repeats.get_or_insert_default();
        let Some(plain) = repeats.exchange(consumer, now, room, &mut self.bytes) else { return };
        let size = (self.bytes.len() - start) as u16;
        self.queued.push(QueuedPacket { consumer, size, plain, payload: 0, padding: 0, number_at: 0, seal: None });
    }

    /// The consumer's packets are sent once from now on.
    pub fn end_repeats(&mut self, consumer: ConsumerKey) {
        if let Some(repeats) = &mut self.repeats {
            repeats.forget(consumer);
            if repeats.is_empty() {
                self.repeats = None;
            }
        }
    }

    /// Whether a sealed packet is kept for a consumer.
    #[cfg(test)]
    pub fn keeps_repeats(&self) -> bool {
        self.repeats.is_some()
    }

    /// When the batch must leave, in seconds.
    pub fn due(&self) -> f64 {
        self.due
    }

    pub fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.held_until().is_infinite()
    }

    /// Hold back the video that may not leave at `now`, at `rate` bits per second.  Without a rate, none.
    ///
    /// It waits for the next batches.  The other packets leave in front of the video.
    #[inline]
    pub fn pace(&mut self, rate: Option<f64>, now: f64) {
        if rate.is_some() || self.pacer.is_some() {
            self.pace_narrow(rate, now);
        }
    }

    #[cold]
    fn pace_narrow(&mut self, rate: Option<f64>, now: f64) {
        let mut pacer = self.pacer.take().unwrap_or_default();
        let (bytes, queued) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.queued));
        let mut start = 0;
        for packet in queued {
            let end = start + usize::from(packet.size);
            if Pacer::is_for(&packet) {
                pacer.hold(packet, &bytes[start..end], now);
            } else {
                self.bytes.extend_from_slice(&bytes[start..end]);
                self.queued.push(packet);
            }
            start = end;
        }
        pacer.release(rate, now, |packet, bytes| {
            self.bytes.extend_from_slice(bytes);
            self.queued.push(packet);
            self.numbered |= packet.number_at > 0;
        });
        self.pacer = Some(pacer).filter(|_| rate.is_some());
    }

    /// Until when video is held back, in seconds; infinite if none is.
    fn held_until(&self) -> f64 {
        self.pacer.as_ref().map_or(f64::INFINITY, |pacer| pacer.due())
    }

    /// Forget the packets that do not fit.  Gives how many those are.
    #[cold]
    pub fn keep_fitting(&mut self, mut fits: impl FnMut(&QueuedPacket) -> bool) -> usize {
        let Self { bytes, queued, .. } = self;
        let before = queued.len();
        let (mut from, mut to) = (0, 0);
        queued.retain(|packet| {
            let end = from + usize::from(packet.size);
            let kept = fits(packet);
            if kept {
                bytes.copy_within(from..end, to);
                to += end - from;
            }
            from = end;
            kept
        });
        bytes.truncate(to);
        before - queued.len()
    }

    /// Forget the packets, and also those that are held back.
    pub fn discard(&mut self) {
        self.pacer = None;
        self.clear();
    }

    /// Whether a packet takes a transport-wide sequence number when it leaves.
    pub fn is_numbered(&self) -> bool {
        self.numbered
    }

    /// Forget the packets that left, and keep the memory for the next ones.
    ///
    /// Memory that was needed for a key frame is given back some batches later.
    pub fn clear(&mut self) {
        self.largest = self.largest.max(self.bytes.len());
        self.bytes.clear();
        self.bytes.shrink_to(MAX_BYTES_KEPT);
        self.until_review -= 1;
        if self.until_review == 0 {
            if self.bytes.capacity() / 2 > self.largest {
                self.bytes.shrink_to(self.largest + SLACK);
            }
            (self.largest, self.until_review) = (0, REVIEW);
        }
        self.queued.clear();
        self.reporting.clear();
        self.due = self.held_until();
        self.numbered = false;
    }

    /// Cut the batch into runs, each of which can leave with one segmented send.
    ///
    /// All packets of such a send have the same size but the last, which may be smaller.  A run has at least one packet
    /// and at most `max_segments`.  Packets that `wanted` refuses are discarded.
    pub fn runs(&mut self, max_segments: usize, wanted: impl Fn(&QueuedPacket) -> bool, mut take: impl FnMut(Run<'_>)) {
        let Self { bytes, queued, repeats, .. } = self;
        let (mut index, mut start) = (0, 0);
        while index < queued.len() {
            if !wanted(&queued[index]) {
                start += usize::from(queued[index].size);
                index += 1;
                continue;
            }
            let candidates = &queued[index..queued.len().min(index + max_segments)];
            let candidates = candidates.split(|one| !wanted(one)).next().unwrap_or_default();
            let (count, segment) = first_run(candidates);
            let packets = &candidates[..count];
            let end = start + packets.iter().map(|packet| usize::from(packet.size)).sum::<usize>();
            take(Run { bytes: &mut bytes[start..end], packets, segment, repeats: repeats.as_deref_mut() });
            (index, start) = (index + count, end);
        }
    }
}

/// How many of these packets can leave together, and the size to which all but the last are padded.
///
/// Packets join the run as long as each of them may grow to the size of the largest.
fn first_run(packets: &[QueuedPacket]) -> (usize, usize) {
    // Every packet so far can grow to `ceiling`, and the largest has `segment` bytes.
    let (mut segment, mut ceiling) = (packets[0].size, packets[0].size + u16::from(packets[0].padding));
    let mut count = 1;
    for packet in &packets[1..] {
        let largest = segment.max(packet.size);
        if largest > ceiling || usize::from(largest) * count + usize::from(packet.size) > MAX_RUN_BYTES {
            break;
        }
        segment = largest;
        ceiling = ceiling.min(packet.size + u16::from(packet.padding));
        count += 1;
    }
    (count, usize::from(segment))
}

/// Packets that can leave with one segmented send.
pub struct Run<'a> {
    bytes: &'a mut [u8],
    /// The packets, in their order.
    pub packets: &'a [QueuedPacket],
    /// Bytes of each sealed packet but the last.
    pub segment: usize,
    repeats: Option<&'a mut Repeats>,
}

impl Run<'_> {
    /// Seal every packet, and pad those that are too small.  Gives the bytes to send.
    ///
    /// The packets take their transport-wide sequence numbers from `numbers`.  Packets of one size are sealed in place.
    /// Padding moves the packets behind it, so padded ones are copied to `memory`.
    pub fn seal<'b>(
        &'b mut self,
        srtp: &Srtp,
        numbers: Option<&mut RunNumbers<'_>>,
        memory: &'b mut Vec<u8>,
    ) -> &'b [u8] {
        let mut sealing = Sealing { srtp, repeats: self.repeats.as_deref_mut(), numbers };
        let (last, others) = self.packets.split_last().expect("a run has packets");
        if others.iter().all(|packet| usize::from(packet.size) == self.segment) {
            let mut rest = &mut self.bytes[..];
            for packet in self.packets {
                let (bytes, behind) = rest.split_at_mut(usize::from(packet.size));
                packet.seal(bytes, &mut sealing);
                rest = behind;
            }
            return self.bytes;
        }
        memory.clear();
        let mut rest = &self.bytes[..];
        for packet in others {
            let (bytes, behind) = rest.split_at(usize::from(packet.size));
            let start = memory.len();
            append_padded(packet, bytes, self.segment, memory);
            packet.seal(&mut memory[start..], &mut sealing);
            rest = behind;
        }
        let start = memory.len();
        append_padded(last, rest, rest.len(), memory);
        last.seal(&mut memory[start..], &mut sealing);
        memory
    }

    /// Whether its first packet is one of a video.
    pub fn begins_with_video(&self) -> bool {
        self.packets[0].seal.is_some_and(|seal| seal.video)
    }

    /// Each packet with the size with which it is sent.
    pub fn sizes(&self) -> impl Iterator<Item = (&QueuedPacket, usize)> {
        let last = self.packets.len() - 1;
        let size =
            move |place, packet: &QueuedPacket| if place == last { usize::from(packet.size) } else { self.segment };
        self.packets.iter().enumerate().map(move |(place, packet)| (packet, size(place, packet)))
    }
}

/// Append the plain packet, padded to this size when sealed (RFC 3550 section 5.1).
///
/// The padding goes in front of the tag: it is part of the packet that is encrypted and authenticated.
fn append_padded(packet: &QueuedPacket, bytes: &[u8], size: usize, out: &mut Vec<u8>) {
    let (start, padding) = (out.len(), size - bytes.len());
    if padding == 0 {
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(&bytes[..usize::from(packet.plain)]);
        out[start] |= PADDED;
        out.resize(start + size, 0);
        out[start + usize::from(packet.plain) + padding - 1] = padding as u8;
    }
}

#[cfg(test)]
mod tests;
