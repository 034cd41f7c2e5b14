//! A stream that goes out: one consumer's view of a producer's packets.

use crate::core::interface::spec::{ConsumerSpec, Id};
use crate::core::keys::{ProducerKey, RewriterKey, TransportKey};
use crate::core::receive::packet::Packet;
use crate::core::receive::producer::Producer;
use crate::core::send::layer_filter::LayerFilter;
use crate::core::send::loss_reports::LossReports;
use crate::core::send::picture_numbers::PictureNumbers;
use crate::core::send::resender::Resender;
use crate::core::send::sender_report::ReportSchedule;
use crate::core::send::sent_parameter_sets::SentParameterSets;
use crate::core::send::sequence_translator::SequenceTranslator;
use crate::core::send::timestamps::TimestampAligner;
use crate::core::srtp::window::RtpWindow;
use crate::core::wire::extensions::{ExtensionRewriter, MidElement, OwnElements};
use crate::core::wire::payload::LayerIds;
use crate::core::wire::rtp::FIXED_HEADER_SIZE;

/// The encoding and the highest layers of it that are forwarded.
pub type Layers = (Option<usize>, Option<LayerIds>);

/// Rewrites a producer's packets for one receiver.
///
/// `target` is the encoding that the slow path asks for.  `current` is the one that is forwarded now.  `awaited` is the
/// one that the consumer takes up at its next key frame.  Until then `current` flows on.
#[derive(Debug)]
pub struct Consumer {
    pub id: Id,
    pub transport: TransportKey,
    /// `None` once the producer was removed.
    pub producer: Option<ProducerKey>,
    pub rewriter: RewriterKey,
    pub ssrc: u32,
    /// The SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
    pub paused: bool,
    pub target: Option<usize>,
    pub current: Option<usize>,
    pub awaited: Option<usize>,
    /// Its layers may have changed since the last report to the slow path.
    pub changed: bool,
    /// The layers in the last report to the slow path.
    pub reported: Layers,
    /// A key frame request of its receiver waits for the slow path.
    pub key_frame_requested: bool,
    /// Its receiver has asked for a key frame that was not sent yet, so it can use nothing before that.
    pub awaits_key_frame: bool,
    /// When its newest key frame came, in seconds.
    pub key_frame_at: f64,
    /// Packets that left.
    pub packets: u64,
    /// Their bytes: whole plain packets.
    pub bytes: u64,
    /// Their payload bytes, as sender reports count them.
    pub octets: u64,
    pub timestamps: TimestampAligner,
    pub layers: LayerFilter,
    pub reports: ReportSchedule,
    /// The packet indices that were sealed: none may be sealed twice (RFC 3711 section 9.1).
    pub sealed: RtpWindow,
    /// The first index behind the newest beginning.  Its receiver needs no packet from before that.
    begun_index: u64,
    /// Packets that also carried earlier ones (RFC 2198).
    pub redundant: u64,
    /// Packets that left twice, and their bytes: whole plain packets.
    pub repeated: (u64, u64),
    pub loss_reports: LossReports,
    /// The router's payload type of redundant audio, if the receiver takes it.
    pub red_payload_type: Option<u8>,
    /// The packet indices that carried padding in the place of a packet; `None` before the first.
    pub(super) filled: Option<Box<RtpWindow>>,
    /// The parameter sets that it sent by itself when it last began; `None` if it sent none.
    pub(super) sent_sets: Option<Box<SentParameterSets>>,
    /// `None` before its receiver asks for the first packet.
    pub resender: Option<Box<Resender>>,
    /// The router's payload types of media that can be sent again, each with the payload type of its retransmissions.
    pub(super) rtx_types: Box<[(u8, u8)]>,
    /// The set of the router's payload types that the receiver takes, a bit for each.
    payload_types: u128,
    mid: Option<MidElement>,
    pub(super) sequence: SequenceTranslator,
    pub(super) pictures: PictureNumbers,
}

/// The fields of a header that differ from those of the packet that came.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub(super) struct Stamp {
    pub payload_type: u8,
    pub marker: bool,
    pub number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// A packet as its receiver gets it, not sealed yet.
#[derive(Clone, Copy, Debug)]
pub struct Rewritten {
    /// 2^16 times the rollover counter, and the sequence number (RFC 3711 section 3.3.1).
    pub index: u64,
    /// Bytes of the header.
    pub header: usize,
    /// The timestamp under which it is sent.
    pub timestamp: u32,
    /// Bytes of the payload without padding.
    pub payload: usize,
    /// The place of the packet's transport-wide sequence number, or 0 if it has none.
    pub number_at: usize,
}

/// A header that was written.
pub(super) struct WrittenHeader<'a> {
    /// The padding to send behind the payload.
    pub padding: &'a [u8],
    /// The place of the transport-wide sequence number in the packet, or 0 if there is none.
    pub number_at: usize,
}

