//! One transport: its keys and paths, and which stream every SSRC belongs to.

pub mod audio_redundancy;
pub mod consent;
pub mod ice_agent;
pub mod known_path;
pub mod media_budget;
pub mod path_allowance;
pub mod path_selection;
pub mod recent_requests;
pub mod token_bucket;

use std::collections::{HashMap, HashSet};

use crate::core::interface::spec::Id;
use crate::core::keys::{ConsumerKey, EncodingKey, ProducerKey};
use crate::core::receive::arrival_log::ArrivalLog;
use crate::core::send::batch::SendBatch;
use crate::core::send::loss_reports::OwnLoss;
use crate::core::send::receiver_bandwidth::{ReceiverBandwidth, Room};
use crate::core::send::resend_limits::ResendLimits;
use crate::core::srtp::Srtp;
use crate::core::transport::audio_redundancy::AudioRedundancy;
use crate::core::transport::consent::Consent;
use crate::core::transport::ice_agent::IceAgent;
use crate::core::transport::media_budget::{Excess, MediaBudget};
use crate::core::transport::path_selection::PathSelection;
use crate::core::transport::token_bucket::{ArrivalLimits, FailureLimit};

const PATH_MTU: usize = 1500; // Ethernet; a sender on a smaller path finds that out and sends less (RFC 8899)
const IPV4_UDP: usize = 28; // bytes of headers
const IPV6_UDP: usize = 48;

/// The times of receiver reports to a client, in seconds: the interval, and the next one.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ReportTimes {
    pub interval: f64,
    pub next: f64,
}

/// The packets that a consumer sends with one of its SSRCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Its media.
    Media,
    /// Its media again, for a receiver that asked for it (RFC 4588).
    Resends,
}

/// What the client has reported about all streams together that it receives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reported {
    /// Packets that left before a report about their stream.
    pub packets: u64,
    /// Those of them that were lost on the way to the client.
    pub lost: u64,
    /// The newest round trip, in seconds.
    pub round_trip: Option<f64>,
}

impl Reported {
    /// Add a report about one stream, with its round trip if it has one.
    pub fn add(&mut self, own: OwnLoss, round_trip: Option<f64>) {
        self.packets += u64::from(own.packets);
        // The client may claim any loss, so bound it by what it was sent.
        self.lost += u64::from(own.lost.clamp(0, i32::MAX) as u32).min(u64::from(own.packets));
        self.round_trip = round_trip.or(self.round_trip);
    }
}

/// The core's state of one client's transport.
#[derive(Default)]
pub struct Transport {
    pub id: Id,
    /// `None` until DTLS has agreed on keys.
    pub srtp: Option<Srtp>,
    /// The paths that packets may come from, and the one to send on.
    pub paths: PathSelection,
    /// The encoding that each received SSRC belongs to.
    pub ssrcs: HashMap<u32, EncodingKey>,
    /// The encoding that each received SSRC of retransmissions belongs to (RFC 4588 section 5.3).
    pub rtx_ssrcs: HashMap<u32, EncodingKey>,
    pub producers: Vec<ProducerKey>,
    pub consumers: Vec<ConsumerKey>,
    /// Packets that wait to leave.
    pub batch: SendBatch,
    /// Bytes of media that were queued for the client so far: whole plain packets.
    pub media_bytes: u64,
    /// The newest round trip that the client's reports gave, about whichever stream, in seconds.
    pub round_trip: Option<f64>,
    /// What the client has reported about the streams that it receives.
    pub reported: Reported,
    /// The limits on retransmissions; `None` before the client asks for the first packet.
    resend_limits: Option<Box<ResendLimits>>,
    /// How much the path to the client carries; `None` before the first packet with a transport-wide sequence number.
    pub bandwidth: Option<Box<ReceiverBandwidth>>,
    pub consent: Consent,
    /// How often audio to this client is repeated.
    pub audio_redundancy: AudioRedundancy,
    /// `None` before it has credentials.
    pub ice: Option<Box<IceAgent>>,
    /// The times of receiver reports; `None` before they begin.
    pub report_times: Option<ReportTimes>,
    /// When the client was last asked for missing packets, in seconds.
    pub asked_at: f64,
    /// The ids that the client's transport-wide sequence numbers have.  They are for all streams of the transport, and
    /// normally the same (RFC 8843 section 9.2).
    pub wide_ids: Box<[u8]>,
    /// The arrivals of its packets; `None` before the first one with a transport-wide sequence number.
    pub arrivals: Option<Box<ArrivalLog>>,
    /// The limit on the events that its losses could not be repaired.
    pub failure_limit: FailureLimit,
    /// The limits on its datagrams that are no media.
    pub limits: ArrivalLimits,
    /// The media that it may still send, and what it has sent beyond its limits.
    pub budget: MediaBudget,
    pub excess: Excess,
    /// The consumer that sends with each SSRC, and what it sends.
    sent_ssrcs: HashMap<u32, (ConsumerKey, Sending)>,
    /// The SSRCs of removed consumers.  None may be used again under the same keys.  Both streams would share a key
    /// stream, and an eavesdropper could decrypt their packets (RFC 3711 section 9.1).
    retired_ssrcs: HashSet<u32>,
}

