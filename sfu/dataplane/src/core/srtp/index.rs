//! The index of an SRTCP packet, which both ciphers need.

/// Bytes at the beginning of an RTCP packet that are never encrypted: the first header, with its SSRC.
pub const RTCP_HEADER_SIZE: usize = 8;

/// The packet was not made with these keys, or was changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthentic;

/// The word at or near the end of an SRTCP packet (RFC 3711 section 3.4): an encryption flag and a 31-bit index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpIndex(pub u32);

impl RtcpIndex {
    /// Bytes of the word.
    pub const SIZE: usize = 4;
    /// The flag: the packet is encrypted and not only authenticated.
    pub const ENCRYPTED: u32 = 1 << 31;

    /// The index without the flag.
    pub fn number(self) -> u32 {
        self.0 & !Self::ENCRYPTED
    }

    /// Whether the packet is encrypted.
    pub fn encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    /// The word as it is sent.
    pub fn word(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}
