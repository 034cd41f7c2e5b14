//! Limits on what a client sends: a client that goes on sending far beyond them loses its transport.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::event::Event;
use crate::core::keys::TransportKey;
use crate::core::transport::media_budget::MediaLimits;
use crate::core::wire::address::Path;
use crate::core::wire::demux::Protocol;

impl Core {
    /// Limit the media that each client may send on a transport in the long run: RTP and RTCP.
    pub fn set_media_limits(&mut self, packets_per_second: f64, bits_per_second: f64) {
        self.media_limits = MediaLimits { packets_per_second, bits_per_second };
    }

    /// Open one of many datagrams beyond the budget of its transport, to learn whether the client sends them itself.
    #[cold]
    pub(super) fn receive_sample_untrusted(
        &mut self,
        (key, path): (TransportKey, Path),
        protocol: Protocol,
        datagram: &mut [u8],
        count: u32,
        now: f64,
    ) -> Result<(), DropReason> {
        let received = self.receive_media_untrusted((key, path), protocol, datagram, now, now);
        let shows_keys = match received {
            Ok(()) => true,
            Err(reason) => matches!(reason, DropReason::UnknownStream | DropReason::UnknownPayloadType),
        };
        if shows_keys {
            self.add_excess(key, count, now);
        }
        received
    }

    /// The client itself has sent so many datagrams beyond its limits.
    pub(super) fn add_excess(&mut self, key: TransportKey, count: u32, now: f64) {
        let transport = &mut self.transports[key];
        if transport.excess.add(count, now) {
            self.events.push_rare(Event::LimitsExceeded { transport: transport.id });
        }
    }
}
