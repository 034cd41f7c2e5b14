//! The receiving state of every SSRC: its rollover counter and its replay windows.
//!
//! They belong to the keys and the SSRC (RFC 3711 section 3.2.3), and not to a producer.  An SSRC that was forgotten
//! would let an eavesdropper send its old packets again, so none is.  Instead, an SSRC beyond the limits is refused.

use std::collections::HashMap;

use super::window::{RtcpWindow, RtpWindow};
use crate::core::interface::drop_reason::DropReason;

/// SSRCs of which a transport keeps whole replay windows: more than a client may produce at a time.
pub const MAX_SOURCES: usize = 256;
/// Quiet SSRCs of which a transport keeps the highest indices alone.  A camera in three sizes has six SSRCs, so a client
/// may begin 700 such cameras with one pair of keys.
pub const MAX_QUIET_SOURCES: usize = 4096;

/// The receiving state of one SSRC.
#[derive(Default)]
pub struct Received {
    pub rtp: RtpWindow,
    pub rtcp: RtcpWindow,
    /// The value of [`Sources::opened`] at its newest packet.
    used: u64,
}

/// What remains of an SSRC without a producer: its highest indices.  All packets up to them count as seen.
struct Quiet {
    rtp: Option<u64>,
    rtcp: Option<u32>,
}

impl Quiet {
    fn of(received: &Received) -> Self {
        let Received { rtp, rtcp, .. } = received;
        Self { rtp: (!rtp.is_fresh()).then(|| rtp.highest()), rtcp: (!rtcp.is_fresh()).then(|| rtcp.highest() as u32) }
    }

    fn restore(&self) -> Received {
        let rtp = self.rtp.map(RtpWindow::seen_up_to).unwrap_or_default();
        let rtcp = self.rtcp.map(|highest| RtcpWindow::seen_up_to(highest.into())).unwrap_or_default();
        Received { rtp, rtcp, used: 0 }
    }
}

/// Every SSRC of which a packet ever authenticated.
#[derive(Default)]
pub struct Sources {
    received: HashMap<u32, Received>,
    quiet: HashMap<u32, Quiet>,
    /// Packets opened so far.
    opened: u64,
}

impl Sources {
    /// The windows of an SSRC, if it has whole ones.
    #[inline]
    pub fn get(&self, ssrc: u32) -> Option<&Received> {
        self.received.get(&ssrc)
    }

    /// The windows of an SSRC without whole ones.  Refuses a new one that nothing could be remembered of.
    ///
    /// This remembers nothing, because the packet may be forged.
    pub fn recall(&self, ssrc: u32) -> Result<Received, DropReason> {
        if let Some(quiet) = self.quiet.get(&ssrc) {
            return Ok(quiet.restore());
        }
        if self.received.len() >= MAX_SOURCES && self.quiet.len() >= MAX_QUIET_SOURCES {
            return Err(DropReason::TooManySources);
        }
        Ok(Received::default())
    }

    /// The windows of an SSRC of which a packet has just authenticated.  `wanted` says whether a producer takes an SSRC.
    pub fn note(&mut self, ssrc: u32, wanted: impl Fn(u32) -> bool) -> &mut Received {
        self.opened += 1;
        if !self.received.contains_key(&ssrc) {
            let restored = self.quiet.remove(&ssrc).map(|quiet| quiet.restore());
            self.make_room(wanted);
            self.received.insert(ssrc, restored.unwrap_or_default());
        }
        let received = self.received.entry(ssrc).or_default();
        received.used = self.opened;
        received
    }

    /// Keep only the highest indices of the SSRC without a producer that was quiet for longest, if there are too many.
    fn make_room(&mut self, wanted: impl Fn(u32) -> bool) {
        if self.received.len() < MAX_SOURCES {
            return;
        }
        let others = self.received.iter().filter(|(ssrc, _)| !wanted(**ssrc));
        let quietest = others.min_by_key(|(_, received)| received.used).map(|(&ssrc, _)| ssrc);
        if let Some((ssrc, received)) = quietest.and_then(|ssrc| self.received.remove_entry(&ssrc)) {
            self.quiet.insert(ssrc, Quiet::of(&received));
        }
    }
}
