//! The packet path without sockets and clocks: datagrams and `now` in, send batches and events out.
//!
//! [`Core`] holds no policy.  It opens, rewrites, seals, forwards and counts, and leaves decisions to the slow path.  A
//! shell hands in datagrams through [`Core::receive`], sends those that [`Core::flush`] gives, and takes events.

mod bandwidth;
mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod interface;
mod keys;
mod paths;
mod receive;
mod send;
mod srtp;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

pub use bandwidth::{BandwidthEstimator, Crossing, PacketKind, Why};
pub use engine::Core;
pub use interface::drop_reason::{DropCounts, DropReason};
pub use interface::event::{Event, MAX_EVENTS};
pub use interface::spec::{ConsumerFormat, ConsumerSpec, EncodingSpec, Id, NumberMap, ProducerSpec, Refused};
pub use interface::statistics::{
    BandwidthStats, ConsumerStats, EncodingStats, PlaneTotals, ProducerStats, ReceptionReport, TransportStats,
};
pub use receive::statistics::IDLE_AFTER;
pub use send::transmit::{Departure, SendReceipt, Transmit};
pub use srtp::{MAX_DATAGRAM, MAX_QUIET_SOURCES, MAX_SOURCES, Profile, Srtp};
pub use wire::address::{FIRST_STREAM, Path};
pub use wire::rtcp;
pub use wire::stun::Credentials;
