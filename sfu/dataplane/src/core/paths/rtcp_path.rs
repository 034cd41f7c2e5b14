//! What happens to RTCP: receiver reports are kept, everything else goes to the slow path; and sender reports are made.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::event::Event;
use crate::core::keys::TransportKey;
use crate::core::send::sender_report::{SenderInfo, write_sender_report};
use crate::core::srtp::RTCP_HEADER_SIZE;
use crate::core::transport::Transport;
use crate::core::wire::receiver_report::only_reports_untrusted;

impl Core {
    /// Open an SRTCP packet in place, and act on it.
    pub(in crate::core) fn receive_rtcp_untrusted(
        &mut self,
        key: TransportKey,
        datagram: &mut [u8],
        now: f64,
    ) -> Result<(), DropReason> {
        let Transport { id: transport, srtp, ssrcs, .. } = &mut self.transports[key];
        let (transport, srtp) = (*transport, srtp.as_mut().ok_or(DropReason::NoKeys)?);
        if datagram.len() < RTCP_HEADER_SIZE {
            return Err(DropReason::MalformedRtcp);
        }
        let plain = srtp.open_rtcp(datagram, |ssrc| ssrcs.contains_key(&ssrc))?;
        self.on_media(key, now);
        if self.take_receiver_reports_untrusted(key, &datagram[..plain], now) {
            return Ok(());
        }
        let packet = datagram[..plain].to_vec();
        self.events.push_datagram(Event::RtcpArrived { transport, packet, at: now }, datagram.len())
    }

    /// Keep what this transport's receiver reports.  Whether the slow path need not see the packet.
    fn take_receiver_reports_untrusted(&mut self, key: TransportKey, packet: &[u8], now: f64) -> bool {
        let Self { transports, consumers, .. } = self;
        let transport = &transports[key];
        only_reports_untrusted(packet, |block| {
            if let Some(consumer) = transport.sender_of(block.ssrc).and_then(|consumer| consumers.get_mut(consumer)) {
                consumer.reports.on_report_block(&block, now);
            }
        })
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
            write_sender_report(&info, &producer.spec.cname, &mut scratch.report);
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