impl Stamp {
    /// A header without contributing sources and extension.
    pub fn fixed_header(&self) -> [u8; FIXED_HEADER_SIZE] {
        let mut fixed = [0; FIXED_HEADER_SIZE];
        fixed[0] = 0x80;
        fixed[1] = self.payload_type | u8::from(self.marker) << 7;
        fixed[2..4].copy_from_slice(&self.number.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        fixed
    }
}

impl Consumer {
    /// A consumer that forwards nothing yet.  `first_sequence` is its first sequence number.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        id: Id,
        transport: TransportKey,
        producer: ProducerKey,
        spec: &ConsumerSpec<'_>,
        rewriter: RewriterKey,
        mid: Option<MidElement>,
        rtx_types: Box<[(u8, u8)]>,
        first_sequence: u16,
    ) -> Self {
        let red_payload_type = spec.format.red_payload_types.0.first().map(|&(_, red)| red & 0x7F);
        let payload_types = spec.format.payload_types.iter().chain(&red_payload_type);
        Self {
            id,
            transport,
            producer: Some(producer),
            rewriter,
            ssrc: spec.ssrc,
            rtx_ssrc: spec.rtx_ssrc,
            paused: spec.paused,
            target: spec.encoding,
            current: None,
            awaited: None,
            changed: false,
            reported: (None, None),
            key_frame_requested: false,
            awaits_key_frame: false,
            key_frame_at: f64::NEG_INFINITY,
            packets: 0,
            bytes: 0,
            octets: 0,
            timestamps: TimestampAligner::default(),
            layers: LayerFilter::new(spec.spatial, spec.temporal),
            reports: ReportSchedule::new(spec.format.report_interval),
            sealed: RtpWindow::default(),
            begun_index: 0,
            redundant: 0,
            repeated: (0, 0),
            loss_reports: LossReports::new(first_sequence),
            red_payload_type,
            filled: None,
            sent_sets: None,
            resender: None,
            rtx_types,
            payload_types: payload_types.fold(0, |set, &one| set | 1 << (one & 0x7F)),
            mid,
            sequence: SequenceTranslator::new(Some(i64::from(first_sequence))),
            pictures: PictureNumbers::default(),
        }
    }

    /// Whether the receiver takes this payload type of the router.
    pub fn takes(&self, payload_type: u8) -> bool {
        self.payload_types & 1 << payload_type != 0
    }

    /// Take up an encoding of the producer with this packet.  All numbers go on from where they are.
    pub fn begin(&mut self, producer: &Producer, index: usize, packet: &Packet) {
        self.timestamps.switch_to(producer, index, packet);
        self.current = Some(index);
        self.layers.begin();
        self.reports.restart();
        self.sequence.begin(packet.extended);
        self.sent_sets = None;
        self.begun_index = self.sealed.highest() + 1;
        if let Some(resender) = &mut self.resender {
            resender.begin();
        }
        if let Some(frame) = packet.frame {
            self.pictures.begin(frame, packet);
        }
    }

    /// Whether a packet with this sequence number left before the newest beginning.
    pub fn is_from_before(&self, number: u16) -> bool {
        self.sealed.guess(number) < self.begun_index
    }

    /// Whether the consumer began behind this extended number of its encoding, so that it does not get this packet.
    pub fn began_behind(&self, number: i64) -> bool {
        self.sequence.begun_behind(number)
    }

    /// These parameter sets were sent before the key frame that `packet` begins, and took the numbers before it.
    ///
    /// If the publisher's packets with those numbers still come, they are dropped.
    pub fn end_parameter_sets(&mut self, sets: Vec<Vec<u8>>, packet: &Packet) {
        let first = self.sequence.taken(packet.extended - sets.len() as i64);
        if let Some(first_index) = first.and_then(|first| u64::try_from(first).ok()).filter(|_| self.resends()) {
            self.sent_sets = Some(Box::new(SentParameterSets {
                first_index,
                payload_type: packet.payload_type,
                timestamp: self.timestamps.translate(packet.header.timestamp),
                units: sets.into(),
            }));
        }
        self.sequence.begin(packet.extended);
    }

    /// Whether the packet belongs to the layers that the receiver gets.
    fn takes_layer(&mut self, packet: &Packet) -> bool {
        let layered = packet.frame.as_ref().and_then(|frame| frame.layer.map(|layer| (frame, layer)));
        layered.is_none_or(|(frame, layer)| {
            self.layers.takes(frame, layer, packet.extended, packet.newest, packet.header.marker)
        })
    }

    /// The marker bit for the receiver.  It marks the last packet of a picture, also where the publisher's last packets
    /// are left out.
    pub(super) fn marks(&self, packet: &Packet) -> bool {
        let layered =
            packet.frame.as_ref().filter(|frame| frame.ends).and_then(|frame| frame.layer.map(|layer| (frame, layer)));
        packet.header.marker
            || layered.is_some_and(|(frame, layer)| self.layers.ends_for_receiver(frame, layer, packet.extended))
    }

