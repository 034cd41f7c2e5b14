//! What happens to a datagram: told apart, opened, counted, and made anew for whoever takes it.

use super::Core;
use super::address::Path;
use super::burst::{Seal, Waiting, most_padding};
use super::demux::{Protocol, classify};
use super::drops::Drop;
use super::events::{Event, MAX_EVENTS};
use super::incoming::{EncodingKey, Packet, Producer};
use super::outgoing::Consumer;
use super::reports::spread;
use super::rtp::{Element, Header, be32, padding_size_untrusted, parse_header_untrusted};
use super::srtp::{MAX_DATAGRAM, MAX_PLAIN_RTP, RTCP_HEADER_SIZE};
use super::table::TransportKey;
use super::transport::Transport;

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
        let transport = &mut self.transports[key];
        let srtp = transport.srtp.as_mut().ok_or(Drop::NoKeys)?;
        if datagram.len() < RTCP_HEADER_SIZE {
            return Err(Drop::MalformedRtcp);
        }
        let plain = srtp.open_rtcp(datagram)?;
        transport.note_rtcp_sender(be32(datagram, 4));
        let transport = transport.id;
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
        if self.transports[key].srtp.is_none() {
            return Err(Drop::NoKeys);
        }
        // The header is in the clear, so whose packet it would be is known before it is opened.
        let header = parse_header_untrusted(datagram, elements).map_err(|_| Drop::MalformedRtp)?;
        let at = self.encoding_of(key, datagram, &header, elements).ok_or(Drop::UnknownStream)?;
        let srtp = self.transports[key].srtp.as_mut().ok_or(Drop::NoKeys)?;
        let size = srtp.open_rtp(datagram, &header)?;
        self.hear_media(key, now);
        if self.producers[at.producer].encodings[at.index].ssrc != Some(header.ssrc) {
            self.learn(at, header.ssrc);
        }
        self.note_flow(at, now);
        self.count_and_forward(at, &header, &datagram[..size], elements, now)
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

    /// Whose packet it is: by its SSRC, or by its extensions (RFC 8843 section 9.2, RFC 8852).
    fn encoding_of(
        &self,
        key: TransportKey,
        packet: &[u8],
        header: &Header,
        elements: &[Element],
    ) -> Option<EncodingKey> {
        let transport = &self.transports[key];
        transport.ssrcs.get(&header.ssrc).copied().or_else(|| {
            transport.producers.iter().find_map(|&producer| {
                let index = self.producers[producer].named_by(packet, header, elements)?;
                Some(EncodingKey { producer, index })
            })
        })
    }

    /// An authenticated packet told the encoding's SSRC.
    fn learn(&mut self, at: EncodingKey, ssrc: u32) {
        let producer = &self.producers[at.producer];
        let (id, transport, clock_rate) = (producer.id, producer.transport, producer.spec.clock_rate);
        let encoding = &producer.encodings[at.index];
        if let Some(before) = encoding.ssrc {
            let routes = encoding.routes.clone();
            self.transports[transport].forget_ssrc(before);
            for consumer in routes {
                self.restart(consumer);
            }
        }
        self.producers[at.producer].encodings[at.index].restart(ssrc, clock_rate);
        self.transports[transport].ssrcs.insert(ssrc, at);
        match self.learned.iter_mut().find(|(producer, index, _)| (*producer, *index) == (id, at.index)) {
            Some((_, _, known)) => *known = ssrc,
            None => self.learned.push((id, at.index, ssrc)),
        }
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
        let payload_size = plain.len() - header.size - padding;
        let producer = &mut self.producers[at.producer];
        let payload_type = producer.payload_type(header.payload_type);
        let encoding = &mut producer.encodings[at.index];
        let reception = &mut encoding.reception;
        let newest_before = if reception.packets > 0 { reception.highest_sequence } else { -1 };
        let extended = reception.arrived(header.sequence_number, header.timestamp, plain.len(), now);
        let reason = if payload_type.is_none() { Drop::UnknownPayloadType } else { Drop::PaddingOnly };
        let Some(payload_type) = payload_type.filter(|_| payload_size > 0) else {
            for &consumer in &encoding.routes {
                self.consumers[consumer].leave_out(extended);
            }
            return Err(reason);
        };
        let newest = extended > newest_before;
        let payload = &plain[header.size..];
        let inspected = producer.codec.map(|codec| encoding.inspect(codec, payload, header.timestamp, newest));
        if producer.paused {
            return Err(Drop::ProducerPaused);
        }
        producer.hear(plain, elements);
        self.serial += 1;
        let packet = Packet {
            plain,
            header: *header,
            elements,
            extended,
            newest,
            payload_type,
            payload_size,
            frame: inspected.map(|(frame, _)| frame),
            picture: inspected.map_or(0, |(_, picture)| picture),
            serial: self.serial,
            now,
        };
        self.forward(at, &packet);
        Ok(())
    }

    fn forward(&mut self, at: EncodingKey, packet: &Packet) {
        #[cfg(test)]
        assert!(!self.sabotaged, "sabotaged");
        self.raise_top_layer(at, packet);
        let waiting = !self.producers[at.producer].encodings[at.index].waiting.is_empty();
        if waiting && packet.newest && packet.frame.is_none_or(|frame| frame.key) {
            self.begin_waiting(at, packet);
        }
        let Self { producers, consumers, transports, drops, changed, dirty, hold, reports, .. } = self;
        let Producer { encodings, rewriters, spec, .. } = &mut producers[at.producer];
        // A frame ends with the marker; before it more is to come, for which the burst may wait.
        let due = if spec.video && !packet.header.marker { packet.now + *hold } else { packet.now };
        let clock_known = encodings[at.index].clock.is_some();
        for &key in &encodings[at.index].routes {
            let consumer = &mut consumers[key];
            let transport = &mut transports[consumer.transport];
            let layer = consumer.temporal();
            let start = transport.burst.bytes.len();
            let rewritten = consumer.rewrite(packet, &mut rewriters[consumer.rewriter], &mut transport.burst.bytes);
            if consumer.temporal() != layer && !std::mem::replace(&mut consumer.changed, true) {
                changed.push(key);
            }
            let Some(rewritten) = rewritten else { continue };
            let plain = transport.burst.bytes.len() - start;
            let trailer = match admit(consumer, transport, plain, rewritten.index) {
                Ok(trailer) => trailer,
                Err(reason) => {
                    transport.burst.bytes.truncate(start);
                    drops.count(reason);
                    continue;
                }
            };
            consumer.made(rewritten.timestamp, packet.now);
            if transport.burst.is_empty() {
                dirty.push(consumer.transport);
            }
            let padding = most_padding(transport.burst.bytes[start], plain);
            transport.burst.bytes.resize(start + plain + trailer, 0);
            let waiting = Waiting {
                consumer: key,
                size: (plain + trailer) as u16,
                plain: plain as u16,
                payload: packet.payload_size as u16,
                padding,
                seal: Some(Seal { header: rewritten.header as u16, ssrc: consumer.ssrc, index: rewritten.index }),
            };
            transport.burst.push(waiting, due);
            if clock_known && packet.now >= consumer.reporting.due {
                *reports += 1;
                consumer.reporting.due = packet.now + consumer.report_interval * spread(*reports);
                transport.burst.reporting.push(key);
            }
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

/// Whether a plain packet of this size may be sealed with this index; how many bytes its seal will have.
fn admit(consumer: &mut Consumer, transport: &Transport, plain: usize, index: u64) -> Result<usize, Drop> {
    let srtp = transport.srtp.as_ref().ok_or(Drop::SendFailed)?;
    if plain > MAX_PLAIN_RTP {
        return Err(Drop::Oversized);
    }
    if !consumer.sealed.accepts(index) {
        return Err(Drop::SendFailed);
    }
    consumer.sealed.add(index);
    Ok(srtp.rtp_trailer())
}
