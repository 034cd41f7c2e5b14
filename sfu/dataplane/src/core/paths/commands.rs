//! What the slow path asks for: each takes effect before it returns, or changes nothing.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::Drop;
use crate::core::interface::spec::{ConsumerSpec, Id, ProducerSpec, Refused};
use crate::core::receive::clock::SourceClock;
use crate::core::receive::producer::{EncodingKey, Producer, RewriterSlot, learnt_names};
use crate::core::send::consumer::Consumer;
use crate::core::srtp::{Profile, RTCP_HEADER_SIZE, Srtp};
use crate::core::table::ProducerKey;
use crate::core::transport::Transport;
use crate::core::wire::address::Path;
use crate::core::wire::extensions::{MidElement, Rewriter, RewriterKey};
use crate::core::wire::rtp::be32;

impl Core {
    /// A transport without keys and paths.
    pub fn add_transport(&mut self, transport: Id) -> Result<(), Refused> {
        if self.transports.contains(transport) {
            return Err(Refused::Invalid("this transport is there already"));
        }
        self.transports.insert(transport, Transport::new(transport));
        Ok(())
    }

    /// Media flows from now on, both ways.  For each direction the master key followed by the master salt.
    pub fn set_keys(&mut self, transport: Id, profile: Profile, receive: &[u8], send: &[u8]) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        let transport = &mut self.transports[key];
        if transport.srtp.is_some() {
            return Err(Refused::Invalid("this transport has its keys"));
        }
        let srtp = Srtp::new(profile, receive, send);
        transport.srtp = Some(srtp.ok_or(Refused::Invalid("keys and salts have not the sizes of their profile"))?);
        Ok(())
    }

    /// Take datagrams from here as this transport's.  The first path is also the one to send on.
    pub fn add_path(&mut self, transport: Id, path: Path) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if let Some(before) = self.by_path.insert(path, key).filter(|&before| before != key) {
            self.transports[before].lose_path(path);
            if !self.transports[before].ready() {
                for consumer in self.transports[before].consumers.clone() {
                    self.restart(consumer);
                }
            }
        }
        if let Some(oldest) = self.transports[key].learn_path(path) {
            self.by_path.remove(&oldest);
        }
        Ok(())
    }

    /// Send to here from now on.
    pub fn set_send_path(&mut self, transport: Id, path: Path) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].send_path = Some(path);
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
        for path in &self.transports[key].paths {
            self.by_path.remove(path);
        }
        self.transports.remove(transport);
        self.datagrams.retain(|event| !event.is_of(transport));
    }

    /// Refused where an SSRC, or the MID and RID, are another producer's of this transport, or nothing tells an encoding.
    pub fn add_producer(&mut self, transport: Id, producer: Id, spec: ProducerSpec) -> Result<(), Refused> {
        let owner = self.transports.key(transport)?;
        if self.producers.contains(producer) {
            return Err(Refused::Invalid("this producer is there already"));
        }
        let names = learnt_names(&spec)?;
        for &other in &self.transports[owner].producers {
            if !names.is_disjoint(&learnt_names(&self.producers[other].spec)?) {
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
        Ok(())
    }

    /// Removes its consumers' routes, too; the consumers stay until they are removed.
    pub fn remove_producer(&mut self, producer: Id) {
        let Ok(key) = self.producers.key(producer) else { return };
        for consumer in self.producers[key].consumers.clone() {
            self.stop(consumer);
            self.consumers[consumer].producer = None;
        }
        let Some(removed) = self.producers.remove(producer) else { return };
        let owner = &mut self.transports[removed.transport];
        owner.producers.retain(|&one| one != key);
        for (index, encoding) in removed.encodings.iter().enumerate() {
            if let Some(ssrc) = encoding.ssrc {
                owner.forget_ssrc(ssrc, EncodingKey { producer: key, index });
            }
        }
        self.learned.retain(|(learned, _, _)| *learned != producer);
        self.flowing.retain(|(flowing, _)| *flowing != producer);
    }

    /// A paused producer's packets are dropped.  Its video consumers start again at a key frame.
    pub fn set_producer_paused(&mut self, producer: Id, paused: bool) -> Result<(), Refused> {
        let key = self.producers.key(producer)?;
        self.producers[key].paused = paused;
        for consumer in self.producers[key].consumers.clone() {
            if paused {
                self.stop(consumer);
            }
            self.aim(consumer);
        }
        Ok(())
    }

    /// A report of the encoding's sender: receivers are told its clock, and switch between encodings by it.
    pub fn set_source_clock(&mut self, producer: Id, encoding: usize, clock: SourceClock) -> Result<(), Refused> {
        let key = self.producers.key(producer)?;
        let encoding = self.producers[key].encodings.get_mut(encoding).ok_or(NO_ENCODING)?;
        encoding.clock.report(clock);
        Ok(())
    }

    /// Refused for an encoding that the producer has not, and for an SSRC that this transport ever sent with before.
    ///
    /// `first_sequence` is from 1 to 0x7FFF (RFC 3711 section 3.3.1): low enough that losing the first packets cannot
    /// hide a wrap.
    pub fn add_consumer(
        &mut self,
        transport: Id,
        consumer: Id,
        producer: Id,
        spec: &ConsumerSpec,
        first_sequence: u16,
    ) -> Result<(), Refused> {
        let (owner, source) = (self.transports.key(transport)?, self.producers.key(producer)?);
        if self.consumers.contains(consumer) {
            return Err(Refused::Invalid("this consumer is there already"));
        }
        if self.transports[owner].used(spec.ssrc) {
            return Err(Refused::Invalid("this SSRC was used on this transport before"));
        }
        self.check_encoding(source, spec.encoding)?;
        let mid = match (&spec.mid, spec.mid_id) {
            (Some(mid), Some(id)) => {
                Some(MidElement::new(id, mid.as_bytes()).ok_or(Refused::Invalid("a MID has at most 255 bytes"))?)
            }
            _ => None,
        };
        let rewriter = rewriter_for(&mut self.producers[source], spec, mid.as_ref());
        let added = Consumer::new(consumer, owner, source, spec, rewriter, mid, first_sequence);
        let key = self.consumers.insert(consumer, added);
        self.transports[owner].use_ssrc(spec.ssrc, key);
        self.transports[owner].consumers.push(key);
        self.producers[source].consumers.push(key);
        self.aim(key);
        Ok(())
    }

    /// Nothing of it leaves any more, not even what waits in a burst.
    pub fn remove_consumer(&mut self, consumer: Id) {
        let Ok(key) = self.consumers.key(consumer) else { return };
        self.stop(key);
        let Some(removed) = self.consumers.remove(consumer) else { return };
        let owner = &mut self.transports[removed.transport];
        owner.consumers.retain(|&one| one != key);
        owner.spend_ssrc(removed.ssrc);
        if let Some(producer) = removed.producer {
            let producer = &mut self.producers[producer];
            producer.consumers.retain(|&one| one != key);
            producer.rewriters[removed.rewriter].users -= 1;
            if producer.rewriters[removed.rewriter].users == 0 {
                producer.rewriters.remove(removed.rewriter);
            }
        }
    }

    /// A video consumer that is resumed starts at the next key frame; sequence numbers go on without a gap.
    pub fn set_consumer_paused(&mut self, consumer: Id, paused: bool) -> Result<(), Refused> {
        let key = self.consumers.key(consumer)?;
        self.consumers[key].paused = paused;
        if paused {
            self.stop(key);
        }
        self.aim(key);
        Ok(())
    }

    /// The target: forward this encoding, and of its temporal layers those up to `temporal` (`None`: all).
    pub fn set_layers(&mut self, consumer: Id, encoding: Option<usize>, temporal: Option<u8>) -> Result<(), Refused> {
        let key = self.consumers.key(consumer)?;
        if let Some(producer) = self.consumers[key].producer {
            self.check_encoding(producer, encoding)?;
        }
        self.consumers[key].target = encoding;
        self.consumers[key].aim_at_temporal(temporal);
        if encoding.is_none() {
            self.stop(key);
        }
        self.aim(key);
        Ok(())
    }

    /// Seal a compound packet in place; where to send it.
    ///
    /// `None` without keys and a path, in the name of a consumer (its SSRC comes first) that was removed, and for what
    /// is too long, which is counted.
    pub fn seal_rtcp(&mut self, transport: Id, packet: &mut Vec<u8>) -> Result<Option<Path>, Refused> {
        let key = self.transports.key(transport)?;
        let owner = &mut self.transports[key];
        if packet.len() < RTCP_HEADER_SIZE || owner.spent(be32(packet, 4)) {
            return Ok(None);
        }
        let (Some(srtp), Some(path)) = (&mut owner.srtp, owner.send_path) else { return Ok(None) };
        if let Err(reason) = srtp.seal_rtcp(packet) {
            self.drops.count(reason);
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// For what only the slow path can tell.
    pub fn count_drop(&mut self, reason: Drop) {
        self.drops.count(reason);
    }

    fn check_encoding(&self, producer: ProducerKey, encoding: Option<usize>) -> Result<(), Refused> {
        match encoding {
            Some(index) if index >= self.producers[producer].encodings.len() => Err(NO_ENCODING),
            _ => Ok(()),
        }
    }
}

const NO_ENCODING: Refused = Refused::Invalid("the producer has no such encoding");

/// The rewriter for this consumer, shared with the producer's other consumers that take the same.
fn rewriter_for(producer: &mut Producer, spec: &ConsumerSpec, mid: Option<&MidElement>) -> RewriterSlot {
    let source = &producer.spec;
    let taken = |&(client, router): &(u8, u8)| {
        let own = Some(client) == source.mid_id || Some(client) == source.rid_id;
        let shadowed = mid.is_some() && Some(router) == spec.mid_id;
        spec.extension_ids.contains(&router) && !own && !shadowed
    };
    let ids = source.extension_ids.iter().copied().filter(taken).collect();
    let key = RewriterKey::new(ids, spec.mid_id, mid);
    let shared = producer.rewriters.iter().find(|(_, rewriter)| rewriter.serves(&key)).map(|(slot, _)| slot);
    let slot = shared.unwrap_or_else(|| producer.rewriters.insert(Rewriter::new(key, mid.cloned())));
    producer.rewriters[slot].users += 1;
    slot
}
