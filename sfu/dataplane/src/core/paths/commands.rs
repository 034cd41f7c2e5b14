//! Commands about transports and producers.  Each takes effect before it returns, or changes nothing.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::spec::{Id, ProducerSpec, Refused};
use crate::core::keys::{EncodingKey, ProducerKey, TransportKey};
use crate::core::receive::producer::{Producer, names_to_learn};
use crate::core::srtp::{Profile, Srtp};
use crate::core::transport::Transport;

/// The command names an encoding that its producer does not have.
pub(super) const NO_ENCODING: Refused = Refused::Invalid("the producer has no such encoding");

impl Core {
    /// Add a transport without keys and paths.
    pub fn add_transport(&mut self, transport: Id) -> Result<(), Refused> {
        if self.transports.contains(transport) {
            return Err(Refused::Invalid("this transport exists already"));
        }
        let key = self.transports.insert(transport, Transport::new(transport));
        self.timers.add_transport(key);
        Ok(())
    }

    /// Let media flow from now on, both ways.  The keys are the master key followed by the master salt.
    pub fn set_keys(&mut self, transport: Id, profile: Profile, receive: &[u8], send: &[u8]) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        let transport = &mut self.transports[key];
        if transport.srtp.is_some() {
            return Err(Refused::Invalid("this transport has its keys already"));
        }
        let srtp = Srtp::new(profile, receive, send);
        transport.srtp =
            Some(srtp.ok_or(Refused::Invalid("the keys and salts do not have the sizes of their profile"))?);
        Ok(())
    }

    /// The round trip to the client as its handshake showed it, in seconds.  It counts until a receiver report gives
    /// another.
    pub fn set_round_trip(&mut self, transport: Id, round_trip: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].round_trip.get_or_insert(round_trip);
        Ok(())
    }

    /// Forget its keys and paths, with every producer and consumer still on it.
    pub fn remove_transport(&mut self, transport: Id) {
        let Ok(key) = self.transports.key(transport) else { return };
        for consumer in self.transports[key].consumers.clone() {
            self.remove_consumer(self.consumers[consumer].id);
        }
        for producer in self.transports[key].producers.clone() {
            self.remove_producer(self.producers[producer].id);
        }
        for path in self.transports[key].paths.all() {
            self.by_path.remove(&path);
        }
        for username in self.transports[key].ice.iter().flat_map(|agent| agent.username_fragments()) {
            self.by_username.remove(username);
        }
        self.timers.remove_transport(key);
        self.transports.remove(transport);
        self.events.forget_transport(transport);
    }

    /// Take in a stream.
    ///
    /// Refused if another producer of this transport has one of its SSRCs, its MID, or the MID and RID of one of its
    /// encodings.  Also refused if nothing would identify an encoding.
    pub fn add_producer(&mut self, transport: Id, producer: Id, spec: ProducerSpec) -> Result<(), Refused> {
        let owner = self.transports.key(transport)?;
        if self.producers.contains(producer) {
            return Err(Refused::Invalid("this producer exists already"));
        }
        let names = names_to_learn(&spec)?;
        for &other in &self.transports[owner].producers {
            if !names.is_disjoint(&names_to_learn(&self.producers[other].spec)?) {
                return Err(Refused::Invalid("another producer has this MID and RID"));
            }
        }
        let shares_mid = |&other: &ProducerKey| self.producers[other].spec.mid == spec.mid;
        if spec.mid.is_some() && self.transports[owner].producers.iter().any(shares_mid) {
            return Err(Refused::Invalid("another producer has this MID"));
        }
        let ssrcs: Vec<u32> = spec.encodings.iter().filter_map(|encoding| encoding.ssrc).collect();
        let taken = |(place, ssrc)| ssrcs[..place].contains(ssrc) || self.transports[owner].ssrcs.contains_key(ssrc);
        if ssrcs.iter().enumerate().any(taken) {
            return Err(Refused::Invalid("another encoding has this SSRC"));
        }
        let key = self.producers.insert(producer, Producer::new(producer, owner, spec));
        self.transports[owner].producers.push(key);
        for (index, encoding) in self.producers[key].encodings.iter().enumerate() {
            if let Some(ssrc) = encoding.ssrc {
                self.transports[owner].ssrcs.insert(ssrc, EncodingKey { producer: key, index });
            }
        }
        self.use_announced_ssrcs(owner, key);
        self.use_wide_ids(owner);
        self.arm_receiver_reports(owner);
        Ok(())
    }

    /// Note the SSRCs of retransmissions that the client announced.  An SSRC that is media now no longer means
    /// retransmissions.
    fn use_announced_ssrcs(&mut self, owner: TransportKey, key: ProducerKey) {
        for index in 0..self.producers[key].encodings.len() {
            let spec = &self.producers[key].encodings[index].spec;
            let (ssrc, rtx_ssrc) = (spec.ssrc, spec.rtx_ssrc);
            ssrc.iter().for_each(|&ssrc| self.take_from_rtx(owner, ssrc));
            let transport = &self.transports[owner];
            let free = |ssrc: &u32| !transport.ssrcs.contains_key(ssrc) && !transport.rtx_ssrcs.contains_key(ssrc);
            if let Some(ssrc) = rtx_ssrc.filter(free) {
                self.use_rtx_ssrc(owner, EncodingKey { producer: key, index }, ssrc);
            }
        }
    }

    /// Forget the producer and stop its consumers.  The consumers stay until they are removed.
    pub fn remove_producer(&mut self, producer: Id) {
        let Ok(key) = self.producers.key(producer) else { return };
        for consumer in self.producers[key].consumers.clone() {
            self.stop(consumer);
            self.consumers[consumer].producer = None;
        }
        self.drop_stores(key);
        let Some(removed) = self.producers.remove(producer) else { return };
        self.traffic.repairs_before = self.traffic.repairs_before.plus(removed.repair_counts());
        let owner = &mut self.transports[removed.transport];
        owner.producers.retain(|&one| one != key);
        for (index, encoding) in removed.encodings.iter().enumerate() {
            if let Some(ssrc) = encoding.ssrc {
                owner.forget_ssrc(ssrc, EncodingKey { producer: key, index });
            }
            if let Some(ssrc) = encoding.rtx_ssrc {
                owner.forget_rtx_ssrc(ssrc, EncodingKey { producer: key, index });
            }
        }
        self.use_wide_ids(removed.transport);
        self.events.forget_producer(producer);
    }

    /// Drop the packets of a paused producer.  When it is resumed, its video consumers start at a key frame.
    pub fn set_producer_paused(&mut self, producer: Id, paused: bool) -> Result<(), Refused> {
        let key = self.producers.key(producer)?;
        self.producers[key].paused = paused;
        self.drop_stores(key);
        for consumer in self.producers[key].consumers.clone() {
            if paused {
                self.stop(consumer);
            }
            self.retarget(consumer);
        }
        Ok(())
    }

    /// Count a datagram that the slow path dropped.
    pub fn count_drop(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }
}
