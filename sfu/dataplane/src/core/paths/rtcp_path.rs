//! RTCP: keep the clients' clocks and reports, tell the slow path of key frame requests, and make sender reports.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::TransportKey;
use crate::core::receive::clock::NtpMapping;
use crate::core::send::resend_limits::MAX_LOOK_UPS;
use crate::core::srtp::RTCP_HEADER_SIZE;
use crate::core::transport::Transport;
use crate::core::wire::address::Path;
use crate::core::wire::rtcp::{
    BadPacket, Nack, ReportBlock, RtcpPacket, SenderInfo, SourceDescription, read_untrusted,
};

impl Core {
    /// Open an SRTCP packet in place, and act on it.
    pub(in crate::core) fn receive_rtcp_untrusted(
        &mut self,
        key: TransportKey,
        datagram: &mut [u8],
        path: Path,
        now: f64,
    ) -> Result<(), DropReason> {
        let Transport { srtp, ssrcs, rtx_ssrcs, limits, .. } = &mut self.transports[key];
        let srtp = srtp.as_mut().ok_or(DropReason::NoKeys)?;
        limits.rtcp.take(now).then_some(()).ok_or(DropReason::TooMuchRtcp)?;
        if datagram.len() < RTCP_HEADER_SIZE {
            return Err(DropReason::MalformedRtcp);
        }
        let plain = srtp.open_rtcp(datagram, |ssrc| ssrcs.contains_key(&ssrc) || rtx_ssrcs.contains_key(&ssrc))?;
        self.on_media(key, path, datagram.len(), now);
        // A malformed part is counted, once for the whole compound packet.  The other parts take effect all the same.
        let mut malformed = false;
        let mut look_ups = MAX_LOOK_UPS;
        for packet in read_untrusted(&datagram[..plain]) {
            match packet {
                Ok(packet) => self.on_rtcp_packet(key, &packet, &mut look_ups, now),
                Err(BadPacket) => malformed = true,
            }
        }
        if malformed { Err(DropReason::MalformedRtcp) } else { Ok(()) }
    }

    /// Act on one part of a compound packet, whose NACKs may look up `look_ups` numbers more.
    fn on_rtcp_packet(&mut self, key: TransportKey, packet: &RtcpPacket<'_>, look_ups: &mut usize, now: f64) {
        match packet {
            RtcpPacket::SenderReport(report) => {
                self.on_sender_report(key, &report.info, now);
                report.blocks.iter().for_each(|block| self.on_report_block(key, &block, now));
            }
            RtcpPacket::ReceiverReport(report) => {
                report.blocks.iter().for_each(|block| self.on_report_block(key, &block, now));
            }
            RtcpPacket::PictureLoss(loss) => self.on_picture_loss(key, loss.media_ssrc, now),
            RtcpPacket::FullIntraRequest(request) => {
                request.entries.iter().for_each(|entry| self.on_picture_loss(key, entry.ssrc, now));
            }
            RtcpPacket::Nack(nack) => {
                self.note_losses(key, nack, now);
                self.on_nack(key, nack, look_ups, now);
            }
            RtcpPacket::TransportFeedback(feedback) => self.on_transport_feedback(key, feedback, now),
            RtcpPacket::MaxBitrate(estimate) => self.on_max_bitrate(key, estimate.bitrate, now),
            // The others have no effect yet.
            RtcpPacket::SourceDescription(_) | RtcpPacket::Goodbye(_) | RtcpPacket::Application(_) => {}
        }
    }

    /// A publisher reports its clocks.  They are passed on to receivers, and align timestamps at switches.
    fn on_sender_report(&mut self, key: TransportKey, info: &SenderInfo, now: f64) {
        let Some(&at) = self.transports[key].ssrcs.get(&info.ssrc) else { return };
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        encoding.reporter.on_sender_report(info, now);
        // A sender without a wall clock writes zero (RFC 3550 section 6.4.1).
        if info.ntp != 0 {
            encoding.clock.report(NtpMapping { ntp: info.ntp, timestamp: info.timestamp, at: now });
        }
    }

    /// A receiver reports the losses and the jitter of one of its consumers.
    fn on_report_block(&mut self, key: TransportKey, block: &ReportBlock, now: f64) {
        let transport = &mut self.transports[key];
        let (receiver, Some(key)) = (key, transport.sender_of(block.ssrc)) else { return };
        if let Some(consumer) = self.consumers.get_mut(key) {
            let fresh = consumer.reports.on_report_block(block, now);
            let highest = consumer.sealed.highest();
            let own = consumer.loss_reports.on_report_block(block, highest, consumer.packets);
            transport.audio_redundancy.on_report(own.share, own.lost, now);
            transport.round_trip = fresh.or(transport.round_trip);
            transport.reported.add(own, fresh);
            self.note_round_trip(key, now);
            self.note_receipt(receiver, block.last_report, key, now);
        }
    }

    /// A receiver asks for packets again.  If they were sent, its path loses packets, and its audio needs redundancy.
    ///
    /// A few of the numbers are enough to show that.  A number that never came to us was lost on the sender's path.
    fn note_losses(&mut self, key: TransportKey, nack: &Nack<'_>, now: f64) {
        let transport = &mut self.transports[key];
        let consumer = transport.sender_of(nack.media_ssrc).and_then(|consumer| self.consumers.get(consumer));
        let Some(sealed) = consumer.map(|consumer| &consumer.sealed) else { return };
        let newest = nack.numbers().take(8).filter(|&number| !sealed.accepts(sealed.guess(number))).last();
        if let Some(number) = newest {
            transport.audio_redundancy.on_nack((nack.media_ssrc, number), now);
        }
    }

    /// Put the sender reports that are due behind the media that waits to leave.
    ///
    /// A report is made when its batch leaves, not when it became due, so that it carries the time of sending.
    pub(in crate::core) fn add_sender_reports(&mut self, key: TransportKey, now: f64) {
        let Self { transports, consumers, producers, scratch, drops, .. } = self;
        let transport = &mut transports[key];
        let Some(srtp) = &mut transport.srtp else { return };
        for place in 0..transport.batch.reporting.len() {
            let key = transport.batch.reporting[place];
            let Some(consumer) = consumers.get_mut(key) else { continue };
            let Some(producer) = consumer.producer.and_then(|producer| producers.get(producer)) else { continue };
            let mapping = consumer.current.and_then(|current| producer.encodings[current].clock.mapping());
            let Some(mapping) = mapping else { continue };
            let (ntp, timestamp) = mapping.read(producer.spec.clock_rate, now);
            let info = SenderInfo {
                ssrc: consumer.ssrc,
                ntp,
                timestamp: consumer.timestamps.translate(timestamp),
                packets: consumer.packets as u32,
                octets: consumer.octets as u32,
            };
            scratch.report.clear();
            info.write(&[], &mut scratch.report);
            SourceDescription::write(info.ssrc, &producer.spec.cname, &mut scratch.report);
            match srtp.seal_rtcp(&mut scratch.report) {
                Ok(()) => {
                    consumer.reports.record_sent(ntp, now);
                    transport.batch.push_report(key, &scratch.report);
                }
                Err(reason) => drops.count(reason),
            }
        }
    }
}
