//! Transport-wide feedback: the core tells senders which of their packets arrived, and when.
//!
//! A sender estimates from it how much its path carries.  Everything counts that authenticates: audio, video,
//! retransmissions, and padding with which browsers probe, even under an SSRC that no producer has.  Otherwise the
//! sender would take the packet for lost.

use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::engine::{Core, OwnDatagram};
use crate::core::keys::TransportKey;
use crate::core::receive::arrival_log::ArrivalLog;
use crate::core::wire::rtp::Element;

impl Core {
    /// The producers of a transport have changed, and with them the ids of its transport-wide sequence numbers.
    pub(in crate::core) fn use_wide_ids(&mut self, key: TransportKey) {
        let Self { transports, producers, .. } = self;
        let transport = &mut transports[key];
        let mut ids: Vec<u8> = transport.producers.iter().filter_map(|&one| producers[one].spec.wide_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            transport.arrivals = None;
        }
        transport.wide_ids = ids.into();
    }

    /// Note the arrival of an authentic packet that is no replay, if it has a transport-wide sequence number.
    ///
    /// An element of another size is no such number.
    #[inline]
    pub(in crate::core) fn note_arrival(
        &mut self,
        key: TransportKey,
        plain: &[u8],
        ssrc: u32,
        elements: &[Element],
        arrived: f64,
    ) {
        let transport = &mut self.transports[key];
        if transport.wide_ids.is_empty() {
            return;
        }
        let element = elements.iter().find(|element| transport.wide_ids.contains(&element.number));
        let Some(&[high, low]) = element.map(|element| element.value(plain)) else { return };
        let sequence = u16::from_be_bytes([high, low]);
        let log = transport.arrivals.get_or_insert_with(|| Box::new(ArrivalLog::new(sequence, arrived)));
        if let Some(due) = log.record(sequence, ssrc, arrived) {
            self.timers.arm(Timer::Transport(TransportTimer::Feedback, key), due);
        }
    }

    /// The timer of the feedback fired: report all arrivals, in packets of their own (reduced size, RFC 5506).
    pub(in crate::core) fn send_feedback(&mut self, key: TransportKey, now: f64) {
        let ssrcs = (self.rtcp_source.ssrc, self.reported_ssrc(key));
        let Some(log) = &mut self.transports[key].arrivals else { return };
        let packets = log.take_feedback(ssrcs, now);
        if let Some(due) = log.next_due() {
            self.timers.arm(Timer::Transport(TransportTimer::Feedback, key), due);
        }
        for packet in packets {
            if let Some((path, datagram)) = self.seal_compound(key, packet) {
                self.traffic.feedback_to_senders += 1;
                self.own_datagrams.push(OwnDatagram { transport: key, path, datagram });
            }
        }
    }

    /// The SSRC that feedback to this client names.  libwebrtc ignores feedback that names none of its own streams.
    fn reported_ssrc(&self, key: TransportKey) -> u32 {
        let transport = &self.transports[key];
        let newest = transport.arrivals.as_ref().map_or(0, |log| log.ssrc);
        if transport.ssrcs.contains_key(&newest) || transport.rtx_ssrcs.contains_key(&newest) {
            return newest;
        }
        let encodings = transport.producers.iter().flat_map(|&producer| &self.producers[producer].encodings);
        encodings.filter_map(|encoding| encoding.ssrc).next().unwrap_or(newest)
    }
}
