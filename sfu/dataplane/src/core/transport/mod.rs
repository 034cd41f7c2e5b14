//! What the data plane knows of one transport: keys, paths, and whose SSRCs are whose.

use std::collections::{HashMap, HashSet};

use crate::core::interface::spec::Id;
use crate::core::paths::consent_path::Consent;
use crate::core::receive::producer::EncodingKey;
use crate::core::send::batch::Burst;
use crate::core::srtp::Srtp;
use crate::core::table::{ConsumerKey, ProducerKey};
use crate::core::wire::address::Path;

/// How many addresses a transport may send from.
pub const MAX_PATHS: usize = 16;

const PATH_MTU: usize = 1500; // Ethernet's; who has less gets a smaller picture from senders that look (RFC 8899)
const IPV4_UDP: usize = 28; // bytes of headers
const IPV6_UDP: usize = 48;

/// `paths` are in order of their last teaching; `ssrcs` those whose RTP is taken.
///
/// `sent_ssrcs` are the consumers', `spent_ssrcs` those of consumers that are gone: none may begin again under the same
/// keys, or the packets of both could be decrypted (RFC 3711 section 9.1).
#[derive(Default)]
pub struct Transport {
    pub id: Id,
    pub srtp: Option<Srtp>,
    pub send_path: Option<Path>,
    pub paths: Vec<Path>,
    pub ssrcs: HashMap<u32, EncodingKey>,
    pub producers: Vec<ProducerKey>,
    pub consumers: Vec<ConsumerKey>,
    pub burst: Burst,
    pub consent: Consent,
    sent_ssrcs: HashMap<u32, ConsumerKey>,
    spent_ssrcs: HashSet<u32>,
}

impl Transport {
    pub fn new(id: Id) -> Self {
        Self { id, ..Self::default() }
    }

    pub fn ready(&self) -> bool {
        self.srtp.is_some() && self.send_path.is_some()
    }

    /// Make this path the newest; the one that had to go for it.
    pub fn learn_path(&mut self, path: Path) -> Option<Path> {
        self.paths.retain(|known| *known != path);
        self.paths.push(path);
        self.send_path.get_or_insert(path);
        if self.paths.len() <= MAX_PATHS {
            return None;
        }
        let oldest = self.paths.iter().position(|known| Some(*known) != self.send_path)?;
        Some(self.paths.remove(oldest))
    }

    /// The path is another's now; go on sending to the newest that is left.
    pub fn lose_path(&mut self, path: Path) {
        self.paths.retain(|known| *known != path);
        if self.send_path == Some(path) {
            self.send_path = self.paths.last().copied();
        }
    }

    /// The packets of this SSRC are not this encoding's any more; they may be another's by now.
    pub fn forget_ssrc(&mut self, ssrc: u32, of: EncodingKey) {
        if self.ssrcs.get(&ssrc) == Some(&of) {
            self.ssrcs.remove(&ssrc);
        }
    }

    /// The largest datagram that the path to the receiver carries whole.
    pub fn largest_datagram(&self) -> usize {
        let headers = if self.send_path.is_some_and(|path| path.remote.is_ipv6()) { IPV6_UDP } else { IPV4_UDP };
        PATH_MTU - headers
    }

    /// Whether a consumer sends, or ever sent, with this SSRC.
    pub fn used(&self, ssrc: u32) -> bool {
        self.sent_ssrcs.contains_key(&ssrc) || self.spent(ssrc)
    }

    /// Whether the consumer with this SSRC is gone.
    pub fn spent(&self, ssrc: u32) -> bool {
        self.spent_ssrcs.contains(&ssrc)
    }

    /// A consumer sends with it from now on.
    pub fn use_ssrc(&mut self, ssrc: u32, consumer: ConsumerKey) {
        self.sent_ssrcs.insert(ssrc, consumer);
    }

    /// The consumer that sends with it.
    pub fn sender_of(&self, ssrc: u32) -> Option<ConsumerKey> {
        self.sent_ssrcs.get(&ssrc).copied()
    }

    /// A consumer's SSRC will not be sent again.
    pub fn spend_ssrc(&mut self, ssrc: u32) {
        self.sent_ssrcs.remove(&ssrc);
        self.spent_ssrcs.insert(ssrc);
    }
}
