//! What happens to a datagram: told apart, opened, counted, and made anew for whoever takes it.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::Drop;
use crate::core::interface::event::{Event, MAX_EVENTS};
use crate::core::receive::producer::{EncodingKey, Packet, Unpacked};
use crate::core::srtp::{MAX_DATAGRAM, RTCP_HEADER_SIZE};
use crate::core::table::TransportKey;
use crate::core::transport::Transport;
use crate::core::wire::address::Path;
use crate::core::wire::demux::{Protocol, classify};
use crate::core::wire::rtp::{Element, Header, Malformed, padding_size_untrusted, parse_header_untrusted};

impl Core {
    /// Work off one datagram, which is opened in place.  Whatever it holds, nothing panics.
    ///
    /// What is to leave waits for [`Core::flush`].  `now` in seconds.
    pub fn receive(&mut self, datagram: &mut [u8], path: Path, now: f64) {
        self.packets_in += 1;
        self.bytes_in += datagram.len() as u64;
        if let Err(reason) = self.receive_untrusted(datagram, path, now) {
            self.drops.count(reason);
        }
    }

    fn receive_untrusted(&mut self, datagram: &mut [u8], path: Path, now: f64) -> Result<(), Drop> {
        if datagram.is_empty() {
            return Err(Drop::Empty);
        }
        if datagram.len() > MAX_DATAGRAM {
            return Err(Drop::Oversized);
        }
        let protocol = classify(datagram);
        let known = self.by_path.get(&path).copied();
        let transport = known.map(|key| self.transports[key].id);
        match (protocol, known) {
            (Protocol::Stun, Some(key)) if self.answer_untrusted(key, datagram, path, now) => Ok(()),
            (Protocol::Stun, _) => self.hand_up(Event::Slow { path, transport, data: datagram.to_vec() }),
            (Protocol::Unknown, _) => Err(Drop::UnknownProtocol),
            (_, None) => Err(Drop::UnknownAddress),
            (Protocol::Dtls, _) => self.hand_up(Event::Slow { path, transport, data: datagram.to_vec() }),
            (Protocol::Rtcp, Some(key)) => self.receive_rtcp_untrusted(key, datagram, now),
            (Protocol::Rtp, Some(key)) => {
                let mut elements = std::mem::take(&mut self.elements);
                let received = self.receive_rtp_untrusted(key, datagram, &mut elements, now);
                self.elements = elements;
                received
            }
        }
    }

    fn hand_up(&mut self, event: Event) -> Result<(), Drop> {
        if self.datagrams.len() >= MAX_EVENTS {
            return Err(Drop::EventsFull);
        }
        self.datagrams.push_back(event);
        Ok(())
    }

    fn receive_rtcp_untrusted(&mut self, key: TransportKey, datagram: &mut [u8], now: f64) -> Result<(), Drop> {
        let Transport { id: transport, srtp, ssrcs, .. } = &mut self.transports[key];
        let (transport, srtp) = (*transport, srtp.as_mut().ok_or(Drop::NoKeys)?);
        if datagram.len() < RTCP_HEADER_SIZE {
            return Err(Drop::MalformedRtcp);
        }
        let plain = srtp.open_rtcp(datagram, |ssrc| ssrcs.contains_key(&ssrc))?;
        self.hear_media(key, now);
        if self.hear_reports_untrusted(key, &datagram[..plain], now) {
            return Ok(());
        }
        self.hand_up(Event::Rtcp { transport, packet: datagram[..plain].to_vec(), at: now, size: datagram.len() })
    }

    fn receive_rtp_untrusted(
        &mut self,
        key: TransportKey,
        datagram: &mut [u8],
        elements: &mut Vec<Element>,
        now: f64,
    ) -> Result<(), Drop> {
        let Transport { srtp, ssrcs, .. } = &mut self.transports[key];
        let srtp = srtp.as_mut().ok_or(Drop::NoKeys)?;
        let header = parse_header_untrusted(datagram, elements).map_err(|_| Drop::MalformedRtp)?;
        // Opened even where nobody takes the stream (yet): its rollover counter is followed all the same.
        let size = srtp.open_rtp(datagram, &header, |ssrc| ssrcs.contains_key(&ssrc))?;
        self.hear_media(key, now);
        let plain = &datagram[..size];
        let at = self.encoding_of(key, plain, &header, elements, now).ok_or(Drop::UnknownStream)?;
        if self.producers[at.producer].encodings[at.index].ssrc != Some(header.ssrc) {
            self.learn(at, header.ssrc);
        }
        self.note_flow(at, now);
        self.count_and_forward(at, &header, plain, elements, now)
    }

    /// Tell when a video encoding flows that did not: somebody may wait for its key frame, or for it.
    fn note_flow(&mut self, at: EncodingKey, now: f64) {
        let producer = &self.producers[at.producer];
        if producer.spec.video && producer.encodings[at.index].reception.idle(now) {
            let flowing = (producer.id, at.index);
            if !self.flowing.contains(&flowing) {
                self.flowing.push(flowing);
            }
        }
    }

