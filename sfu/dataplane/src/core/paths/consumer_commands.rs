//! Commands about consumers.  Each takes effect before it returns, or changes nothing.

use super::commands::NO_ENCODING;
use crate::core::engine::Core;
use crate::core::interface::spec::{ConsumerSpec, Id, Refused};
use crate::core::keys::{ProducerKey, RewriterKey, TransportKey};
use crate::core::receive::producer::Producer;
use crate::core::send::consumer::Consumer;
use crate::core::transport::Sending;
use crate::core::wire::extensions::{ExtensionRewriter, ExtensionSelection, MidElement};

impl Core {
    /// Send a producer's stream to a transport.
    ///
    /// Refused for an encoding that the producer does not have, for an SSRC that this transport ever sent with, and for
    /// two equal SSRCs.
    ///
    /// `first_sequence` is from 1 to 0x7FFF (RFC 3711 section 3.3.1).  A higher one could wrap while the first packets
    /// are lost, and the receiver would never learn of the rollover.
    pub fn add_consumer(
        &mut self,
        transport: Id,
        consumer: Id,
        producer: Id,
        spec: &ConsumerSpec<'_>,
        first_sequence: u16,
    ) -> Result<(), Refused> {
        let (owner, source) = (self.transports.key(transport)?, self.producers.key(producer)?);
        if self.consumers.contains(consumer) {
            return Err(Refused::Invalid("this consumer exists already"));
        }
        self.check_ssrcs(owner, spec)?;
        self.check_encoding(source, spec.encoding)?;
        let mid = match (spec.mid, spec.format.mid_id) {
            (Some(mid), Some(id)) => {
                Some(MidElement::new(id, mid.as_bytes()).ok_or(Refused::Invalid("a MID has at most 255 bytes"))?)
            }
            _ => None,
        };
        let rewriter = rewriter_for(&mut self.producers[source], spec, mid.as_ref());
        let rtx_types = rtx_types(&self.producers[source], spec);
        let added = Consumer::new(consumer, owner, source, spec, rewriter, mid, rtx_types, first_sequence);
        self.producers[source].resending += usize::from(added.resends());
        let key = self.consumers.insert(consumer, added);
        self.transports[owner].use_ssrc(spec.ssrc, key, Sending::Media);
        if let Some(ssrc) = spec.rtx_ssrc {
            self.transports[owner].use_ssrc(ssrc, key, Sending::Resends);
        }
        self.transports[owner].consumers.push(key);
        self.producers[source].consumers.push(key);
        self.retarget(key);
        Ok(())
    }

    /// Remove a consumer.  Not even its queued packets leave any more.
    pub fn remove_consumer(&mut self, consumer: Id) {
        let Ok(key) = self.consumers.key(consumer) else { return };
        self.stop(key);
        let Some(removed) = self.consumers.remove(consumer) else { return };
        let owner = &mut self.transports[removed.transport];
        owner.consumers.retain(|&one| one != key);
        owner.batch.end_repeats(key);
        owner.retire_ssrc(removed.ssrc);
        removed.rtx_ssrc.inspect(|&ssrc| owner.retire_ssrc(ssrc));
        if removed.key_frame_requested {
            self.events.forget_consumer(consumer);
        }
        if let Some(source) = removed.producer {
            let producer = &mut self.producers[source];
            producer.consumers.retain(|&one| one != key);
            producer.rewriters[removed.rewriter].users -= 1;
            if producer.rewriters[removed.rewriter].users == 0 {
                producer.rewriters.remove(removed.rewriter);
            }
            producer.resending -= usize::from(removed.resends());
            if producer.resending == 0 {
                self.drop_stores(source);
            }
        }
    }

    /// Pause or resume a consumer.  A resumed video consumer starts at the next key frame.
    pub fn set_consumer_paused(&mut self, consumer: Id, paused: bool) -> Result<(), Refused> {
        let key = self.consumers.key(consumer)?;
        self.consumers[key].paused = paused;
        if paused {
            self.stop(key);
        }
        self.retarget(key);
        Ok(())
    }

    /// Set the target: this encoding (`None`: nothing) with its temporal layers up to `temporal` and the spatial layers
    /// inside it up to `spatial` (`None`: all).
    pub fn set_layers(
        &mut self,
        consumer: Id,
        encoding: Option<usize>,
        temporal: Option<u8>,
        spatial: Option<u8>,
    ) -> Result<(), Refused> {
        let key = self.consumers.key(consumer)?;
        if let Some(producer) = self.consumers[key].producer {
            self.check_encoding(producer, encoding)?;
        }
        self.consumers[key].target = encoding;
        self.consumers[key].layers.set_target(spatial, temporal);
        if encoding.is_none() {
            self.stop(key);
        }
        self.retarget(key);
        Ok(())
    }

    fn check_ssrcs(&self, owner: TransportKey, spec: &ConsumerSpec<'_>) -> Result<(), Refused> {
        if [Some(spec.ssrc), spec.rtx_ssrc].into_iter().flatten().any(|ssrc| self.transports[owner].has_sent_with(ssrc))
        {
            return Err(Refused::Invalid("this SSRC was used on this transport before"));
        }
        if spec.rtx_ssrc == Some(spec.ssrc) {
            return Err(Refused::Invalid("retransmissions need an SSRC of their own"));
        }
        Ok(())
    }

    fn check_encoding(&self, producer: ProducerKey, encoding: Option<usize>) -> Result<(), Refused> {
        match encoding {
            Some(index) if index >= self.producers[producer].encodings.len() => Err(NO_ENCODING),
            _ => Ok(()),
        }
    }
}

/// The rewriter for this consumer, which all consumers of the producer with the same selection share.
///
/// The producer's own MID, RIDs and transport-wide numbers are left out: they belong to its transport.  An extension
/// whose id the consumer's MID or transport-wide numbers have is left out too.
fn rewriter_for(producer: &mut Producer, spec: &ConsumerSpec<'_>, mid: Option<&MidElement>) -> RewriterKey {
    let source = &producer.spec;
    let taken = |&(client, router): &(u8, u8)| {
        let own = [source.mid_id, source.rid_id, source.repaired_rid_id, source.wide_id].contains(&Some(client));
        let shadowed = mid.is_some() && Some(router) == spec.format.mid_id || Some(router) == spec.format.wide_id;
        spec.format.extension_ids.contains(&router) && !own && !shadowed
    };
    let ids = source.extension_ids.0.iter().copied().filter(taken).collect();
    let selection = ExtensionSelection::new(ids, spec.format.wide_id, spec.format.mid_id, mid);
    let shared = producer.rewriters.iter().find(|(_, rewriter)| rewriter.serves(&selection)).map(|(slot, _)| slot);
    let slot = shared.unwrap_or_else(|| producer.rewriters.insert(ExtensionRewriter::new(selection, mid.cloned())));
    producer.rewriters[slot].users += 1;
    slot
}

/// The router's payload types that the producer may send, each with the receiver's for its retransmissions.
fn rtx_types(producer: &Producer, spec: &ConsumerSpec<'_>) -> Box<[(u8, u8)]> {
    let sent = |media: u8| producer.spec.payload_types.0.iter().any(|&(_, router)| router & 0x7F == media);
    let pairs = spec.format.rtx_payload_types.0.iter().map(|&(media, again)| (media & 0x7F, again & 0x7F));
    pairs.filter(|&(media, _)| spec.rtx_ssrc.is_some() && sent(media)).collect()
}
