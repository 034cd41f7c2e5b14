//! Packets that wait to leave to one receiver.
//!
//! The packets of a video frame come together.  They wait for the last of them and leave in one segmented send (UDP
//! GSO).  That costs the system about as much as a single packet.

use crate::core::keys::ConsumerKey;
use crate::core::srtp::Srtp;

const MAX_RUN_BYTES: usize = 65_000; // a segmented send has at most 65,535 bytes with its headers, like a datagram
const MAX_BYTES_KEPT: usize = 32 * 1024; // room for several frames; the memory of a large key frame is given back
const STEP: usize = 256; // bytes by which the memory grows at least
const SLACK: usize = 32; // bytes by which a packet may be larger than it came: a MID
const REVIEW: u8 = 255; // batches from one look at the memory that is not needed to the next
const MAX_PADDING: u16 = 64; // a packet grows by 1/64 at most: encoders split a frame into sizes some bytes apart

const PADDED: u8 = 0x20; // the padding bit of the first byte (RFC 3550 section 5.1)

/// A packet that waits: plain media with room for its tag behind it, or a report that is sealed already.
#[derive(Clone, Copy, Debug)]
pub struct QueuedPacket {
    /// The consumer whose packet it is.  The packet is discarded if the consumer was removed.
    pub consumer: ConsumerKey,
    /// Bytes of the sealed packet.
    pub size: u16,
    /// Bytes of the whole plain packet; 0 for a report.
    pub plain: u16,
    /// Bytes of the payload without padding; 0 for a report.
    pub payload: u16,
    /// Bytes of padding that may be added.
    pub padding: u16,
    /// How to seal it; `None` for a report, which is sealed already.
    pub seal: Option<Seal>,
}

/// The input of sealing: the size of the header in bytes, the SSRC, and the packet index (RFC 3711 section 3.3.1).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Seal {
    pub header: u16,
    /// Whether it is a retransmission.
    pub resent: bool,
    /// Whether it is a packet of a video.
    pub video: bool,
    pub ssrc: u32,
    pub index: u64,
}

impl QueuedPacket {
    /// Seal the packet in place.
    fn seal(&self, srtp: &Srtp, packet: &mut [u8]) {
        if let Some(Seal { header, ssrc, index, .. }) = self.seal {
            srtp.seal_rtp(packet, usize::from(header), ssrc, index);
        }
    }
}

/// Bytes of padding that a plain packet of this size may get; none if it is padded already.
pub fn most_padding(first_byte: u8, plain: usize) -> u16 {
    if first_byte & PADDED == 0 { plain as u16 / MAX_PADDING } else { 0 }
}

/// The packets that wait for one receiver, one behind the other.
#[derive(Debug)]
pub struct SendBatch {
    /// The bytes of the packets, each with room for its tag.
    pub bytes: Vec<u8>,
    /// Consumers for which a sender report is due when the batch leaves.
    pub reporting: Vec<ConsumerKey>,
    queued: Vec<QueuedPacket>,
    /// When the batch must leave, in seconds; infinite if it is empty.
    due: f64,
    /// Bytes of the largest batch since the last look at the memory.
    largest: usize,
    /// Batches until the next look.
    until_review: u8,
}

impl Default for SendBatch {
    fn default() -> Self {
        let (bytes, reporting, queued) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes, reporting, queued, due: f64::INFINITY, largest: 0, until_review: REVIEW }
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
    }

    /// Queue a sealed report, which leaves with the rest.
    pub fn push_report(&mut self, consumer: ConsumerKey, report: &[u8]) {
        self.bytes.extend_from_slice(report);
        let size = report.len() as u16;
        self.queued.push(QueuedPacket { consumer, size, plain: 0, payload: 0, padding: 0, seal: None });
    }

    /// When the batch must leave, in seconds.
    pub fn due(&self) -> f64 {
        self.due
    }

    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Forget the packets, and keep the memory for the next ones.
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
        self.due = f64::INFINITY;
    }

    /// Cut the batch into runs, each of which can leave with one segmented send.
    ///
    /// All packets of such a send have the same size but the last, which may be smaller.  A run has at least one packet
    /// and at most `max_segments`.  Packets that `wanted` refuses are discarded.
    pub fn runs(&mut self, max_segments: usize, wanted: impl Fn(&QueuedPacket) -> bool, mut take: impl FnMut(Run<'_>)) {
        let Self { bytes, queued, .. } = self;
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
            take(Run { bytes: &mut bytes[start..end], packets, segment });
            (index, start) = (index + count, end);
        }
    }
}

