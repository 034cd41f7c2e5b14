//! A stream that comes in: a producer with its encodings.

use std::collections::HashSet;
use std::sync::LazyLock;

use slotmap::SlotMap;

use crate::core::interface::spec::{Id, ProducerSpec, Refused};
use crate::core::interface::statistics::ProducerStats;
use crate::core::keys::{ConsumerKey, RewriterKey, TransportKey};
use crate::core::receive::encoding::Encoding;
use crate::core::receive::missing_packets::RepairCounts;
use crate::core::wire::extensions::ExtensionRewriter;
use crate::core::wire::payload::{Codec, parse_red_untrusted};
use crate::core::wire::rtp::{Element, Malformed, find};

/// The linear amplitude of each level of RFC 6464 section 3: 0 to -126 dBov, and 127 for silence.
static AMPLITUDES: LazyLock<[f64; 128]> =
    LazyLock::new(|| std::array::from_fn(|level| if level < 127 { 10f64.powf(-(level as f64) / 20.0) } else { 0.0 }));

/// A microphone, camera or screen.
#[derive(Debug)]
pub struct Producer {
    pub id: Id,
    pub transport: TransportKey,
    pub spec: ProducerSpec,
    pub codec: Option<Codec>,
    pub paused: bool,
    /// Nothing is forwarded, but its audio levels are read.
    pub muted: bool,
    pub encodings: Vec<Encoding>,
    pub consumers: Vec<ConsumerKey>,
    /// How many of its consumers send packets again.
    pub resending: usize,
    /// Header extension rewriters, each shared by the consumers that take the same extensions.
    pub rewriters: SlotMap<RewriterKey, ExtensionRewriter>,
    /// The router's payload type of the first format.
    pub first_payload_type: u8,
    /// The router's payload type for each of the client's.
    payload_types: [Option<u8>; 128],
    /// The client's id of the dependency descriptor, if the core reads it.
    descriptor_id: Option<u8>,
    /// The set of the client's payload types for redundant audio (RFC 2198), a bit for each.
    redundant: u128,
    /// The number of the next full intra request that is sent to it (RFC 5104 section 4.3.1).
    pub full_intra_sequence: u8,
    voice_packets: u64,
    voice_amplitude: f64,
}

/// The router's payload type of a packet (`None` for an unknown format), and the payload in this format.
pub type Unpacked<'a> = (Option<u8>, &'a [u8]);

impl Producer {
    pub fn new(id: Id, transport: TransportKey, spec: ProducerSpec) -> Self {
        let mut payload_types = [None; 128];
        for &(client, router) in &spec.payload_types.0 {
            payload_types[usize::from(client & 0x7F)] = Some(router & 0x7F);
        }
        let codec = Codec::from_mime(&spec.codec);
        Self {
            id,
            transport,
            codec,
            descriptor_id: spec.descriptor_id.filter(|_| codec == Some(Codec::Av1)),
            paused: spec.paused,
            muted: false,
            encodings: spec.encodings.iter().map(|one| Encoding::new(one.clone(), spec.clock_rate)).collect(),
            consumers: Vec::new(),
            resending: 0,
            rewriters: SlotMap::with_key(),
            first_payload_type: spec.payload_types.0.first().map_or(0, |&(_, router)| router & 0x7F),
            payload_types,
            redundant: spec.red_payload_types.iter().fold(0, |set, &one| set | 1 << (one & 0x7F)),
            full_intra_sequence: 0,
            voice_packets: 0,
            voice_amplitude: 0.0,
            spec,
        }
    }

    /// The router's payload type for the client's.
    fn payload_type(&self, client: u8) -> Option<u8> {
        self.payload_types[usize::from(client & 0x7F)]
    }

    /// Whether packets with this payload type of the client are redundant audio.
    pub fn is_redundant(&self, client: u8) -> bool {
        self.redundant & 1 << (client & 0x7F) != 0
    }

    /// Whether packets with this payload type are this producer's media.
    pub fn knows(&self, client: u8) -> bool {
        self.payload_type(client).is_some() || self.is_redundant(client)
    }

    /// The client's payload type that a retransmission with this payload type repeats (RFC 4588 section 8.6).
    pub fn repeated_payload_type(&self, rtx: u8) -> Option<u8> {
        self.spec.rtx_payload_types.0.iter().find(|(client, _)| *client == rtx).map(|&(_, repeated)| repeated)
    }

    /// Whether packets that this encoding lacks are worth asking for: the client takes NACKs, and a receiver waits.
    pub fn asks_for_missing(&self, index: usize) -> bool {
        self.spec.nack && self.is_awaited(index)
    }

