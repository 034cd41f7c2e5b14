//! One encoding of a producer: the packets of one SSRC.

use crate::core::interface::spec::EncodingSpec;
use crate::core::interface::statistics::EncodingStats;
use crate::core::keys::ConsumerKey;
use crate::core::receive::clock::SenderClock;
use crate::core::receive::dependency_structures::{DependencyStructures, Described};
use crate::core::receive::layer_counts::LayerCounts;
use crate::core::receive::missing_packets::MissingPackets;
use crate::core::receive::packet::Place;
use crate::core::receive::packet_store::PacketStore;
use crate::core::receive::receiver_report::ReceiverReporter;
use crate::core::receive::recent_payloads::RecentPayloads;
use crate::core::receive::ssrc_changes::SsrcChanges;
use crate::core::receive::statistics::ReceiveStats;
use crate::core::srtp::window::RtpWindow;
use crate::core::wire::payload::{Codec, Frame, LayerIds, ParameterSets, Picture};

/// The contents of a payload, as far as the core reads them.
#[derive(Clone, Copy, Debug)]
pub struct Inspected {
    pub frame: Frame,
    /// The picture id, extended; 0 where it has none.
    pub picture: i64,
    /// It has new parameter sets for the newest key frame, and came late.
    pub late_sets: bool,
    /// The highest layers are others than before.
    pub new_layers: bool,
}

/// Seconds from one look at waiting consumers, for a key frame that came late, to the next.
const LATE_START_INTERVAL: f64 = 0.05;

/// The stream of one SSRC of a producer.  Without simulcast a producer has one encoding.
#[derive(Debug)]
pub struct Encoding {
    pub spec: EncodingSpec,
    /// `None` until it is learned.
    pub ssrc: Option<u32>,
    pub stats: ReceiveStats,
    /// What receivers could get of it, by temporal layer.
    pub layers: LayerCounts,
    pub clock: SenderClock,
    pub reporter: ReceiverReporter,
    pub key_frames: u64,
    /// The highest layers: those that the sender says it serves, else the highest that came.
    pub top: Option<LayerIds>,
    /// The consumers that get its packets.
    pub routes: Vec<ConsumerKey>,
    /// The consumers that take it up at its next key frame.
    pub waiting: Vec<ConsumerKey>,
    /// The structures of its dependency descriptors; `None` before the first descriptor.
    structures: Option<Box<DependencyStructures>>,
    /// The newest H.264 parameter sets, for decoders that begin at a key frame without them.
    pub parameter_sets: ParameterSets,
    pub ssrc_changes: SsrcChanges,
    /// The newest payloads of audio, while a receiver gets them again in later packets (RFC 2198).
    pub recent_payloads: Option<Box<RecentPayloads>>,
    /// The packets that did not come, although later ones did.
    pub missing: MissingPackets,
    /// The SSRC of its retransmissions; `None` until it is learned.
    pub rtx_ssrc: Option<u32>,
    pub rtx_ssrc_changes: SsrcChanges,
    /// The numbers that came, by themselves or again: none is forwarded twice.
    came: RtpWindow,
    /// The highest number before the newest frame.
    frame_floor: i64,
    /// The newest packets; `None` while no consumer could ask for one again.
    pub store: Option<Box<PacketStore>>,
    /// When waiting consumers were last looked at for a key frame that came late, in seconds.
    late_start_at: f64,
    /// Timestamp of the newest key frame.
    key_timestamp: Option<u32>,
    /// Timestamp of the newest packet.
    newest_timestamp: Option<u32>,
    /// Timestamp of the newest picture of which a slice came.
    slice_timestamp: Option<u32>,
    /// The newest picture id, extended.
    newest_picture: Option<i64>,
}

