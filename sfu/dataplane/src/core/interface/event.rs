//! What goes up to the slow path, and what can be asked about.

use crate::core::interface::drop_reason::Drops;
use crate::core::interface::spec::Id;
use crate::core::wire::address::Path;
use crate::core::wire::receiver_report::Reception;

/// How many datagrams for the slow path are kept between two looks; the rest is dropped.
pub const MAX_EVENTS: usize = 1024;

/// What came of datagrams.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    /// STUN from anywhere (`transport` is `None` unless the path is taught), or DTLS from a taught path.
    Slow { path: Path, transport: Option<Id>, data: Vec<u8> },
    /// An SRTCP packet, opened; `at` in seconds, `size` of the sealed one.
    Rtcp { transport: Id, packet: Vec<u8>, at: f64, size: usize },
    /// The SSRC of an encoding became known, or changed.
    Learned { producer: Id, encoding: usize, ssrc: u32 },
    /// The client has given no sign of life for long; the last that was authentic at `last_at`, in seconds.
    Silent { transport: Id, last_at: f64 },
    /// Nothing authentic has come for so long that nothing may be sent to it any more (RFC 7675).
    Lost { transport: Id, last_at: f64 },
    /// An authentic sign came of a client that was silent.
    Back { transport: Id },
    /// An encoding flows that did not before, or for the first time.
    Flows { producer: Id, encoding: usize },
    /// The data plane went wrong and has forgotten everything.
    Failed { why: String },
    /// A consumer now forwards this encoding up to this temporal layer.
    Layers { consumer: Id, encoding: Option<usize>, temporal: Option<u8> },
}

impl Event {
    /// How large the datagram was, of what came of one.
    pub(in crate::core) fn size(&self) -> Option<u64> {
        match self {
            Event::Slow { data, .. } => Some(data.len() as u64),
            Event::Rtcp { size, .. } => Some(*size as u64),
            _ => None,
        }
    }

    /// Whether it says that this transport fell silent, is lost, or came back.
    pub(in crate::core) fn is_life_of(&self, id: Id) -> bool {
        match self {
            Event::Silent { transport, .. } | Event::Lost { transport, .. } | Event::Back { transport } => {
                *transport == id
            }
            _ => false,
        }
    }

    /// Whether it is about this transport.
    pub(in crate::core) fn is_of(&self, id: Id) -> bool {
        match self {
            Event::Slow { transport, .. } => *transport == Some(id),
            Event::Rtcp { transport, .. } => *transport == id,
            _ => self.is_life_of(id),
        }
    }
}

/// What was received of one encoding since it began; all totals.  See RFC 3550 appendices A.1, A.3, A.8.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EncodingStats {
    pub ssrc: Option<u32>,
    pub packets: u64,
    pub bytes: u64,
    pub highest_sequence: i64,
    pub expected: i64,
    pub lost: i64,
    pub jitter: u64,
    pub key_frames: u64,
    pub last_timestamp: u32,
    pub last_at: Option<f64>,
}

/// What was received of a producer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ProducerStats {
    pub encodings: Vec<EncodingStats>,
    pub voice_packets: u64,
    pub voice_amplitude: f64,
}

/// What was sent to one consumer, and what its receiver reported of it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ConsumerStats {
    pub packets: u64,
    pub bytes: u64,
    pub octets: u64,
    pub encoding: Option<usize>,
    pub temporal: Option<u8>,
    pub timestamp_offset: u32,
    pub last_timestamp: u32,
    pub last_at: Option<f64>,
    pub reception: Option<Reception>,
}

/// Totals since the start, and how many there are of each.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Totals {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub drops: Drops,
    pub transports: usize,
    pub producers: usize,
    pub routes: usize,
    pub paths: usize,
}
