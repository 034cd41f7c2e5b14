//! A stream that comes in: a producer, its encodings, and one packet of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use slotmap::{SlotMap, new_key_type};

use super::clock::SourceClock;
use super::events::{EncodingStats, ProducerStats};
use super::extensions::Rewriter;
use super::payload::{Codec, Frame, Picture};
use super::reception::Reception;
use super::rtp::{Element, Header, find};
use super::spec::{EncodingSpec, Id, ProducerSpec, Refused};
use super::table::{ConsumerKey, ProducerKey, TransportKey};

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
#[derive(Debug)]
pub struct Packet<'a> {
    pub plain: &'a [u8],
    pub header: Header,
    pub elements: &'a [Element],
    /// The sequence number without wrapping.
    pub extended: i64,
    /// None of its encoding overtook it.
    pub newest: bool,
    /// The router's.
    pub payload_type: u8,
    /// Without its padding, in bytes.
    pub payload_size: usize,
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
    /// From its sender's newest report.
    pub clock: Option<SourceClock>,
    pub key_frames: u64,
    /// The highest temporal layer so far.
    pub top_temporal: Option<u8>,
    pub routes: Vec<ConsumerKey>,
    pub waiting: Vec<ConsumerKey>,
    key_timestamp: Option<u32>,
    newest_timestamp: Option<u32>,
    newest_picture: Option<i64>,
}

impl Encoding {
    fn new(spec: EncodingSpec, clock_rate: u32) -> Self {
        Self {
            ssrc: spec.ssrc,
            spec,
            reception: Reception::new(clock_rate),
            clock: None,
            key_frames: 0,
            top_temporal: None,
            routes: Vec::new(),
            waiting: Vec::new(),
            key_timestamp: None,
            newest_timestamp: None,
            newest_picture: None,
        }
    }

    /// It begins, or begins anew, with another SSRC; who waits goes on waiting.
    pub fn restart(&mut self, ssrc: u32, clock_rate: u32) {
        let (routes, waiting) = (std::mem::take(&mut self.routes), std::mem::take(&mut self.waiting));
        let fresh = Self::new(std::mem::take(&mut self.spec), clock_rate);
        *self = Self { ssrc: Some(ssrc), routes, waiting, ..fresh };
    }

    /// What the payload tells, and its picture id without wrapping (0 where there is none).
    pub fn inspect(&mut self, codec: Codec, payload: &[u8], timestamp: u32, newest: bool) -> (Frame, i64) {
        let frame = codec.inspect(payload, newest && self.newest_timestamp != Some(timestamp));
        if newest {
            self.newest_timestamp = Some(timestamp);
        }
        if frame.key && self.key_timestamp != Some(timestamp) {
            self.key_timestamp = Some(timestamp);
            self.key_frames += 1;
        }
        (frame, frame.picture.map_or(0, |picture| self.extend_picture(picture)))
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
    payload_types: [Option<u8>; 128],
    voice_packets: u64,
    voice_amplitude: f64,
}

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
            payload_types,
            voice_packets: 0,
            voice_amplitude: 0.0,
            spec,
        }
    }

    /// The router's payload type for the client's.
    pub fn payload_type(&self, client: u8) -> Option<u8> {
        self.payload_types[usize::from(client & 0x7F)]
    }

    /// The encoding without a given SSRC whose MID and RID the packet carries.
    pub fn named_by(&self, packet: &[u8], header: &Header, elements: &[Element]) -> Option<usize> {
        self.payload_type(header.payload_type)?;
        let spec = &self.spec;
        let mid = spec.mid.as_ref().filter(|_| spec.mid_id.is_some());
        if mid.is_some_and(|mid| find(packet, elements, spec.mid_id) != Some(mid.as_bytes())) {
            return None;
        }
        let rid = find(packet, elements, spec.rid_id);
        self.encodings.iter().position(|encoding| {
            encoding.spec.ssrc.is_none()
                && encoding.spec.rid.as_ref().map_or(mid.is_some(), |name| Some(name.as_bytes()) == rid)
        })
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