impl Encoding {
    /// An encoding of which nothing came yet.  `clock_rate` in Hz.
    pub fn new(spec: EncodingSpec, clock_rate: u32) -> Self {
        Self {
            ssrc: spec.ssrc,
            spec,
            stats: ReceiveStats::new(clock_rate),
            layers: LayerCounts::default(),
            clock: SenderClock::new(clock_rate),
            reporter: ReceiverReporter::default(),
            key_frames: 0,
            top: None,
            routes: Vec::new(),
            waiting: Vec::new(),
            structures: None,
            parameter_sets: ParameterSets::default(),
            ssrc_changes: SsrcChanges::default(),
            recent_payloads: None,
            missing: MissingPackets::default(),
            rtx_ssrc: None,
            rtx_ssrc_changes: SsrcChanges::default(),
            came: RtpWindow::default(),
            frame_floor: i64::MIN,
            store: None,
            late_start_at: f64::NEG_INFINITY,
            key_timestamp: None,
            newest_timestamp: None,
            slice_timestamp: None,
            newest_picture: None,
        }
    }

    /// Begin anew with another SSRC, or with none that is known yet.  The consumers stay.
    pub fn restart(&mut self, ssrc: Option<u32>, clock_rate: u32) {
        let fresh = Self::new(std::mem::take(&mut self.spec), clock_rate);
        let (routes, waiting) = (std::mem::take(&mut self.routes), std::mem::take(&mut self.waiting));
        let ssrc_changes = std::mem::take(&mut self.ssrc_changes);
        let rtx_ssrc_changes = std::mem::take(&mut self.rtx_ssrc_changes);
        *self = Self { ssrc, routes, waiting, ssrc_changes, rtx_ssrc: self.rtx_ssrc, rtx_ssrc_changes, ..fresh };
    }

    /// Count a packet of `size` bytes that came by itself.  Gives its place.
    pub fn count(&mut self, sequence_number: u16, timestamp: u32, size: usize, now: f64) -> Place {
        let stats = &mut self.stats;
        let pause = stats.last_at.map(|last_at| now - last_at);
        let highest = pause.map(|_| stats.highest_sequence);
        let number = stats.on_packet(sequence_number, timestamp, size, now);
        Place { number, highest: highest.unwrap_or(number - 1), pause }
    }

    /// The extended number of a packet that has not come, although later ones did.  `None` for any other.
    pub fn lacks(&self, sequence_number: u16) -> Option<i64> {
        self.stats.extend_late(sequence_number).filter(|&number| self.came.accepts(window_index(number)))
    }

    /// The first packets of the stream overtook this one, which is lower than the `lowest` number before it.
    ///
    /// The packets between the two matter only to consumers that wait: others began behind them.
    pub fn note_overtaken(&mut self, number: i64, lowest: i64, now: f64) {
        if !self.waiting.is_empty() && self.stats.lowest_sequence() == Some(number) {
            self.missing.on_overtaken_packet(number, lowest, now);
        }
    }

    /// Note that a packet came.  Gives `false` if it came before.
    pub fn take_in(&mut self, number: i64) -> bool {
        let index = window_index(number);
        let new = self.came.accepts(index);
        if new {
            self.came.add(index);
        }
        new
    }

    /// The numbers behind this one that came, in their order.
    pub fn came_behind(&self, number: i64) -> impl Iterator<Item = i64> {
        (number + 1..=self.stats.highest_sequence).filter(|&number| !self.came.accepts(window_index(number)))
    }

    /// Count a key frame with this timestamp, once.
    fn count_key_frame(&mut self, timestamp: u32) {
        if self.key_timestamp != Some(timestamp) {
            self.key_timestamp = Some(timestamp);
            self.key_frames += 1;
        }
    }

    /// Count a key frame whose beginning came late, unless a newer one has come.
    pub fn count_late_key_frame(&mut self, timestamp: u32) {
        let is_newer = |newest: u32| timestamp.wrapping_sub(newest) as i32 > 0;
        if self.key_timestamp.is_none_or(is_newer) {
            self.count_key_frame(timestamp);
        }
    }

    /// Whether to check at `now` (seconds) that waiting consumers can begin with a packet that came late.
    ///
    /// The check looks at all packets behind it, and any late packet may cause it.  So it has a limit.
    pub fn may_begin_late(&mut self, now: f64) -> bool {
        let may = now - self.late_start_at >= LATE_START_INTERVAL;
        if may {
            self.late_start_at = now;
        }
        may
    }

