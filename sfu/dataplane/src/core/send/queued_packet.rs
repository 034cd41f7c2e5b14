//! One packet that waits to leave.

use crate::core::bandwidth::PacketKind;
use crate::core::keys::ConsumerKey;

/// A packet that waits: plain media with room for its tag behind it, or a packet that is sealed already.  That is a
/// report, or media that was sent before.
#[derive(Clone, Copy, Debug)]
pub struct QueuedPacket {
    /// The consumer whose packet it is.  The packet is discarded if the consumer was removed.
    pub consumer: ConsumerKey,
    /// Bytes of the sealed packet.
    pub size: u16,
    /// Bytes of the whole plain packet; 0 for a report.
    pub plain: u16,
    /// Bytes of the payload without padding; 0 for a packet that is sealed already.
    pub payload: u16,
    /// Bytes of padding that may be added.
    pub padding: u8,
    /// The place of its transport-wide sequence number, which is taken when it leaves; 0 for none.
    pub number_at: u8,
    /// How to seal it; `None` for a packet that is sealed already.
    pub seal: Option<Seal>,
}

impl QueuedPacket {
    /// The most bytes that it may have when it leaves.
    pub fn most_bytes(&self) -> usize {
        usize::from(self.size) + usize::from(self.padding)
    }

    pub fn is_report(&self) -> bool {
        self.plain == 0
    }
}

/// How often a packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once, for now.
    Once,
    /// Twice: its sealed bytes are sent once more.
    Twice,
    /// It is a retransmission of a packet that was sent before.
    Again,
    /// It only measures the path.
    Probe,
}

impl Delivery {
    /// The same in the terms of the estimator.
    pub fn kind(self) -> PacketKind {
        match self {
            Self::Once | Self::Twice => PacketKind::Media,
            Self::Again => PacketKind::Resent,
            Self::Probe => PacketKind::Probe,
        }
    }
}

/// The input of sealing: the size of the header in bytes, the SSRC, and the packet index (RFC 3711 section 3.3.1).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Seal {
    pub header: u16,
    pub delivery: Delivery,
    /// Whether it is a packet of a video.
    pub video: bool,
    pub ssrc: u32,
    pub index: u64,
}
