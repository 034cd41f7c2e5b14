//! SRTP and SRTCP of one transport (RFC 3711, RFC 7714): opening what it receives, sealing what it sends.

mod counter_mode;
mod gcm;
mod index;
mod kdf;
#[cfg(test)]
mod ledger;
mod sources;
pub mod window;

use crate::core::interface::drop_reason::DropReason;
use crate::core::wire::rtp::{Header, be32};
use counter_mode::CounterMode;
use gcm::Gcm;
use index::RtcpIndex;
use sources::Sources;

pub use index::RTCP_HEADER_SIZE;
pub use sources::{MAX_QUIET_SOURCES, MAX_SOURCES};

/// The largest datagram that is accepted, in bytes.
pub const MAX_DATAGRAM: usize = 1500;
/// The largest RTCP packet that is sealed, in bytes.  With tag, index and headers it fits a path of 1,500 bytes.
pub const MAX_PLAIN_RTCP: usize = 1352;
const ROLLOVER: u64 = 1 << 16;

/// The protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Profile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    /// Bytes of the master key.
    pub fn key_length(self) -> usize {
        if self == Profile::AeadAes256Gcm { 32 } else { 16 }
    }

    /// Bytes of the master salt.
    pub fn salt_length(self) -> usize {
        if self == Profile::Aes128CmSha1_80 { 14 } else { 12 }
    }
}

/// The keys of one direction.
enum Cipher {
    Gcm(Box<Gcm>),
    CounterMode(Box<CounterMode>),
}

impl Cipher {
    /// From a master key followed by its salt; `None` if their sizes are not those of the profile.
    fn new(profile: Profile, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != profile.key_length() + profile.salt_length() {
            return None;
        }
        let (key, salt) = key_and_salt.split_at(profile.key_length());
        Some(match profile {
            Profile::Aes128CmSha1_80 => Self::CounterMode(Box::new(CounterMode::new(key, salt))),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Self::Gcm(Box::new(Gcm::new(key, salt))),
        })
    }

    /// The index of an SRTCP packet; `None` if the packet is too short for one.
    fn rtcp_index(&self, packet: &[u8]) -> Option<RtcpIndex> {
        let at = match self {
            Self::Gcm(_) => packet.len().checked_sub(RtcpIndex::SIZE),
            Self::CounterMode(_) => CounterMode::index_at(packet),
        };
        at.map(|at| RtcpIndex(be32(packet, at)))
    }
}

/// Opens what a transport receives and seals what it sends.
///
/// Rollover counters and replay windows belong to the keys and the SSRC, even if no producer takes the stream (RFC 3711
/// section 3.2.3).  They begin with the first packet that authenticates, and last as long as the keys.  Above
/// [`MAX_SOURCES`] SSRCs, the quietest one without a producer keeps its highest indices alone.  Above
/// [`MAX_QUIET_SOURCES`] such SSRCs, packets with a new SSRC are refused.
pub struct Srtp {
    receiving: Cipher,
    sending: Cipher,
    sources: Sources,
    /// One counter for all SSRCs.  An index may skip numbers, but must never be used twice with one SSRC.
    next_rtcp_index: u32,
    /// For tests: checks that no index is sealed twice.
    #[cfg(test)]
    pub ledger: Option<ledger::Ledger>,
}

impl Srtp {
    /// For each direction the master key followed by the master salt; `None` if their sizes are not those of the
    /// profile.
    pub fn new(profile: Profile, receive: &[u8], send: &[u8]) -> Option<Self> {
        Some(Self {
            receiving: Cipher::new(profile, receive)?,
            sending: Cipher::new(profile, send)?,
            sources: Sources::default(),
            next_rtcp_index: 1,
            #[cfg(test)]
            ledger: None,
        })
    }

    /// Open a packet in place.  Gives the size of the plain packet, which begins where the sealed one does.
    ///
    /// The rollover counter is not on the wire, so it is guessed from the packets before (RFC 3711 section 3.3.1).  For
    /// the first packet of an SSRC it should be 0.  But all packets before the first rollover may have been lost, so 1
    /// is tried as well.  `wanted` says whether a producer takes an SSRC.
    pub fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<usize, DropReason> {
        let recalled;
        let window = match self.sources.get(header.ssrc) {
            Some(received) => &received.rtp,
            None => {
                recalled = self.sources.recall(header.ssrc)?;
                &recalled.rtp
            }
        };
        let index = window.guess(header.sequence_number);
        if !window.accepts(index) {
            return Err(DropReason::Replayed);
        }
        let (index, size) = if window.is_fresh() {
            self.open_first(packet, header, index)?
        } else {
            (index, self.open_as(packet, header, index)?)
        };
        self.sources.note(header.ssrc, wanted).rtp.add(index);
        Ok(size)
    }

