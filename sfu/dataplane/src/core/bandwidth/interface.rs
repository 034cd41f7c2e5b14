//! What the estimator is told, and what it reports.

pub use crate::core::interface::event::Why;

/// Why a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// Media for the first time.
    Media,
    /// Media again, because the receiver asked for it.
    Resent,
    /// Padding that only measures the path.
    Probe,
}

/// The news for the slow path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Bits per second.
    pub estimate: f64,
    /// Which watermark.
    pub why: Why,
}
