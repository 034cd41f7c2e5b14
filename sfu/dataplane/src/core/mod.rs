//! The packet path without sockets and clocks: datagrams and `now` in, bursts and events out.
//!
//! [`Core`] holds no policy.  It opens, rewrites, seals, forwards and counts, and hands up what it cannot decide.  A
//! shell hands in datagrams through [`Core::receive`], sends what [`Core::flush`] gives, and takes events.

mod engine;
mod interface;
mod paths;
mod receive;
mod send;
mod srtp;
mod table;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

pub use engine::Core;
pub use interface::drop_reason::{Drop, Drops};
pub use interface::event::{ConsumerStats, EncodingStats, Event, MAX_EVENTS, ProducerStats, Totals};
pub use interface::spec::{ConsumerSpec, EncodingSpec, Id, ProducerSpec, Refused};
pub use paths::send_path::{Leaving, Receipt};
pub use receive::clock::SourceClock;
pub use receive::statistics::IDLE_AFTER;
pub use srtp::{MAX_DATAGRAM, MAX_SOURCES, Profile, Srtp};
pub use wire::address::Path;
pub use wire::receiver_report::Reception;
pub use wire::stun::Credentials;
