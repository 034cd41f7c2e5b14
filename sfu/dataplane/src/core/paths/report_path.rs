//! RTCP to publishers: receiver reports, and requests for key frames.

use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::engine::{Core, OwnDatagram};
use crate::core::interface::spec::{Id, Refused};
use crate::core::keys::TransportKey;
use crate::core::paths::commands::NO_ENCODING;
use crate::core::transport::ReportTimes;
use crate::core::wire::address::Path;
use crate::core::wire::rtcp::{FullIntraEntry, FullIntraRequest, PictureLoss, RtcpSource};

impl Core {
    /// Set our SSRC and name for receiver reports and for key frame requests.
    pub fn set_rtcp_source(&mut self, ssrc: u32, cname: &str) {
        self.rtcp_source = RtcpSource { ssrc, cname: cname.into() };
    }

    /// Send receiver reports to the client: the first at `first_at`, then every `interval`, both in seconds.
    pub fn start_reports(&mut self, transport: Id, first_at: f64, interval: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if interval <= 0.0 {
            return Err(Refused::Invalid("the interval of reports must be above zero"));
        }
        self.transports[key].report_times = Some(ReportTimes { interval, next: first_at });
        self.arm_receiver_reports(key);
        Ok(())
    }

    /// Arm the timer of the reports, unless the client has no producer.
    pub(in crate::core) fn arm_receiver_reports(&mut self, key: TransportKey) {
        let transport = &self.transports[key];
        if let Some(times) = transport.report_times.filter(|_| !transport.producers.is_empty()) {
            self.timers.arm(Timer::Transport(TransportTimer::ReceiverReport, key), times.next);
        }
    }

    /// The timer of the reports fired: report about every stream that has sent something.
    pub(in crate::core) fn send_receiver_reports(&mut self, key: TransportKey, now: f64) {
        let Some(times) = self.transports[key].report_times.as_mut() else { return };
        times.next = now + times.interval;
        self.arm_receiver_reports(key);
        let mut blocks = Vec::new();
        for &producer in &self.transports[key].producers {
            for encoding in &mut self.producers[producer].encodings {
                let block = encoding.ssrc.and_then(|ssrc| encoding.reporter.next_block(ssrc, &encoding.stats, now));
                blocks.extend(block);
            }
        }
        for compound in self.rtcp_source.receiver_reports(&blocks) {
            if let Some((path, datagram)) = self.seal_compound(key, compound) {
                self.own_datagrams.push(OwnDatagram { transport: key, path, datagram });
            }
        }
    }

    /// A sealed request to the publisher for a key frame, and the path to send it on.
    ///
    /// The request is a full intra request (RFC 5104) or a picture loss indication (RFC 4585).  `None` while the SSRC
    /// is unknown or nothing can be sent to the publisher.
    pub fn request_key_frame(
        &mut self,
        producer: Id,
        encoding: usize,
        full_intra: bool,
    ) -> Result<Option<(Path, Vec<u8>)>, Refused> {
        let key = self.producers.key(producer)?;
        let producer = &mut self.producers[key];
        let Some(media_ssrc) = producer.encodings.get(encoding).ok_or(NO_ENCODING)?.ssrc else { return Ok(None) };
        let sender_ssrc = self.rtcp_source.ssrc;
        let compound = self.rtcp_source.feedback(|out| {
            if full_intra {
                let entry = FullIntraEntry { ssrc: media_ssrc, sequence: producer.full_intra_sequence };
                producer.full_intra_sequence = producer.full_intra_sequence.wrapping_add(1);
                FullIntraRequest::write(sender_ssrc, &[entry], out);
            } else {
                PictureLoss { sender_ssrc, media_ssrc }.write(out);
            }
        });
        let transport = producer.transport;
        Ok(self.seal_compound(transport, compound))
    }

    /// Seal a compound packet.  `None` without keys and a path, and for a packet that is too long, which is counted.
    pub(super) fn seal_compound(&mut self, key: TransportKey, mut compound: Vec<u8>) -> Option<(Path, Vec<u8>)> {
        let transport = &mut self.transports[key];
        let (srtp, path) = (transport.srtp.as_mut()?, transport.paths.send_path()?);
        match srtp.seal_rtcp(&mut compound) {
            Ok(()) => Some((path, compound)),
            Err(reason) => {
                self.drops.count(reason);
                None
            }
        }
    }
}
