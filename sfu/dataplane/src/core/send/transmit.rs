//! Datagrams on their way to the network, and how to count them once they have left.

use crate::core::keys::{ConsumerKey, TransportKey};
use crate::core::send::queued_packet::{Delivery, QueuedPacket};
use crate::core::wire::address::Path;

/// Datagrams that leave together on one path.
#[derive(Debug)]
pub struct Departure<'a> {
    /// The path that they take.
    pub path: Path,
    /// The datagrams, one behind the other.
    pub bytes: &'a [u8],
    /// Bytes of each datagram but the last, which may be smaller.
    pub segment: usize,
    /// Whether the first one is a packet of a video.  A stream gets only one datagram at a time.
    pub video: bool,
}

/// The figures with which the core counts a consumer's datagram once it has left.
#[derive(Clone, Copy, Debug)]
pub struct SendReceipt {
    /// The consumer whose packet it is.
    pub(in crate::core) consumer: ConsumerKey,
    /// Bytes of the sealed packet.
    pub(in crate::core) size: u32,
    /// Bytes of the whole plain packet; 0 for a sender report.
    pub(in crate::core) plain: u32,
    /// Bytes of the payload without padding.
    pub(in crate::core) payload: u32,
    /// Whether it was sent before, with the same SSRC or another.
    pub(in crate::core) resent: bool,
}

impl SendReceipt {
    /// For a packet that is sent with this size, padding included.
    pub(in crate::core) fn of(packet: &QueuedPacket, size: usize) -> Self {
        let size = size as u32;
        let plain = if packet.plain > 0 { u32::from(packet.plain) + size - u32::from(packet.size) } else { 0 };
        // Media that is sealed already was sent before.
        let resent = packet.seal.map_or(packet.plain > 0, |seal| seal.delivery == Delivery::Again);
        Self { consumer: packet.consumer, size, plain, payload: u32::from(packet.payload), resent }
    }
}

/// A datagram for a shell that sends by itself and reports the outcome to [`Core::record_outcome`](crate::core::Core::record_outcome).
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Transmit {
    pub path: Path,
    pub datagram: Vec<u8>,
    /// `None` for a datagram that belongs to no consumer.
    pub receipt: Option<SendReceipt>,
    /// The transport and the transport-wide sequence number; `None` for a datagram without one.
    pub(in crate::core) number: Option<(TransportKey, u16)>,
}