    /// Read the marks of a packet's frame: from the dependency descriptor if it has one, else from the payload.
    pub fn inspect(
        &mut self,
        codec: Codec,
        payload: &[u8],
        descriptor: Option<&[u8]>,
        timestamp: u32,
        place: Place,
    ) -> Inspected {
        let newest = place.newest();
        // A picture may come in several packets, and in H.264 with delimiters and parameter sets before its first
        // slice.  Only its first packet (in H.264 its first slice) begins a frame, so remember the timestamp that it
        // had.
        let seen = if codec == Codec::H264 { self.slice_timestamp } else { self.newest_timestamp };
        let Described { frame, highest } = match descriptor {
            Some(value) => self.structures.get_or_insert_default().read_untrusted(value, place.number),
            None => Described { frame: codec.inspect(payload, newest && seen != Some(timestamp)), highest: None },
        };
        if newest && self.newest_timestamp.replace(timestamp) != Some(timestamp) {
            self.frame_floor = place.highest;
        }
        if newest && frame.slice {
            self.slice_timestamp = Some(timestamp);
        }
        // Sets that come late must not replace newer ones, unless they belong to the newest key frame.
        let takes_sets = codec == Codec::H264 && (newest || self.key_timestamp == Some(timestamp));
        let new_sets = takes_sets && self.parameter_sets.take_untrusted(payload);
        if newest && frame.key {
            self.missing.on_key_frame(self.frame_floor);
        }
        if newest && frame.key {
            self.count_key_frame(timestamp);
        }
        let picture = frame.picture.map_or(0, |picture| self.extend_picture(picture));
        let new_layers = self.note_layers(frame.layer, highest.filter(|_| newest));
        Inspected { frame, picture, late_sets: new_sets && !newest, new_layers }
    }

    /// Read the marks of a packet's frame again.  The result lacks those that depend on earlier packets.
    pub fn inspect_again(&self, codec: Codec, payload: &[u8], descriptor: Option<&[u8]>, number: i64) -> Frame {
        match (descriptor, &self.structures) {
            (Some(value), Some(structures)) => structures.read_again_untrusted(value, number),
            _ => codec.inspect(payload, false),
        }
    }

    /// Note the layer of a packet, or the `highest` layers that the sender says it serves.  Gives whether the highest
    /// layers are others now.
    fn note_layers(&mut self, layer: Option<LayerIds>, highest: Option<LayerIds>) -> bool {
        let known = self.top.is_some_and(|top| layer.is_none_or(|layer| top.covers(layer)));
        if highest.is_none() && (known || layer.is_none()) {
            return false;
        }
        let top = highest.or_else(|| layer.map(|layer| self.top.map_or(layer, |top| top.max(layer))));
        let changed = top != self.top;
        self.top = top;
        changed
    }

    /// Whether this is the encoding's RID.
    pub fn has_rid(&self, rid: &[u8]) -> bool {
        self.spec.rid.as_ref().is_some_and(|name| name.as_bytes() == rid)
    }

    /// Extend a picture id to the number nearest to the newest one.
    fn extend_picture(&mut self, picture: Picture) -> i64 {
        let id = i64::from(picture.id);
        let newest = *self.newest_picture.get_or_insert(id);
        let half = 1 << (picture.bits - 1);
        let step = ((id - newest + half) & (2 * half - 1)) - half;
        if step > 0 {
            self.newest_picture = Some(newest + step);
        }
        newest + step
    }

    /// Everything counted so far.
    pub fn statistics(&self) -> EncodingStats {
        let stats = &self.stats;
        EncodingStats {
            ssrc: self.ssrc,
            packets: stats.packets,
            bytes: stats.bytes,
            highest_sequence: stats.highest_sequence,
            expected: stats.expected(),
            lost: stats.lost(),
            jitter: stats.jitter(),
            key_frames: self.key_frames,
            last_timestamp: stats.last_timestamp,
            last_at: stats.last_at,
            requested: self.missing.counts.requested,
            repaired: self.missing.counts.repaired,
            given_up: self.missing.counts.given_up,
            round_trip: self.missing.round_trip(),
            layer_bytes: self.layers.bytes(),
            layer_frames: self.layers.frames(),
        }
    }
}

/// An extended number may be below zero, half a cycle at most.  The index of a window may not.
fn window_index(number: i64) -> u64 {
    (number + (1 << 16)).max(0) as u64
}
