//! What the caller says about the streams that come in and go out, and what it may do wrong.

/// Identifiers are the caller's, and never used twice.
pub type Id = u64;

/// A command that cannot be carried out; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is nothing with this identifier.
    Unknown(Id),
    /// What is wrong, in words.
    Invalid(&'static str),
}

/// One encoding of a producer.  Without an SSRC it is learnt from the MID and RID extensions (RFC 8843, RFC 8852).
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct EncodingSpec {
    pub ssrc: Option<u32>,
    pub rid: Option<String>,
}

/// A stream that comes in.
#[derive(Clone, Debug, Default)]
pub struct ProducerSpec {
    /// The lower-case MIME type.
    pub codec: String,
    /// Packets come in bursts, one for each frame.
    pub video: bool,
    /// In Hz.
    pub clock_rate: u32,
    /// The client's payload types and the router's; others are dropped.
    pub payload_types: Vec<(u8, u8)>,
    /// In rising quality.
    pub encodings: Vec<EncodingSpec>,
    /// The client's header extension ids and the router's; others are taken out.
    pub extension_ids: Vec<(u8, u8)>,
    /// The client's, of packets that hold redundant blocks of the others (RFC 2198).
    pub red_payload_types: Vec<u8>,
    /// Of the media section.
    pub mid: Option<String>,
    /// The client's id of the MID extension (RFC 8843).
    pub mid_id: Option<u8>,
    /// The client's id of the RID extension (RFC 8852).
    pub rid_id: Option<u8>,
    /// The client's id of the audio level extension (RFC 6464).
    pub audio_level_id: Option<u8>,
    /// By which its sender is named (RFC 3550 section 6.5.1).
    pub cname: String,
    /// Its packets are dropped.
    pub paused: bool,
}

/// A stream that goes out.
#[derive(Clone, Debug, Default)]
pub struct ConsumerSpec {
    /// Never one that this transport sent with before.
    pub ssrc: u32,
    /// The router's, that this receiver takes.
    pub payload_types: Vec<u8>,
    /// The router's, that this receiver takes.
    pub extension_ids: Vec<u8>,
    /// Written into every packet, as extension `mid_id`, where both are given.
    pub mid: Option<String>,
    /// See `mid`.
    pub mid_id: Option<u8>,
    /// The first target; `None` for nothing.
    pub encoding: Option<usize>,
    /// The highest temporal layer to forward; `None` for all.
    pub temporal: Option<u8>,
    /// How often the receiver is told the sender's clock, on the average, in seconds.
    pub report_interval: f64,
    /// Nothing is sent until it is resumed.
    pub paused: bool,
}