    /// Whether a receiver gets this encoding, or waits for it.
    pub fn is_awaited(&self, index: usize) -> bool {
        let encoding = &self.encodings[index];
        let has_receivers = !encoding.routes.is_empty() || !encoding.waiting.is_empty();
        has_receivers && !self.is_silent()
    }

    /// Whether nothing of it is forwarded.
    pub fn is_silent(&self) -> bool {
        self.paused || self.muted
    }

    /// Take the primary block out of redundant audio (RFC 2198); other payloads stay as they are.
    pub fn unpack<'a>(&self, client: u8, payload: &'a [u8]) -> Result<Unpacked<'a>, Malformed> {
        if !self.is_redundant(client) || payload.is_empty() {
            return Ok((self.payload_type(client), payload));
        }
        let parsed = parse_red_untrusted(payload).ok_or(Malformed)?;
        Ok((self.payload_type(parsed.payload_type), parsed.primary))
    }

    /// Whether the packet's MID names this producer; `None` where the packet has no MID.
    pub fn claimed_by(&self, packet: &[u8], elements: &[Element]) -> Option<bool> {
        let mid = self.spec.mid.as_ref()?;
        find(packet, elements, self.spec.mid_id).map(|claimed| claimed == mid.as_bytes())
    }

    /// The encoding that a packet of media names by MID and RID (RFC 8843 section 9.2, RFC 8852 section 3.2).
    pub fn named_by(&self, packet: &[u8], elements: &[Element]) -> Option<usize> {
        self.named_with(self.spec.rid_id, packet, elements)
    }

    /// The encoding that a retransmission names by MID and repaired RID (RFC 8852 section 3.3).
    pub fn named_by_repair(&self, packet: &[u8], elements: &[Element]) -> Option<usize> {
        self.named_with(self.spec.repaired_rid_id, packet, elements)
    }

    /// A producer with one encoding needs only the MID, and a producer without a MID needs only the RID.
    fn named_with(&self, rid_id: Option<u8>, packet: &[u8], elements: &[Element]) -> Option<usize> {
        let spec = &self.spec;
        let has_mid = spec.mid.is_some() && spec.mid_id.is_some();
        if has_mid && self.claimed_by(packet, elements) != Some(true) {
            return None;
        }
        match find(packet, elements, rid_id) {
            Some(rid) if self.encodings.iter().any(|encoding| encoding.spec.rid.is_some()) => {
                self.encodings.iter().position(|encoding| encoding.has_rid(rid))
            }
            _ => (has_mid && self.encodings.len() == 1).then_some(0),
        }
    }

    /// The packet's dependency descriptor.  Only AV1 is read by it: the other codecs say more in their payloads.
    pub fn descriptor<'a>(&self, packet: &'a [u8], elements: &[Element]) -> Option<&'a [u8]> {
        find(packet, elements, self.descriptor_id)
    }

    /// Add up the audio level in the packet's header extension (RFC 6464 section 3).
    ///
    /// The first bit is ignored: it holds only the sender's guess whether somebody speaks.
    pub fn on_audio_level(&mut self, packet: &[u8], elements: &[Element]) {
        if let Some([level, ..]) = find(packet, elements, self.spec.audio_level_id) {
            self.voice_packets += 1;
            self.voice_amplitude += AMPLITUDES[usize::from(level & 0x7F)];
        }
    }

    /// The packets with an audio level so far, and the sum of their linear amplitudes.
    pub fn voice(&self) -> (u64, f64) {
        (self.voice_packets, self.voice_amplitude)
    }

    /// The missing packets of all its encodings.
    pub fn repair_counts(&self) -> RepairCounts {
        let counts = self.encodings.iter().map(|encoding| encoding.missing.counts);
        counts.fold(RepairCounts::default(), RepairCounts::plus)
    }

    /// Everything counted so far.
    pub fn statistics(&self) -> ProducerStats {
        ProducerStats {
            encodings: self.encodings.iter().map(Encoding::statistics).collect(),
            voice_packets: self.voice_packets,
            voice_amplitude: self.voice_amplitude,
        }
    }
}

/// A MID and a RID.
type Names<'a> = (Option<&'a str>, Option<&'a str>);

/// The MIDs and RIDs by which the encodings without an SSRC are found.
///
/// Refused for an encoding that nothing in its packets would name, and for two encodings with the same names.
pub fn names_to_learn(spec: &ProducerSpec) -> Result<HashSet<Names<'_>>, Refused> {
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
