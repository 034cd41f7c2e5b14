//! A stream that comes in: a producer, its encodings, and one packet of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use slotmap::{SlotMap, new_key_type};

use crate::core::interface::event::{EncodingStats, ProducerStats};
use crate::core::interface::spec::{EncodingSpec, Id, ProducerSpec, Refused};
use crate::core::receive::clock::FollowedClock;
use crate::core::receive::ssrc_changes::Moves;
use crate::core::receive::statistics::Reception;
use crate::core::table::{ConsumerKey, ProducerKey, TransportKey};
use crate::core::wire::extensions::Rewriter;
use crate::core::wire::payload::{Codec, Frame, ParameterSets, Picture, primary_untrusted};
use crate::core::wire::rtp::{Element, Header, Malformed, find};

new_key_type! {
    /// Of a rewriter in its producer.
    pub struct RewriterSlot;
}

/// The linear amplitude of each level of RFC 6464 section 3: 0 to -126 dBov, and 127 for silence.
static AMPLITUDES: LazyLock<[f64; 128]> =
    LazyLock::new(|| std::array::from_fn(|level| if level < 127 { 10f64.powf(-(level as f64) / 20.0) } else { 0.0 }));

/// Which encoding of which producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingKey {
    pub producer: ProducerKey,
    pub index: usize,
}

/// What is worked out once for all consumers of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Header, extensions and all.
    pub plain: &'a [u8],
    /// What codecs read: of redundant blocks the primary one, and no padding.
    pub payload: &'a [u8],
    /// What came behind it, its own size last (RFC 3550 section 5.1).
    pub padding: &'a [u8],
    pub header: Header,
    pub elements: &'a [Element],
    /// The sequence number without wrapping.
    pub extended: i64,
    /// None of its encoding overtook it.
    pub newest: bool,
    /// The router's.
    pub payload_type: u8,
    /// Nobody is sent it: there is no media in it, or none that anybody knows.
    pub left_out: bool,
    /// `None` where the codec is not read.
    pub frame: Option<Frame>,
    /// The picture id without wrapping.
    pub picture: i64,
    /// Tells packets apart.
    pub serial: u64,
    /// In seconds.
    pub now: f64,
}

/// One SSRC of a producer, now; who is sent it (`routes`), and who waits for it to begin (`waiting`).
#[derive(Debug)]
pub struct Encoding {
    pub spec: EncodingSpec,
    pub ssrc: Option<u32>,
    pub reception: Reception,
    pub clock: FollowedClock,
    pub key_frames: u64,
    /// The highest temporal layer so far.
    pub top_temporal: Option<u8>,
    pub routes: Vec<ConsumerKey>,
    pub waiting: Vec<ConsumerKey>,
    /// What decoders need that begin at a key frame without them.
    pub parameter_sets: ParameterSets,
    pub moves: Moves,
    key_timestamp: Option<u32>,
    newest_timestamp: Option<u32>,
    /// Of the newest picture of which a slice came.
    slice_timestamp: Option<u32>,
    newest_picture: Option<i64>,
}

impl Encoding {
    fn new(spec: EncodingSpec, clock_rate: u32) -> Self {
        Self {
            ssrc: spec.ssrc,
            spec,
            reception: Reception::new(clock_rate),
            clock: FollowedClock::new(clock_rate),
            key_frames: 0,
            top_temporal: None,
            routes: Vec::new(),
            waiting: Vec::new(),
            parameter_sets: ParameterSets::default(),
            moves: Moves::default(),
            key_timestamp: None,
            newest_timestamp: None,
            slice_timestamp: None,
            newest_picture: None,
        }
    }

    /// It begins, or begins anew, with another SSRC; who waits goes on waiting.
    pub fn restart(&mut self, ssrc: Option<u32>, clock_rate: u32) {
        let (routes, waiting) = (std::mem::take(&mut self.routes), std::mem::take(&mut self.waiting));
        let (moves, fresh) = (std::mem::take(&mut self.moves), Self::new(std::mem::take(&mut self.spec), clock_rate));
        *self = Self { ssrc, routes, waiting, moves, ..fresh };
    }

    /// What the payload tells, and its picture id without wrapping (0 where there is none).
    pub fn inspect(&mut self, codec: Codec, payload: &[u8], timestamp: u32, newest: bool) -> (Frame, i64) {
        let seen = if codec == Codec::H264 { self.slice_timestamp } else { self.newest_timestamp };
        let frame = codec.inspect(payload, newest && seen != Some(timestamp));
        if newest {
            self.newest_timestamp = Some(timestamp);
        }
        if newest && frame.slice {
            self.slice_timestamp = Some(timestamp);
        }
        if codec == Codec::H264 {
            self.parameter_sets.take_untrusted(payload);
        }
        if frame.key && self.key_timestamp != Some(timestamp) {
            self.key_timestamp = Some(timestamp);
            self.key_frames += 1;
        }
        (frame, frame.picture.map_or(0, |picture| self.extend_picture(picture)))
    }

    fn is_named(&self, rid: &[u8]) -> bool {
        self.spec.rid.as_ref().is_some_and(|name| name.as_bytes() == rid)
    }

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

    fn stats(&self) -> EncodingStats {
        let reception = &self.reception;
        EncodingStats {
            ssrc: self.ssrc,
            packets: reception.packets,
            bytes: reception.bytes,
            highest_sequence: reception.highest_sequence,
            expected: reception.expected(),
            lost: reception.lost(),
            jitter: reception.jitter(),
            key_frames: self.key_frames,
            last_timestamp: reception.last_timestamp,
            last_at: reception.last_at,
        }
    }
}

