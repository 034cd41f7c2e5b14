//! The way of a datagram: the core classifies, opens, counts and forwards it.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::{EncodingKey, TransportKey};
use crate::core::receive::packet::{Opened, Packet, Place};
use crate::core::receive::producer::Unpacked;
use crate::core::srtp::MAX_DATAGRAM;
use crate::core::transport::Transport;
use crate::core::transport::media_budget::Admission;
use crate::core::wire::address::Path;
use crate::core::wire::demux::{Protocol, classify};
use crate::core::wire::rtp::{Element, Malformed, parse_header_untrusted};

impl Core {
    /// Take in one datagram, and open it in place.  No content makes the core panic.
    ///
    /// Its copies wait for [`Core::flush`].  `now` is in seconds.
    pub fn receive(&mut self, datagram: &mut [u8], path: Path, now: f64) {
        self.receive_arrived(datagram, path, now, now);
    }

    /// Take in a datagram like [`Core::receive`], if it arrived before `now`.  Both times are in seconds.
    ///
    /// Only feedback to the sender looks at `arrived`.  The sender would take our own delay for that of a crowded path.
    pub fn receive_arrived(&mut self, datagram: &mut [u8], path: Path, arrived: f64, now: f64) {
        self.traffic.packets_in += 1;
        self.traffic.bytes_in += datagram.len() as u64;
        if let Err(reason) = self.receive_untrusted(datagram, path, arrived, now) {
            self.drops.count(reason);
        }
    }

    fn receive_untrusted(&mut self, datagram: &mut [u8], path: Path, arrived: f64, now: f64) -> Result<(), DropReason> {
        if datagram.is_empty() {
            return Err(DropReason::Empty);
        }
        if datagram.len() > MAX_DATAGRAM {
            return Err(DropReason::Oversized);
        }
        let protocol = classify(datagram);
        let known = self.by_path.get(&path).copied();
        match (protocol, known) {
            (Protocol::Stun, _) => self.receive_stun_untrusted(known, datagram, path, now),
            (Protocol::Unknown, _) => Err(DropReason::UnknownProtocol),
            (_, None) => Err(DropReason::UnknownAddress),
            (Protocol::Dtls, Some(key)) => {
                let transport = &mut self.transports[key];
                transport.limits.dtls.take(now).then_some(()).ok_or(DropReason::TooMuchDtls)?;
                transport.paths.on_received(path, datagram.len());
                self.events.push_dtls(transport.id, datagram)
            }
            (_, Some(key)) => {
                let size = datagram.len();
                match self.transports[key].budget.take(size, &self.media_limits, now) {
                    Admission::Within => {}
                    Admission::Beyond => return Err(DropReason::TooMuchMedia),
                    Admission::Sample(count) => {
                        return self.receive_sample_untrusted((key, path), protocol, datagram, count, now);
                    }
                }
                self.receive_media_untrusted((key, path), protocol, datagram, arrived, now)
            }
        }
    }

    /// Open RTP or RTCP that is within its transport's budget.
    pub(super) fn receive_media_untrusted(
        &mut self,
        (key, path): (TransportKey, Path),
        protocol: Protocol,
        datagram: &mut [u8],
        arrived: f64,
        now: f64,
    ) -> Result<(), DropReason> {
        if protocol == Protocol::Rtcp {
            return self.receive_rtcp_untrusted(key, datagram, path, now);
        }
        let mut elements = std::mem::take(&mut self.scratch.elements);
        let received = self.receive_rtp_untrusted((key, path), datagram, &mut elements, arrived, now);
        self.scratch.elements = elements;
        received
    }

