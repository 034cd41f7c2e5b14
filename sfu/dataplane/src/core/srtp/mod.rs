//! SRTP and SRTCP of one transport (RFC 3711, RFC 7714).

mod counter_mode;
mod gcm;
mod kdf;
pub mod window;

use std::collections::HashMap;

use super::drops::Drop;
use super::rtp::{Header, be32};
use counter_mode::CounterMode;
use gcm::Gcm;
use window::{RtcpWindow, RtpWindow};

/// The largest SRTP datagram that is taken, in bytes.
pub const MAX_DATAGRAM: usize = 1500;
/// The largest RTP packet that is sealed: with the longest trailer that any profile may add, it fits a datagram.
pub const MAX_PLAIN_RTP: usize = MAX_DATAGRAM - 144;
/// The same for RTCP, which carries its index, too.
pub const MAX_PLAIN_RTCP: usize = MAX_PLAIN_RTP - RtcpIndex::SIZE;
/// What of an RTCP packet is never encrypted.
pub const RTCP_HEADER_SIZE: usize = 8;

/// A packet that was not made with these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthentic;

/// The protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Profile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    /// Of the master key, in bytes.
    pub fn key_length(self) -> usize {
        if self == Profile::AeadAes256Gcm { 32 } else { 16 }
    }

    /// Of the master salt, in bytes.
    pub fn salt_length(self) -> usize {
        if self == Profile::Aes128CmSha1_80 { 14 } else { 12 }
    }
}

/// The word at or near the end of an SRTCP packet: whether it is encrypted, and its 31-bit index (RFC 3711 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpIndex(u32);

impl RtcpIndex {
    const SIZE: usize = 4;
    const ENCRYPTED: u32 = 1 << 31;

    fn number(self) -> u32 {
        self.0 & !Self::ENCRYPTED
    }

    fn encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    fn word(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// The keys of one direction.
enum Cipher {
    Gcm(Box<Gcm>),
    CounterMode(Box<CounterMode>),
}

impl Cipher {
    /// A master key followed by its salt; `None` where they have not the profile's sizes.
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

    /// Where the index of an SRTCP packet is.
    fn rtcp_index(&self, packet: &[u8]) -> Option<RtcpIndex> {
        let at = match self {
            Self::Gcm(_) => packet.len().checked_sub(RtcpIndex::SIZE),
            Self::CounterMode(_) => CounterMode::index_at(packet),
        };
        at.map(|at| RtcpIndex(be32(packet, at)))
    }
}

/// What was received with one SSRC.
#[derive(Default)]
struct Received {
    rtp: RtpWindow,
    rtcp: RtcpWindow,
}

/// Opens what a transport receives and seals what it sends.
///
/// What is kept of a received SSRC begins with the first packet that authenticates, and ends with [`Srtp::forget`].
pub struct Srtp {
    receiving: Cipher,
    sending: Cipher,
    received: HashMap<u32, Received>,
    /// One for all SSRCs: gaps are allowed, and no SSRC's index can begin anew.
    next_rtcp_index: u32,
}

impl Srtp {
    /// For each direction the master key followed by the master salt; `None` where they have not the profile's sizes.
    pub fn new(profile: Profile, receive: &[u8], send: &[u8]) -> Option<Self> {
        Some(Self {
            receiving: Cipher::new(profile, receive)?,
            sending: Cipher::new(profile, send)?,
            received: HashMap::new(),
            next_rtcp_index: 1,
        })
    }

    /// Open a packet in place; the size of the plain one, which begins where the sealed one does.
    pub fn open_rtp(&mut self, packet: &mut [u8], header: &Header) -> Result<usize, Drop> {
        let fresh = RtpWindow::default();
        let window = self.received.get(&header.ssrc).map_or(&fresh, |received| &received.rtp);
        let index = window.guess(header.sequence_number);
        if !window.accepts(index) {
            return Err(Drop::Replayed);
        }
        let opened = match &self.receiving {
            Cipher::Gcm(gcm) => gcm.open_rtp(packet, header.size, header.ssrc, index),
            Cipher::CounterMode(counter) => counter.open_rtp(packet, header.size, header.ssrc, index),
        };
        let size = opened.map_err(|_| Drop::Unauthentic)?;
        self.received.entry(header.ssrc).or_default().rtp.add(index);
        Ok(size)
    }

    /// Open a packet in place; the size of the plain one.  It must be as long as its header.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        let ssrc = be32(packet, 4);
        let index = self.receiving.rtcp_index(packet).ok_or(Drop::Unauthentic)?;
        let number = u64::from(index.number());
        if self.received.get(&ssrc).is_some_and(|received| !received.rtcp.accepts(number)) {
            return Err(Drop::Replayed);
        }
        let opened = match &self.receiving {
            Cipher::Gcm(gcm) => gcm.open_rtcp(packet, ssrc, index),
            Cipher::CounterMode(counter) => counter.open_rtcp(packet, ssrc, index),
        };
        let size = opened.map_err(|_| Drop::Unauthentic)?;
        self.received.entry(ssrc).or_default().rtcp.add(number);
        Ok(size)
    }

    /// How many bytes a sealed RTP packet has more than the plain one.
    pub fn rtp_trailer(&self) -> usize {
        match &self.sending {
            Cipher::Gcm(_) => gcm::TAG,
            Cipher::CounterMode(_) => counter_mode::TAG,
        }
    }

    /// Seal an RTP packet with a header of `header` bytes, in place; it has [`Srtp::rtp_trailer`] bytes of room behind it.
    ///
    /// `index` is 2^16 times the rollover counter and the sequence number; never twice the same with one SSRC
    /// (RFC 3711 section 9.1), which the caller sees to.
    pub fn seal_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        match &self.sending {
            Cipher::Gcm(gcm) => gcm.seal_rtp(packet, header, ssrc, index),
            Cipher::CounterMode(counter) => counter.seal_rtp(packet, header, ssrc, index),
        }
    }

    /// Seal an RTCP packet in place; it must be as long as its header.
    ///
    /// Fails with `Drop::Oversized`, and with `Drop::SendFailed` when all indices are used up (RFC 3711 section 9.2).
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Drop> {
        if packet.len() > MAX_PLAIN_RTCP {
            return Err(Drop::Oversized);
        }
        if self.next_rtcp_index >= RtcpIndex::ENCRYPTED {
            return Err(Drop::SendFailed);
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

    /// Of this SSRC nothing will be received any more; or it begins anew.
    pub fn forget(&mut self, ssrc: u32) {
        self.received.remove(&ssrc);
    }
}