/// A microphone, camera or screen.
#[derive(Debug)]
pub struct Producer {
    pub id: Id,
    pub transport: TransportKey,
    pub spec: ProducerSpec,
    pub codec: Option<Codec>,
    pub paused: bool,
    pub encodings: Vec<Encoding>,
    pub consumers: Vec<ConsumerKey>,
    pub rewriters: SlotMap<RewriterSlot, Rewriter>,
    /// The router's.
    pub first_payload_type: u8,
    payload_types: [Option<u8>; 128],
    redundant: u128,
    voice_packets: u64,
    voice_amplitude: f64,
}

/// The router's payload type for a packet, if it has one, and the payload that it speaks of.
pub type Unpacked<'a> = (Option<u8>, &'a [u8]);

impl Producer {
    pub fn new(id: Id, transport: TransportKey, spec: ProducerSpec) -> Self {
        let mut payload_types = [None; 128];
        for &(client, router) in &spec.payload_types {
            payload_types[usize::from(client & 0x7F)] = Some(router & 0x7F);
        }
        Self {
            id,
            transport,
            codec: Codec::from_mime(&spec.codec),
            paused: spec.paused,
            encodings: spec.encodings.iter().map(|one| Encoding::new(one.clone(), spec.clock_rate)).collect(),
            consumers: Vec::new(),
            rewriters: SlotMap::with_key(),
            first_payload_type: spec.payload_types.first().map_or(0, |&(_, router)| router & 0x7F),
            payload_types,
            redundant: spec.red_payload_types.iter().fold(0, |set, &one| set | 1 << (one & 0x7F)),
            voice_packets: 0,
            voice_amplitude: 0.0,
            spec,
        }
    }

    /// The router's payload type for the client's.
    fn payload_type(&self, client: u8) -> Option<u8> {
        self.payload_types[usize::from(client & 0x7F)]
    }

    fn is_redundant(&self, client: u8) -> bool {
        self.redundant & 1 << (client & 0x7F) != 0
    }

    /// Whether packets with this payload type are this producer's media.
    pub fn knows(&self, client: u8) -> bool {
        self.payload_type(client).is_some() || self.is_redundant(client)
    }

    /// What a packet of this payload type carries: of redundant blocks the primary one (RFC 2198).
    pub fn unpack<'a>(&self, client: u8, payload: &'a [u8]) -> Result<Unpacked<'a>, Malformed> {
        if !self.is_redundant(client) || payload.is_empty() {
            return Ok((self.payload_type(client), payload));
        }
        let (primary, payload) = primary_untrusted(payload).ok_or(Malformed)?;
        Ok((self.payload_type(primary), payload))
    }

    /// What the packet says about its media section: `None` where it says nothing, else whether it is this one.
    pub fn claimed_by(&self, packet: &[u8], elements: &[Element]) -> Option<bool> {
        let mid = self.spec.mid.as_ref()?;
        find(packet, elements, self.spec.mid_id).map(|claimed| claimed == mid.as_bytes())
    }

    /// The encoding whose MID and RID the packet carries (RFC 8843 section 9.2, RFC 8852 section 3.2).
    ///
    /// A MID is enough where there is one encoding, a RID where there is no MID.
    pub fn named_by(&self, packet: &[u8], elements: &[Element]) -> Option<usize> {
        let spec = &self.spec;
        let has_mid = spec.mid.is_some() && spec.mid_id.is_some();
        if has_mid && self.claimed_by(packet, elements) != Some(true) {
            return None;
        }
        match find(packet, elements, spec.rid_id) {
            Some(rid) if self.encodings.iter().any(|encoding| encoding.spec.rid.is_some()) => {
                self.encodings.iter().position(|encoding| encoding.is_named(rid))
            }
            _ => (has_mid && self.encodings.len() == 1).then_some(0),
        }
    }

    /// Add up the audio level that the packet carries (RFC 6464); its first bit is only a hint of voice.
    pub fn hear(&mut self, packet: &[u8], elements: &[Element]) {
        if let Some([level, ..]) = find(packet, elements, self.spec.audio_level_id) {
            self.voice_packets += 1;
            self.voice_amplitude += AMPLITUDES[usize::from(level & 0x7F)];
        }
    }

    pub fn stats(&self) -> ProducerStats {
        ProducerStats {
            encodings: self.encodings.iter().map(Encoding::stats).collect(),
            voice_packets: self.voice_packets,
            voice_amplitude: self.voice_amplitude,
        }
    }
}

/// A MID and a RID.
type Names<'a> = (Option<&'a str>, Option<&'a str>);

/// By which MID and RID the encodings without an SSRC are told.  Refused where nothing would tell one.
pub fn learnt_names(spec: &ProducerSpec) -> Result<HashSet<Names<'_>>, Refused> {
    let mid = spec.mid.as_deref().filter(|_| spec.mid_id.is_some());
    let mut names = HashSet::new();
    for encoding in spec.encodings.iter().filter(|encoding| encoding.ssrc.is_none()) {
        let rid = encoding.rid.as_deref();
        let by_mid_alone = rid.is_none() && mid.is_some() && spec.encodings.len() == 1;
        let by_rid = rid.is_some() && spec.rid_id.is_some();
        if !by_mid_alone && !by_rid {
            return Err(Refused::Invalid(
                "an encoding has neither an SSRC nor a MID or RID that its packets would carry",
            ));
        }
        if !names.insert((mid, rid)) {
            return Err(Refused::Invalid("two encodings with the same RID"));
        }
    }
    Ok(names)
}