    fn receive_rtp_untrusted(
        &mut self,
        (key, path): (TransportKey, Path),
        datagram: &mut [u8],
        elements: &mut Vec<Element>,
        arrived: f64,
        now: f64,
    ) -> Result<(), DropReason> {
        let Transport { srtp, ssrcs, rtx_ssrcs, .. } = &mut self.transports[key];
        let srtp = srtp.as_mut().ok_or(DropReason::NoKeys)?;
        let header = parse_header_untrusted(datagram, elements).map_err(|_| DropReason::MalformedRtp)?;
        // Open it even if no producer takes the stream yet.  Srtp must follow the rollover counter from the first
        // packet on, or it could not open the stream later.
        let wanted = |ssrc| ssrcs.contains_key(&ssrc) || rtx_ssrcs.contains_key(&ssrc);
        let size = srtp.open_rtp(datagram, &header, wanted)?;
        self.on_media(key, path, datagram.len(), now);
        let plain = &mut datagram[..size];
        self.note_arrival(key, plain, header.ssrc, elements, arrived);
        let Some(at) = self.encoding_of(key, plain, &header, elements, now) else {
            let repaired = self.repaired_encoding_of(key, plain, &header, elements, now);
            let at = repaired.ok_or(DropReason::UnknownStream)?;
            return self.take_retransmission_untrusted(at, plain, &header, elements, now);
        };
        if self.producers[at.producer].encodings[at.index].ssrc != Some(header.ssrc) {
            self.learn_ssrc(at, header.ssrc);
        }
        self.report_flow(at, now);
        let packet = Opened::split_untrusted(plain, &header, elements, now).map_err(|_| DropReason::MalformedRtp)?;
        self.take_packet(at, &packet)
    }

    /// Tell the slow path when a video encoding begins to flow: a consumer may wait for its key frame.
    fn report_flow(&mut self, at: EncodingKey, now: f64) {
        let producer = &self.producers[at.producer];
        if producer.spec.video && producer.encodings[at.index].stats.idle(now) {
            self.events.flows(producer.id, at.index);
        }
    }

    /// Read the packet's frame, and forward it.
    ///
    /// A packet that no consumer may get (`refusal`) goes the same way.  Each consumer must leave its number out, or
    /// the receivers would take the packet for lost.
    pub(super) fn forward_opened(
        &mut self,
        at: EncodingKey,
        opened: &Opened<'_>,
        place: Place,
    ) -> Result<(), DropReason> {
        let Opened { plain, header, elements, body, padding, now } = *opened;
        let producer = &mut self.producers[at.producer];
        let unpacked = producer.unpack(header.payload_type, body);
        let refused = refusal(&unpacked);
        let (payload_type, payload) = unpacked.unwrap_or((None, body));
        let descriptor = producer.descriptor(plain, elements);
        let encoding = &mut producer.encodings[at.index];
        let newest = place.newest();
        let codec = producer.codec.filter(|_| refused.is_none());
        let inspected = codec.map(|codec| encoding.inspect(codec, payload, descriptor, header.timestamp, place));
        if refused.is_none() {
            let frame = inspected.map(|inspected| inspected.frame).unwrap_or_default();
            encoding.layers.count(frame.layer, plain.len(), header.marker || frame.ends);
        }
        if newest && refused.is_none() && encoding.clock.follow(header.timestamp, place.pause, now) {
            // The clock was moved, so the last sender reports are wrong.  Report again soon.
            for &consumer in &encoding.routes {
                self.consumers[consumer].reports.hurry(now);
            }
        }
        if producer.paused {
            return Err(refused.unwrap_or(DropReason::ProducerPaused));
        }
        if refused.is_none() {
            producer.on_audio_level(plain, elements);
        }
        if producer.muted {
            return Err(refused.unwrap_or(DropReason::ProducerMuted));
        }
        self.serial += 1;
        let packet = Packet {
            plain,
            payload,
            padding,
            header,
            elements,
            extended: place.number,
            newest,
            payload_type: payload_type.unwrap_or(producer.first_payload_type),
            left_out: refused.is_some(),
            frame: inspected.map(|inspected| inspected.frame),
            picture: inspected.map_or(0, |inspected| inspected.picture),
            serial: self.serial,
            now,
        };
        if inspected.is_some_and(|inspected| inspected.new_layers) {
            self.report_layers(at);
        }
        if inspected.is_some_and(|inspected| inspected.late_sets) {
            self.forward_late_sets(at, &packet);
        } else {
            self.forward(at, &packet);
        }
        refused.map_or(Ok(()), Err)
    }
}

/// Why no consumer may get this packet.
fn refusal(unpacked: &Result<Unpacked<'_>, Malformed>) -> Option<DropReason> {
    match unpacked {
        Err(_) => Some(DropReason::MalformedRtp),
        Ok((_, [])) => Some(DropReason::PaddingOnly),
        Ok((None, _)) => Some(DropReason::UnknownPayloadType),
        Ok(_) => None,
    }
}