/// How many of these packets can leave together, and the size to which all but the last are padded.
///
/// Packets join the run as long as each of them may grow to the size of the largest.
fn first_run(packets: &[QueuedPacket]) -> (usize, usize) {
    // Every packet so far can grow to `ceiling`, and the largest has `segment` bytes.
    let (mut segment, mut ceiling) = (packets[0].size, packets[0].size + packets[0].padding);
    let mut count = 1;
    for packet in &packets[1..] {
        let largest = segment.max(packet.size);
        if largest > ceiling || usize::from(largest) * count + usize::from(packet.size) > MAX_RUN_BYTES {
            break;
        }
        segment = largest;
        ceiling = ceiling.min(packet.size + packet.padding);
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
}

impl Run<'_> {
    /// Seal every packet, and pad those that are too small.  Gives the bytes to send.
    ///
    /// Packets of one size are sealed in place.  Padding moves the packets behind it, so padded ones are copied to
    /// `memory`.
    pub fn seal<'b>(&'b mut self, srtp: &Srtp, memory: &'b mut Vec<u8>) -> &'b [u8] {
        let (last, others) = self.packets.split_last().expect("a run has packets");
        if others.iter().all(|packet| usize::from(packet.size) == self.segment) {
            let mut rest = &mut self.bytes[..];
            for packet in self.packets {
                let (bytes, behind) = rest.split_at_mut(usize::from(packet.size));
                packet.seal(srtp, bytes);
                rest = behind;
            }
            return self.bytes;
        }
        memory.clear();
        let mut rest = &self.bytes[..];
        for packet in others {
            let (bytes, behind) = rest.split_at(usize::from(packet.size));
            append_padded(packet, bytes, self.segment, srtp, memory);
            rest = behind;
        }
        append_padded(last, rest, rest.len(), srtp, memory);
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

/// Append the packet, padded to this size when sealed (RFC 3550 section 5.1), and seal it.
///
/// The padding goes in front of the tag: it is part of the packet that is encrypted and authenticated.
fn append_padded(packet: &QueuedPacket, bytes: &[u8], size: usize, srtp: &Srtp, out: &mut Vec<u8>) {
    let (start, padding) = (out.len(), size - bytes.len());
    if padding == 0 {
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(&bytes[..usize::from(packet.plain)]);
        out[start] |= PADDED;
        out.resize(start + size, 0);
        out[start + usize::from(packet.plain) + padding - 1] = padding as u8;
    }
    packet.seal(srtp, &mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Profile;
    use slotmap::SlotMap;

    fn batch_of(sizes: &[u16], padding: u16) -> (SendBatch, Vec<ConsumerKey>) {
        let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
        let mut batch = SendBatch::default();
        let mut keys = Vec::new();
        for &size in sizes {
            let consumer = consumers.insert(());
            keys.push(consumer);
            batch.bytes.extend(std::iter::repeat_n(keys.len() as u8, usize::from(size)));
            let plain = QueuedPacket { consumer, size, plain: 0, payload: 0, padding, seal: None };
            batch.push(plain, 1.0);
        }
        (batch, keys)
    }

    fn sizes(batch: &mut SendBatch, max_segments: usize, wanted: impl Fn(&QueuedPacket) -> bool) -> Vec<Vec<u16>> {
        let mut runs = Vec::new();
        batch.runs(max_segments, wanted, |run| {
            assert_eq!(run.bytes.len(), run.packets.iter().map(|packet| usize::from(packet.size)).sum::<usize>());
            assert_eq!(run.sizes().count(), run.packets.len());
            runs.push(run.sizes().map(|(_, size)| size as u16).collect());
        });
        runs
    }

    #[test]
    fn a_run_has_one_size_but_for_its_last_packet() {
        let (mut batch, _) = batch_of(&[9, 9, 9, 4, 4, 7, 7, 8], 0);
        assert_eq!(sizes(&mut batch, 64, |_| true), [vec![9, 9, 9, 4], vec![4], vec![7, 7], vec![8]]);
    }

    #[test]
    fn sizes_that_differ_a_little_are_padded_to_one() {
        let (mut batch, _) = batch_of(&[99, 99, 100, 101, 100, 60, 99, 104], 3);
        assert_eq!(sizes(&mut batch, 64, |_| true), [vec![101, 101, 101, 101, 101, 60], vec![99], vec![104]]);
        assert_eq!(sizes(&mut batch, 1, |_| true).concat(), [99, 99, 100, 101, 100, 60, 99, 104]);
    }

    #[test]
    fn a_run_has_no_more_segments_than_one_send_may_have() {
        let (mut few, _) = batch_of(&[9; 5], 0);
        assert_eq!(sizes(&mut few, 2, |_| true), [vec![9, 9], vec![9, 9], vec![9]]);
        assert_eq!(sizes(&mut few, 1, |_| true).len(), 5);
        let (mut large, _) = batch_of(&[1400; 100], 0);
        assert_eq!(sizes(&mut large, 64, |_| true), [vec![1400; 46], vec![1400; 46], vec![1400; 8]]);
    }

    #[test]
    fn an_unwanted_packet_is_discarded_and_divides_a_run() {
        let (mut batch, keys) = batch_of(&[9, 9, 9, 9], 0);
        let gone = keys[1];
        let mut first = Vec::new();
        batch.runs(64, |packet| packet.consumer != gone, |run| first.push(run.bytes.to_vec()));
        assert_eq!(first, [vec![1; 9], [vec![3; 9], vec![4; 9]].concat()]);
    }

    #[test]
    fn a_batch_is_due_with_its_first_packet_and_empty_once_cleared() {
        let (mut batch, keys) = batch_of(&[9], 0);
        batch.push_report(keys[0], &[]);
        assert_eq!((batch.due(), batch.is_empty()), (1.0, false));
        batch.clear();
        assert_eq!((batch.due(), batch.is_empty()), (f64::INFINITY, true));
    }

    /// Let a batch of packets that came with this size leave.  Gives the bytes of memory that the batch keeps.
    fn pass(batch: &mut SendBatch, packets: usize, size: usize) -> usize {
        for _ in 0..packets {
            batch.make_room(size);
            batch.bytes.resize(batch.bytes.len() + size, 0);
        }
        batch.clear();
        batch.bytes.capacity()
    }

    #[test]
    fn the_memory_is_little_more_than_the_largest_batch() {
        let mut batch = SendBatch::default();
        for (packets, size) in [(1, 140), (5, 1128), (10, 1128), (25, 1128)] {
            let kept = pass(&mut batch, packets, size);
            let most = packets * size;
            assert!((most..most + most / 8 + STEP + SLACK).contains(&kept), "{kept} for {most}");
        }
    }

    #[test]
    fn the_memory_of_a_key_frame_is_given_back() {
        let mut batch = SendBatch::default();
        assert!(pass(&mut batch, 100, 1128) <= MAX_BYTES_KEPT);
        let kept: Vec<usize> = (0..1000).map(|_| pass(&mut batch, 5, 1128)).collect();
        assert!(kept[0] >= MAX_BYTES_KEPT && kept[999] < 6000, "{} {}", kept[0], kept[999]);
        assert_eq!(kept[999], kept[600], "it does not change any more");
    }

    #[test]
    fn padding_is_authenticated_and_ends_with_its_size() {
        let key = [3; 28];
        let mut srtp = Srtp::new(Profile::AeadAes128Gcm, &key, &key).unwrap();
        let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
        let consumer = consumers.insert(());
        let mut batch = SendBatch::default();
        for (index, payload) in [&b"short"[..], b"somewhat longer"].into_iter().enumerate() {
            let header = [0x80, 96, 0, index as u8, 0, 0, 0, 0, 0, 0, 0, 5];
            batch.bytes.extend_from_slice(&header);
            batch.bytes.extend_from_slice(payload);
            batch.bytes.extend([0; 16]);
            let (plain, payload) = (12 + payload.len() as u16, payload.len() as u16);
            let seal = Some(Seal { header: 12, resent: false, video: true, ssrc: 5, index: index as u64 });
            batch.push(QueuedPacket { consumer, size: plain + 16, plain, payload, padding: 10, seal }, 0.0);
        }
        let mut sent = Vec::new();
        batch.runs(
            64,
            |_| true,
            |mut run| {
                let segment = run.segment;
                sent.extend(run.seal(&srtp, &mut Vec::new()).chunks(segment).map(<[u8]>::to_vec));
            },
        );
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [43, 43]);
        let mut opened = Vec::new();
        for packet in &mut sent {
            let header = crate::core::wire::rtp::parse_header_untrusted(packet, &mut Vec::new()).unwrap();
            let size = srtp.open_rtp(packet, &header, |_| false).unwrap();
            opened.push(packet[..size].to_vec());
        }
        assert_eq!(opened[0][12..], *b"short\0\0\0\0\0\0\0\0\0\x0a");
        assert_eq!((opened[0][0], opened[1][0]), (0xA0, 0x80));
        assert_eq!(opened[1][12..], *b"somewhat longer");
    }
}