    /// Append the packet as this receiver gets it: plain, with its own header in front of the shared payload.
    ///
    /// A packet that is left out gets no number, so that the receiver sees no loss and asks for nothing again.  `None`
    /// for such a packet.  A packet larger than `room` bytes loses its MID and padding first.
    pub fn rewrite(
        &mut self,
        packet: &Packet,
        rewriter: &mut ExtensionRewriter,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Option<Rewritten> {
        if packet.left_out || !self.takes(packet.payload_type) || !self.takes_layer(packet) {
            self.pictures.leave_out(packet);
            // A later packet may have left already, with a number behind the one that was kept for this packet.  Then
            // padding must fill the kept number.
            let kept = self.sequence.leave_out(packet.extended)?;
            return self.fill(u64::try_from(kept).ok()?, packet, out);
        }
        let number = u64::try_from(self.sequence.take(packet.extended)?).ok()?;
        let has_picture = packet.frame.as_ref().is_some_and(|frame| frame.picture.is_some());
        let picture = if has_picture { self.pictures.take(packet) } else { None };
        if has_picture && picture.is_none() {
            // The layer was taken up in the middle of this picture, whose other packets were left out.
            return self.fill(number, packet, out);
        }
        if packet.frame.as_ref().is_some_and(|frame| frame.key) {
            (self.awaits_key_frame, self.key_frame_at) = (false, packet.now);
        }
        rewriter.prepare(packet.plain, packet.elements, packet.serial);
        let timestamp = self.timestamps.translate(packet.header.timestamp);
        let start = out.len();
        let stamp = Stamp { marker: self.marks(packet), ..self.stamp(packet, number, timestamp) };
        let WrittenHeader { padding, number_at } = self.write_header(packet, rewriter, stamp, room, out);
        let header = out.len() - start;
        out.extend_from_slice(packet.payload);
        out.extend_from_slice(padding);
        if let Some(frame) = &packet.frame {
            self.pictures.write(packet, frame, picture, &mut out[start + header..]);
        }
        Some(Rewritten { index: number, header, timestamp, payload: packet.payload.len(), number_at })
    }

    /// Append the header.
    ///
    /// MID, number and padding are sent only while the packet stays within `room`.  A receiver that misses the MID still
    /// knows the stream by its SSRC (RFC 8843 section 9.2).
    pub(super) fn write_header<'a>(
        &self,
        packet: &Packet<'a>,
        rewriter: &ExtensionRewriter,
        stamp: Stamp,
        room: usize,
        out: &mut Vec<u8>,
    ) -> WrittenHeader<'a> {
        let sources = &packet.plain[FIXED_HEADER_SIZE..packet.header.csrcs_end];
        let rest = FIXED_HEADER_SIZE + sources.len() + packet.payload.len();
        let mut own = OwnElements { numbered: rewriter.numbers(), mid: self.mid.as_ref() };
        let mut extensions = rewriter.size(own);
        if rest + extensions > room {
            own.mid = None;
            extensions = rewriter.size(own);
        }
        if rest + extensions > room {
            own.numbered = false;
            extensions = rewriter.size(own);
        }
        let padding = if rest + extensions + packet.padding.len() <= room { packet.padding } else { &[] };
        let mut fixed = stamp.fixed_header();
        fixed[0] |= packet.plain[0] & 0x0F | if extensions > 0 { 0x10 } else { 0 };
        fixed[0] |= if padding.is_empty() { 0 } else { 0x20 };
        out.extend_from_slice(&fixed);
        out.extend_from_slice(sources);
        rewriter.write(own, out);
        let number_at = if own.numbered { packet.header.csrcs_end + rewriter.number_at() } else { 0 };
        WrittenHeader { padding, number_at }
    }

    fn stamp(&self, packet: &Packet, number: u64, timestamp: u32) -> Stamp {
        Stamp { payload_type: packet.payload_type, marker: false, number: number as u16, timestamp, ssrc: self.ssrc }
    }

    /// Send a byte of padding (RFC 3550 section 5.1) in the place of a packet that is left out.
    ///
    /// Later packets left already and kept a number free for it.  A receiver would take a missing number for a loss.
    fn fill(&mut self, number: u64, packet: &Packet, out: &mut Vec<u8>) -> Option<Rewritten> {
        let timestamp = self.timestamps.translate(packet.header.timestamp);
        let mut fixed = self.stamp(packet, number, timestamp).fixed_header();
        fixed[0] |= 0x20;
        self.note_filled(number);
        out.extend_from_slice(&fixed);
        out.push(1);
        Some(Rewritten { index: number, header: FIXED_HEADER_SIZE, timestamp, payload: 0, number_at: 0 })
    }
}