impl Transport {
    /// A transport without keys and paths.
    pub fn new(id: Id) -> Self {
        Self { id, ..Self::default() }
    }

    /// The limits on retransmissions to the client.
    pub fn resend_limits(&mut self) -> &mut ResendLimits {
        self.resend_limits.get_or_insert_default()
    }

    /// The room on the path to the client.
    pub fn room(&self) -> Room {
        self.bandwidth.as_ref().map_or(Room::Wide, |bandwidth| bandwidth.room())
    }

    /// The rate at which video leaves to the client, in bits per second; `None` for all at once.
    pub fn pace(&self) -> Option<f64> {
        self.bandwidth.as_ref()?.pace()
    }

    /// How many earlier payloads to repeat in an audio packet that leaves at `now` (seconds).
    pub fn redundancy_depth(&mut self, now: f64) -> usize {
        let room = self.room();
        self.audio_redundancy.depth(room, now)
    }

    /// Whether media can be sent.
    pub fn ready(&self) -> bool {
        self.srtp.is_some() && self.paths.send_path().is_some()
    }

    /// Take the SSRC from this encoding.  Does nothing if another encoding has it by now.
    pub fn forget_ssrc(&mut self, ssrc: u32, of: EncodingKey) {
        if self.ssrcs.get(&ssrc) == Some(&of) {
            self.ssrcs.remove(&ssrc);
        }
    }

    /// Take the SSRC of its retransmissions from an encoding.  Does nothing if another encoding has it by now.
    pub fn forget_rtx_ssrc(&mut self, ssrc: u32, of: EncodingKey) {
        if self.rtx_ssrcs.get(&ssrc) == Some(&of) {
            self.rtx_ssrcs.remove(&ssrc);
        }
    }

    /// The largest datagram that the path to the receiver carries whole, in bytes.
    pub fn largest_datagram(&self) -> usize {
        let headers =
            if self.paths.send_path().is_some_and(|path| path.remote.is_ipv6()) { IPV6_UDP } else { IPV4_UDP };
        PATH_MTU - headers
    }

    /// Whether a consumer sends with this SSRC, or ever did.
    pub fn has_sent_with(&self, ssrc: u32) -> bool {
        self.sent_ssrcs.contains_key(&ssrc) || self.is_retired(ssrc)
    }

    /// Whether the consumer with this SSRC was removed.
    pub fn is_retired(&self, ssrc: u32) -> bool {
        self.retired_ssrcs.contains(&ssrc)
    }

    /// The consumer sends with this SSRC from now on.
    pub fn use_ssrc(&mut self, ssrc: u32, consumer: ConsumerKey, sending: Sending) {
        self.sent_ssrcs.insert(ssrc, (consumer, sending));
    }

    /// The consumer that sends its media with this SSRC.
    pub fn sender_of(&self, ssrc: u32) -> Option<ConsumerKey> {
        self.sent_ssrcs.get(&ssrc).filter(|(_, sending)| *sending == Sending::Media).map(|(consumer, _)| *consumer)
    }

    /// The consumer with this SSRC was removed: nothing may be sent with it any more.
    pub fn retire_ssrc(&mut self, ssrc: u32) {
        self.sent_ssrcs.remove(&ssrc);
        self.retired_ssrcs.insert(ssrc);
    }
}
