//! Finds the encoding of an incoming packet, and learns the SSRC of an encoding.

use crate::core::engine::Core;
use crate::core::keys::{EncodingKey, TransportKey};
use crate::core::wire::rtp::{Element, Header};

impl Core {
    /// The encoding of a packet (RFC 8843 section 9.2, RFC 8852).  The SSRC decides, unless MID and RID name another
    /// one.
    ///
    /// `None` for a packet that belongs to no encoding.  A sender may change SSRCs, but not often: each change costs
    /// every receiver a key frame.
    pub(in crate::core) fn encoding_of(
        &mut self,
        key: TransportKey,
        plain: &[u8],
        header: &Header,
        elements: &[Element],
        now: f64,
    ) -> Option<EncodingKey> {
        let transport = &self.transports[key];
        let known = transport.ssrcs.get(&header.ssrc).copied();
        // Without a MID, or with the MID of the producer that has this SSRC, the SSRC counts.
        if known.is_some_and(|at| self.producers[at.producer].claimed_by(plain, elements) != Some(false)) {
            return known;
        }
        let named = transport.producers.iter().find_map(|&producer| {
            let owner = &self.producers[producer];
            let index = if owner.knows(header.payload_type) { owner.named_by(plain, elements)? } else { return None };
            Some(EncodingKey { producer, index })
        });
        let Some(at) = named else { return known };
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        // To take another encoding's SSRC counts as a change too: that encoding stops until it has an SSRC again.
        match encoding.ssrc.or(known.map(|_| header.ssrc)) {
            Some(before) if !encoding.ssrc_changes.allow(before, header.ssrc, now) => None,
            _ => named,
        }
    }

    /// The encoding whose packets this one repeats (RFC 4588): by MID and repaired RID (RFC 8852), or by SSRC.
    ///
    /// Call it for an authentic packet that is no media of an encoding.  An SSRC that MID and RID name belongs to that
    /// encoding from now on.  Changes are limited as for media.
    pub(in crate::core) fn repaired_encoding_of(
        &mut self,
        key: TransportKey,
        plain: &[u8],
        header: &Header,
        elements: &[Element],
        now: f64,
    ) -> Option<EncodingKey> {
        let transport = &self.transports[key];
        if transport.ssrcs.contains_key(&header.ssrc) {
            return None;
        }
        let known = transport.rtx_ssrcs.get(&header.ssrc).copied();
        if known.is_some_and(|at| self.producers[at.producer].claimed_by(plain, elements) != Some(false)) {
            return known;
        }
        let named = transport.producers.iter().find_map(|&producer| {
            let owner = &self.producers[producer];
            owner.repeated_payload_type(header.payload_type)?;
            Some(EncodingKey { producer, index: owner.named_by_repair(plain, elements)? })
        });
        let Some(at) = named else { return known };
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        match encoding.rtx_ssrc.or(known.map(|_| header.ssrc)) {
            Some(before) if !encoding.rtx_ssrc_changes.allow(before, header.ssrc, now) => return None,
            _ => self.use_rtx_ssrc(key, at, header.ssrc),
        }
        named
    }

    /// Retransmissions for this encoding come with this SSRC, which is no encoding's own.
    pub(in crate::core) fn use_rtx_ssrc(&mut self, key: TransportKey, at: EncodingKey, ssrc: u32) {
        self.drop_rtx_ssrc(at);
        if let Some(other) = self.transports[key].rtx_ssrcs.insert(ssrc, at) {
            self.producers[other.producer].encodings[other.index].rtx_ssrc = None;
        }
        self.producers[at.producer].encodings[at.index].rtx_ssrc = Some(ssrc);
    }

    /// Forget the SSRC of the encoding's retransmissions.
    fn drop_rtx_ssrc(&mut self, at: EncodingKey) {
        let producer = &mut self.producers[at.producer];
        if let Some(ssrc) = producer.encodings[at.index].rtx_ssrc.take() {
            self.transports[producer.transport].forget_rtx_ssrc(ssrc, at);
        }
    }

    /// The media of an encoding has this SSRC, so it no longer means retransmissions.
    pub(in crate::core) fn take_from_rtx(&mut self, key: TransportKey, ssrc: u32) {
        if let Some(&at) = self.transports[key].rtx_ssrcs.get(&ssrc) {
            self.drop_rtx_ssrc(at);
        }
    }

    /// Give the encoding the SSRC that an authentic packet of it carries.
    pub(in crate::core) fn learn_ssrc(&mut self, at: EncodingKey, ssrc: u32) {
        let (id, transport) = (self.producers[at.producer].id, self.producers[at.producer].transport);
        if let Some(before) = self.producers[at.producer].encodings[at.index].ssrc {
            self.transports[transport].forget_ssrc(before, at);
            // Its retransmissions repeat the packets of the SSRC before.
            self.drop_rtx_ssrc(at);
        }
        self.take_from_rtx(transport, ssrc);
        self.restart_encoding(at, Some(ssrc));
        if let Some(other) = self.transports[transport].ssrcs.insert(ssrc, at) {
            self.drop_rtx_ssrc(other);
            self.restart_encoding(other, None);
        }
        self.events.learned(id, at.index, ssrc);
    }

    /// Begin the encoding anew under another SSRC, or under one that is not known yet.
    fn restart_encoding(&mut self, at: EncodingKey, ssrc: Option<u32>) {
        for consumer in self.producers[at.producer].encodings[at.index].routes.clone() {
            self.restart(consumer);
        }
        self.drop_store(at);
        let producer = &mut self.producers[at.producer];
        let encoding = &mut producer.encodings[at.index];
        self.traffic.repairs_before = self.traffic.repairs_before.plus(encoding.missing.counts);
        encoding.restart(ssrc, producer.spec.clock_rate);
    }
}
