//! Specifications of the streams that come in and go out, and the reasons to refuse a command.
//!
//! The classes of Python are these structs themselves: `src/python` adds constructors, and nothing is converted.

use std::collections::BTreeSet;

/// An identifier that the caller chooses, and never uses twice.
pub type Id = u64;

/// A command that cannot be carried out; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No object has this identifier.
    Unknown(Id),
    /// The reason, in words.
    Invalid(&'static str),
}

/// Numbers of the client, with the router's number for each, in the client's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberMap(pub Vec<(u8, u8)>);

impl<const N: usize> From<[(u8, u8); N]> for NumberMap {
    fn from(pairs: [(u8, u8); N]) -> Self {
        Self(pairs.into())
    }
}

/// One encoding of a producer.  Without an SSRC it is learned from the MID and RID extensions (RFC 8843, RFC 8852).
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, from_py_object, module = "sfu._dataplane"))]
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct EncodingSpec {
    pub ssrc: Option<u32>,
    pub rid: Option<String>,
    /// The SSRC of its retransmissions (RFC 4588), if the client announced it.
    pub rtx_ssrc: Option<u32>,
}

/// A stream that comes in.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, module = "sfu._dataplane"))]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProducerSpec {
    /// The lower-case MIME type.
    pub codec: String,
    /// Whether it is video: its packets come in bursts, one for each frame.
    pub video: bool,
    /// In Hz.
    pub clock_rate: u32,
    /// The client's payload types and the router's; packets of others are dropped.
    pub payload_types: NumberMap,
    /// In rising quality.
    pub encodings: Vec<EncodingSpec>,
    /// The client's header extension ids and the router's; others are taken out.
    pub extension_ids: NumberMap,
    /// The client's payload types of packets that hold redundant blocks of the others (RFC 2198).
    pub red_payload_types: BTreeSet<u8>,
    /// The client's payload types of retransmissions (RFC 4588), each with the client's payload type that it repeats.
    pub rtx_payload_types: NumberMap,
    /// Whether the client takes generic NACKs (RFC 4585 section 6.2.1) and sends the missing packets again.
    pub nack: bool,
    /// The MID of its media section.
    pub mid: Option<String>,
    /// The client's id of the MID extension (RFC 8843).
    pub mid_id: Option<u8>,
    /// The client's id of the RID extension (RFC 8852).
    pub rid_id: Option<u8>,
    /// The client's id of the repaired RID extension (RFC 8852).
    pub repaired_rid_id: Option<u8>,
    /// The client's id of the audio level extension (RFC 6464).
    pub audio_level_id: Option<u8>,
    /// The client's id of the transport-wide sequence numbers, if it takes transport-wide feedback
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub wide_id: Option<u8>,
    /// The client's id of the dependency descriptor extension of the RTP payload format for AV1.
    pub descriptor_id: Option<u8>,
    /// The name of its sender in reports (RFC 3550 section 6.5.1).
    pub cname: String,
    /// Whether to drop its packets.
    pub paused: bool,
}

/// The form in which a receiver takes streams of one kind.  All consumers that are alike share it.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, module = "sfu._dataplane"))]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerFormat {
    /// The router's payload types that the receiver takes; other packets are left out.
    pub payload_types: BTreeSet<u8>,
    /// The router's header extension ids that the receiver takes; other extensions are left out.
    pub extension_ids: BTreeSet<u8>,
    /// The router's id of the MID extension, if consumers write their MID into every packet.
    pub mid_id: Option<u8>,
    /// Mean seconds between two sender reports.
    pub report_interval: f64,
    /// The router's payload types of media, each with the one for its retransmissions (RFC 4588).
    pub rtx_payload_types: NumberMap,
    /// The router's payload types of audio, each with the one for redundant audio (RFC 2198).
    pub red_payload_types: NumberMap,
    /// The router's id of the transport-wide sequence number, if the receiver takes it and answers with feedback
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub wide_id: Option<u8>,
}

/// A stream that goes out.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerSpec<'a> {
    /// The format that the receiver takes.
    pub format: &'a ConsumerFormat,
    /// The SSRC to send with: never one that this transport sent with before.
    pub ssrc: u32,
    /// The SSRC of its retransmissions: never one that this transport sent with before.  Without it the consumer answers
    /// no NACK.
    pub rtx_ssrc: Option<u32>,
    /// The MID to write into every packet, as extension `mid_id` of the format.  Without either, none is written.
    pub mid: Option<&'a str>,
    /// The first target; `None` for nothing.
    pub encoding: Option<usize>,
    /// The highest temporal layer to forward; `None` for all.
    pub temporal: Option<u8>,
    /// The highest spatial layer inside an encoding to forward; `None` for all.
    pub spatial: Option<u8>,
    /// Whether to send nothing until a command resumes the consumer.
    pub paused: bool,
}

impl<'a> ConsumerSpec<'a> {
    /// A consumer of all layers of the first encoding, without a MID.
    pub fn new(format: &'a ConsumerFormat, ssrc: u32) -> Self {
        Self {
            format,
            ssrc,
            rtx_ssrc: None,
            mid: None,
            encoding: Some(0),
            temporal: None,
            spatial: None,
            paused: false,
        }
    }
}
