//! Statistics that the slow path may ask for.

// The constructors for Python, which PyO3 generates, take every field.
#![cfg_attr(feature = "python", allow(clippy::too_many_arguments))]

use crate::core::interface::drop_reason::DropCounts;

/// The reception of one encoding since it began; all totals, see RFC 3550 appendices A.1, A.3 and A.8.
#[cfg_attr(
    feature = "python",
    pyo3::pyclass(frozen, eq, get_all, from_py_object, new = "from_fields", module = "sfu._dataplane")
)]
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
    /// Missing packets that the client was asked for.
    pub requested: u64,
    /// Missing packets that came after all: again, or inside a later packet.
    pub repaired: u64,
    /// Missing packets that nothing asks for any more.
    pub given_up: u64,
    /// Seconds from a request to the packet; `None` before the first answer.
    pub round_trip: Option<f64>,
    /// Bytes of the packets that a receiver could get, for each layer; whole plain packets.  The index is eight times the
    /// spatial layer, and the temporal layer.
    pub layer_bytes: Vec<u64>,
    /// Frames of each layer.
    pub layer_frames: Vec<u64>,
}

/// The reception of a producer.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, new = "from_fields", module = "sfu._dataplane"))]
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ProducerStats {
    pub encodings: Vec<EncodingStats>,
    pub voice_packets: u64,
    pub voice_amplitude: f64,
}

/// The packets of one transport in both directions, and how many of them the network lost; all totals.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, new = "from_fields", module = "sfu._dataplane"))]
#[derive(Clone, Debug, PartialEq)]
pub struct TransportStats {
    /// Packets that the client sent, as far as their numbers tell, in all encodings that it sends now.
    pub expected: i64,
    /// Those of them that did not come at once.
    pub missing: i64,
    /// Packets to the client that its reports cover.
    pub reported: u64,
    /// Those of them that were lost on the way to the client.
    pub reported_lost: u64,
    /// The newest round trip that a report has shown, in seconds.
    pub round_trip: Option<f64>,
}

/// A receiver's newest report about one stream (RFC 3550 section 6.4.1).
#[cfg_attr(
    feature = "python",
    pyo3::pyclass(frozen, eq, get_all, from_py_object, new = "from_fields", module = "sfu._dataplane")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReceptionReport {
    /// Share of the packets lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// All packets lost; negative with duplicates.
    pub lost: i32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Round-trip time in seconds by our own clock; `None` until the receiver answers a sender report of ours.
    pub round_trip: Option<f64>,
}

/// The packets sent to one consumer, and its receiver's newest report about them.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, new = "from_fields", module = "sfu._dataplane"))]
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ConsumerStats {
    pub packets: u64,
    pub bytes: u64,
    pub octets: u64,
    pub encoding: Option<usize>,
    pub temporal: Option<u8>,
    /// The highest spatial layer that is forwarded, inside an encoding that has several.
    pub spatial: Option<u8>,
    /// The highest spatial layer that the next key frame would bring.
    pub spatial_target: Option<u8>,
    pub timestamp_offset: u32,
    pub last_timestamp: u32,
    pub last_at: Option<f64>,
    pub reception_report: Option<ReceptionReport>,
    /// Packets that the receiver asked for again.
    pub requested: u64,
    /// Packets that were sent again, and their bytes: whole plain packets.  Among them is audio that left twice.
    pub resent: u64,
    pub resent_bytes: u64,
    /// Packets that were asked for and not sent again.  The drop reasons say why.
    pub not_resent: u64,
    /// Packets that also carried earlier ones (RFC 2198).
    pub redundant: u64,
}

/// How much the path to a receiver carries.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, new = "from_fields", module = "sfu._dataplane"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandwidthStats {
    /// The estimate in bits per second.
    pub estimate: f64,
    /// The rate that arrives at the receiver, in bits per second; `None` before the first feedback.
    pub acked: Option<f64>,
    /// The share of packets that the path loses, from 0 to 1.
    pub loss: f64,
    /// The round trip in seconds, if it is known.
    pub round_trip: Option<f64>,
    /// Bytes of probes so far: sealed packets.
    pub probe_bytes: u64,
}

/// Totals since the start, and the number of objects now.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, get_all, new = "from_fields", module = "sfu._dataplane"))]
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct PlaneTotals {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub drops: DropCounts,
    pub transports: usize,
    pub producers: usize,
    pub routes: usize,
    pub paths: usize,
    pub usernames: usize,
    /// Missing packets that senders were asked for, that came after all, and that nothing asks for any more.
    pub requested_of_senders: u64,
    pub repaired: u64,
    pub given_up: u64,
    /// Packets that receivers asked for again, and those that were sent again.
    pub requested_by_receivers: u64,
    pub resent: u64,
    /// Packets that are kept to be sent again, and the bytes of memory that are reserved for them.
    pub stored_packets: usize,
    pub stored_bytes: usize,
    /// The most bytes of memory that may be reserved for them.
    pub stored_bytes_limit: usize,
    /// Packets of transport-wide feedback to senders.
    pub feedback_to_senders: u64,
    /// Transport-wide feedback of receivers that was read.
    pub feedback_of_receivers: u64,
    /// Bytes of probes to receivers: sealed packets.
    pub probe_bytes: u64,
    /// Transports whose path carries less than what is in use.
    pub short_transports: usize,
}