    /// Whose packet it is: by its extensions, where they say so, or by its SSRC (RFC 8843 section 9.2, RFC 8852).
    ///
    /// An encoding that has an SSRC already, or finds its own at another, moves only so often.
    fn encoding_of(
        &mut self,
        key: TransportKey,
        plain: &[u8],
        header: &Header,
        elements: &[Element],
        now: f64,
    ) -> Option<EncodingKey> {
        let transport = &self.transports[key];
        let known = transport.ssrcs.get(&header.ssrc).copied();
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
        // To take another's SSRC is a move as well: the other encoding loses its receivers with it.
        match encoding.ssrc.or(known.map(|_| header.ssrc)) {
            Some(before) if !encoding.moves.spend(before, header.ssrc, now) => None,
            _ => named,
        }
    }

    /// An authenticated packet told the encoding's SSRC.
    fn learn(&mut self, at: EncodingKey, ssrc: u32) {
        let (id, transport) = (self.producers[at.producer].id, self.producers[at.producer].transport);
        if let Some(before) = self.producers[at.producer].encodings[at.index].ssrc {
            self.transports[transport].forget_ssrc(before, at);
        }
        self.restart_encoding(at, Some(ssrc));
        if let Some(other) = self.transports[transport].ssrcs.insert(ssrc, at) {
            self.restart_encoding(other, None);
        }
        match self.learned.iter_mut().find(|(producer, index, _)| (*producer, *index) == (id, at.index)) {
            Some((_, _, known)) => *known = ssrc,
            None => self.learned.push((id, at.index, ssrc)),
        }
    }

    /// It begins, or begins anew, under another SSRC, or under one that is not known yet.
    fn restart_encoding(&mut self, at: EncodingKey, ssrc: Option<u32>) {
        for consumer in self.producers[at.producer].encodings[at.index].routes.clone() {
            self.restart(consumer);
        }
        let clock_rate = self.producers[at.producer].spec.clock_rate;
        self.producers[at.producer].encodings[at.index].restart(ssrc, clock_rate);
    }

    fn count_and_forward(
        &mut self,
        at: EncodingKey,
        header: &Header,
        plain: &[u8],
        elements: &[Element],
        now: f64,
    ) -> Result<(), Drop> {
        let padding = padding_size_untrusted(plain, header).map_err(|_| Drop::MalformedRtp)?;
        let (body, padding) = plain[header.size..].split_at(plain.len() - padding - header.size);
        let producer = &mut self.producers[at.producer];
        let unpacked = producer.unpack(header.payload_type, body);
        let refused = refusal(&unpacked);
        let (payload_type, payload) = unpacked.unwrap_or((None, body));
        let encoding = &mut producer.encodings[at.index];
        let reception = &mut encoding.reception;
        let newest_before = if reception.packets > 0 { reception.highest_sequence } else { -1 };
        let pause = reception.last_at.map(|last_at| now - last_at);
        let extended = reception.arrived(header.sequence_number, header.timestamp, plain.len(), now);
        let newest = extended > newest_before;
        let codec = producer.codec.filter(|_| refused.is_none());
        let inspected = codec.map(|codec| encoding.inspect(codec, payload, header.timestamp, newest));
        if newest && refused.is_none() && encoding.clock.follow(header.timestamp, pause, now) {
            for &consumer in &encoding.routes {
                self.consumers[consumer].reporting.hurry(now);
            }
        }
        if producer.paused {
            return Err(refused.unwrap_or(Drop::ProducerPaused));
        }
        if refused.is_none() {
            producer.hear(plain, elements);
        }
        self.serial += 1;
        let packet = Packet {
            plain,
            payload,
            padding,
            header: *header,
            elements,
            extended,
            newest,
            payload_type: payload_type.unwrap_or(producer.first_payload_type),
            left_out: refused.is_some(),
            frame: inspected.map(|(frame, _)| frame),
            picture: inspected.map_or(0, |(_, picture)| picture),
            serial: self.serial,
            now,
        };
        self.forward(at, &packet);
        refused.map_or(Ok(()), Err)
    }

    fn forward(&mut self, at: EncodingKey, packet: &Packet) {
        #[cfg(test)]
        assert!(!self.sabotaged, "sabotaged");
        self.raise_top_layer(at, packet);
        let waiting = !self.producers[at.producer].encodings[at.index].waiting.is_empty();
        let begins = packet.newest && !packet.left_out && packet.frame.is_none_or(|frame| frame.key);
        if waiting && begins {
            self.begin_waiting(at, packet);
        }
        let (mut copies, producer) = self.copies(at, packet);
        for &key in &producer.encodings[at.index].routes {
            copies.put(key, packet, &mut producer.rewriters);
        }
    }

    fn raise_top_layer(&mut self, at: EncodingKey, packet: &Packet) {
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        let temporal = packet.frame.and_then(|frame| frame.temporal);
        if temporal <= encoding.top_temporal {
            return;
        }
        encoding.top_temporal = temporal;
        for place in 0..encoding.routes.len() {
            let consumer = self.producers[at.producer].encodings[at.index].routes[place];
            self.note_changed(consumer);
        }
    }
}

/// Why nobody is sent what was unpacked.
fn refusal(unpacked: &Result<Unpacked<'_>, Malformed>) -> Option<Drop> {
    match unpacked {
        Err(_) => Some(Drop::MalformedRtp),
        Ok((_, [])) => Some(Drop::PaddingOnly),
        Ok((None, _)) => Some(Drop::UnknownPayloadType),
        Ok(_) => None,
    }
}
