//! What the estimator is told, and what it reports.

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

/// Which watermark the estimate crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The path carries less than what is in use: take something away at once.
    BelowUsed,
    /// The path has carried the next step for long enough: the step may be taken.
    NextProven,
    /// We send, and no feedback comes: the estimate is worth nothing.
    Blind,
}

/// The news for the slow path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Bits per second.
    pub estimate: f64,
    /// Which watermark.
    pub why: Why,
}
