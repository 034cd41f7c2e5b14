//! Events: the notices of the core to the slow path.

use crate::core::interface::spec::Id;
use crate::core::wire::address::Path;

/// At most this many datagrams wait for the slow path.  The core drops and counts the rest.
pub const MAX_EVENTS: usize = 1024;
/// At most this many of them come from one transport: more than the flights of a handshake have.
pub const MAX_WAITING_DTLS: usize = 32;

/// Which watermark an estimate of the bandwidth crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The path carries less than what is in use: take something away at once.
    BelowUsed,
    /// The path has carried the next step for long enough: the step may be taken.
    NextProven,
    /// We send, and no feedback comes: the estimate is worth nothing.
    Blind,
    /// Feedback comes again.
    Heard,
}

/// Everything that the core reports to the slow path.
#[cfg_attr(feature = "python", pyo3::pyclass(frozen, eq, module = "sfu._dataplane"))]
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    /// A DTLS datagram from one of the transport's paths.
    DtlsArrived { transport: Id, data: Vec<u8> },
    /// Datagrams to the client go to this path from now on.
    PathSelected { transport: Id, path: Path },
    /// A consumer's receiver cannot decode what it gets.  It says so, or its path was dead for a while.
    KeyFrameRequested { consumer: Id },
    /// The SSRC of an encoding became known, or changed.
    EncodingLearned { producer: Id, encoding: usize, ssrc: u32 },
    /// The client has given no sign of life for long.  The last authentic one came at `last_at` seconds.
    FellSilent { transport: Id, last_at: f64 },
    /// Nothing authentic has come for so long that nothing may be sent to the client any more (RFC 7675).
    ConsentExpired { transport: Id, last_at: f64 },
    /// A client that had fallen silent gave an authentic sign of life.
    CameBack { transport: Id },
    /// The client has sent so much beyond its limits that its transport has to close.  Comes once.
    LimitsExceeded { transport: Id },
    /// A video encoding flows after a break, or for the first time.
    EncodingFlows { producer: Id, encoding: usize },
    /// The client could not repair a loss in this video encoding: only a key frame lets its receivers go on.  `narrow`:
    /// its network carries only a part of the encoding, so it has no room for a key frame either.
    RepairFailed { producer: Id, encoding: usize, narrow: bool },
    /// The estimate of the bandwidth to the client, in bits per second, crossed a watermark.
    BandwidthCrossed { transport: Id, estimate: f64, why: Why },
    /// The core had a bug and has forgotten every object.
    PlaneFailed { why: String },
    /// A consumer now forwards this encoding up to this temporal layer.  `spatial` is the highest spatial layer inside an
    /// encoding that has several.
    LayersChanged { consumer: Id, encoding: Option<usize>, temporal: Option<u8>, spatial: Option<u8> },
}

impl Event {
    /// Whether it says that this transport fell silent, is lost, or came back.
    pub fn is_liveness_of(&self, id: Id) -> bool {
        match self {
            Event::FellSilent { transport, .. }
            | Event::ConsentExpired { transport, .. }
            | Event::CameBack { transport } => *transport == id,
            _ => false,
        }
    }

    /// Whether this event, one of those that wait in their order, is about this transport.
    pub fn is_of(&self, id: Id) -> bool {
        match self {
            Event::DtlsArrived { transport, .. } | Event::LimitsExceeded { transport } => *transport == id,
            _ => self.is_liveness_of(id),
        }
    }
}