    /// Try both indices.  An attempt that fails destroys the packet, so the first one is made on a copy.
    ///
    /// Only packets before the first authentic one of an SSRC need the copy, so its memory is not kept.
    fn open_first(&self, packet: &mut [u8], header: &Header, index: u64) -> Result<(u64, usize), DropReason> {
        let mut attempt = packet.to_vec();
        let opened = self.open_as(&mut attempt, header, index);
        if let Ok(size) = opened {
            packet[..size].copy_from_slice(&attempt[..size]);
        }
        match opened {
            Ok(size) => Ok((index, size)),
            Err(_) => self.open_as(packet, header, index + ROLLOVER).map(|size| (index + ROLLOVER, size)),
        }
    }

    fn open_as(&self, packet: &mut [u8], header: &Header, index: u64) -> Result<usize, DropReason> {
        let opened = match &self.receiving {
            Cipher::Gcm(gcm) => gcm.open_rtp(packet, header.size, header.ssrc, index),
            Cipher::CounterMode(counter) => counter.open_rtp(packet, header.size, header.ssrc, index),
        };
        opened.map_err(|_| DropReason::Unauthentic)
    }

    /// Open a packet in place.  Gives the size of the plain packet.  The packet must not be shorter than its header.
    ///
    /// `wanted` is that of [`Srtp::open_rtp`].
    pub fn open_rtcp(&mut self, packet: &mut [u8], wanted: impl Fn(u32) -> bool) -> Result<usize, DropReason> {
        let ssrc = be32(packet, 4);
        let index = self.receiving.rtcp_index(packet).ok_or(DropReason::Unauthentic)?;
        let number = u64::from(index.number());
        let accepted = match self.sources.get(ssrc) {
            Some(received) => received.rtcp.accepts(number),
            None => self.sources.recall(ssrc)?.rtcp.accepts(number),
        };
        if !accepted {
            return Err(DropReason::Replayed);
        }
        let opened = match &self.receiving {
            Cipher::Gcm(gcm) => gcm.open_rtcp(packet, ssrc, index),
            Cipher::CounterMode(counter) => counter.open_rtcp(packet, ssrc, index),
        };
        let size = opened.map_err(|_| DropReason::Unauthentic)?;
        self.sources.note(ssrc, wanted).rtcp.add(number);
        Ok(size)
    }

    /// Bytes that a sealed RTP packet has more than the plain one.
    pub fn rtp_trailer(&self) -> usize {
        match &self.sending {
            Cipher::Gcm(_) => gcm::TAG,
            Cipher::CounterMode(_) => counter_mode::TAG,
        }
    }

    /// Seal an RTP packet in place.  Its header has `header` bytes, and its last [`Srtp::rtp_trailer`] bytes are room.
    ///
    /// `index` is 2^16 times the rollover counter, plus the sequence number.  The caller must never use an index twice
    /// with one SSRC.  Both packets would get the same key stream, and an eavesdropper could decrypt them (RFC 3711
    /// section 9.1).
    pub fn seal_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        #[cfg(test)]
        if let Some(ledger) = &self.ledger {
            ledger.note(ssrc, index, packet);
        }
        match &self.sending {
            Cipher::Gcm(gcm) => gcm.seal_rtp(packet, header, ssrc, index),
            Cipher::CounterMode(counter) => counter.seal_rtp(packet, header, ssrc, index),
        }
    }

    /// Seal an RTCP packet in place.  The packet must not be shorter than its header.
    ///
    /// Fails with `Oversized`, and with `SendFailed` once all indices are used up (RFC 3711 section 9.2).
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), DropReason> {
        if packet.len() > MAX_PLAIN_RTCP {
            return Err(DropReason::Oversized);
        }
        if self.next_rtcp_index >= RtcpIndex::ENCRYPTED {
            return Err(DropReason::SendFailed);
        }
        let index = RtcpIndex(self.next_rtcp_index | RtcpIndex::ENCRYPTED);
        self.next_rtcp_index += 1;
        let ssrc = be32(packet, 4);
        match &self.sending {
            Cipher::Gcm(gcm) => gcm.seal_rtcp(packet, ssrc, index),
            Cipher::CounterMode(counter) => counter.seal_rtcp(packet, ssrc, index),
        }
        Ok(())
    }
}
