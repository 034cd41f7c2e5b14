//! The core's state: its tables, its timers, and everything that waits to be sent or reported.
//!
//! The engine decides nothing about packets.  The files under `paths` do, with the machines under `receive`, `send` and
//! `transport`.

pub mod event_queue;
pub mod table;
pub mod timers;

use std::collections::HashMap;

use event_queue::EventQueue;
use table::Table;
use timers::Timers;

use crate::core::interface::drop_reason::{DropCounts, DropReason};
use crate::core::interface::event::Event;
use crate::core::keys::{ConsumerKey, ProducerKey, TransportKey};
use crate::core::receive::missing_packets::RepairCounts;
use crate::core::receive::producer::Producer;
use crate::core::receive::recent_payloads::RedundantForms;
use crate::core::send::consumer::Consumer;
use crate::core::send::transmit::SendReceipt;
use crate::core::transport::Transport;
use crate::core::transport::media_budget::MediaLimits;
use crate::core::wire::address::Path;
use crate::core::wire::rtcp::RtcpSource;
use crate::core::wire::rtp::Element;
use crate::core::wire::stun::CheckIds;

/// A datagram that the core itself makes: an answer to a Binding request, a check, or a report.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct OwnDatagram {
    pub transport: TransportKey,
    pub path: Path,
    pub datagram: Vec<u8>,
}

/// Datagrams and bytes since the start, and the packets that were missing on the way.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Traffic {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    /// The missing packets of encodings that are gone or began anew.
    pub repairs_before: RepairCounts,
    pub requested_by_receivers: u64,
    pub resent: u64,
    pub feedback_to_senders: u64,
    /// Transport-wide feedback of receivers that was read.
    pub feedback_of_receivers: u64,
    /// Bytes of probes: sealed packets.
    pub probe_bytes: u64,
}

/// Memory that is empty between calls and kept, so that the packet path allocates nothing.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Scratch {
    pub elements: Vec<Element>,
    pub report: Vec<u8>,
    pub outcomes: Vec<(SendReceipt, Option<DropReason>)>,
    pub padded: Vec<u8>,
    pub redundant: RedundantForms,
    pub numbers: Vec<u16>,
}

/// The packet path without sockets and clocks, see [`crate::core`].
#[derive(Default)]
pub struct Core {
    pub(in crate::core) transports: Table<TransportKey, Transport>,
    pub(in crate::core) producers: Table<ProducerKey, Producer>,
    pub(in crate::core) consumers: Table<ConsumerKey, Consumer>,
    /// The transport that owns each path.
    pub(in crate::core) by_path: HashMap<Path, TransportKey>,
    /// The transport that owns each ICE username fragment.
    pub(in crate::core) by_username: HashMap<Box<str>, TransportKey>,
    pub(in crate::core) timers: Timers,
    pub(in crate::core) events: EventQueue,
    /// Consumers whose layers may have changed since the last report to the slow path.
    pub(in crate::core) changed: Vec<ConsumerKey>,
    /// Datagrams of the core itself; the next flush sends them.
    pub(in crate::core) own_datagrams: Vec<OwnDatagram>,
    /// The identifiers of our own Binding requests.
    pub(in crate::core) check_ids: CheckIds,
    /// Our SSRC and name in RTCP to publishers.
    pub(in crate::core) rtcp_source: RtcpSource,
    /// Transports whose send batches are not empty.
    pub(in crate::core) dirty: Vec<TransportKey>,
    /// The media that each client may send.
    pub(in crate::core) media_limits: MediaLimits,
    pub(in crate::core) drops: DropCounts,
    pub(in crate::core) traffic: Traffic,
    /// Bytes of memory that all packet stores have reserved.
    pub(in crate::core) store_memory: usize,
    /// When the stores of silent encodings were looked for last, in seconds.
    pub(in crate::core) stores_swept_at: f64,
    /// The serial number of the newest packet.
    pub(in crate::core) serial: u64,
    /// How many sender reports became due.
    pub(in crate::core) reports: u64,
    /// How long the packets of a video frame may wait for its last one, in seconds.
    pub(in crate::core) hold: f64,
    pub(in crate::core) scratch: Scratch,
    /// Forwarding the next packet panics.
    #[cfg(test)]
    pub(in crate::core) sabotaged: bool,
}

impl Core {
    /// An empty core.  `hold` is how long the packets of a video frame may wait for its last one, in seconds.
    pub fn new(hold: f64) -> Self {
        Self { hold, ..Self::default() }
    }

    /// Let the core panic when it forwards the next packet.
    #[cfg(test)]
    pub fn sabotage(&mut self) {
        self.sabotaged = true;
    }

    /// Forget everything but the totals, because the core had a bug.  An event tells the slow path why.
    pub fn fail(&mut self, why: String) {
        let Self { drops, mut traffic, hold, check_ids, rtcp_source, media_limits, producers, .. } =
            std::mem::take(self);
        traffic.repairs_before =
            producers.values().map(Producer::repair_counts).fold(traffic.repairs_before, RepairCounts::plus);
        *self = Self { drops, traffic, hold, check_ids, rtcp_source, media_limits, ..Self::default() };
        self.events.push_rare(Event::PlaneFailed { why });
    }
}
