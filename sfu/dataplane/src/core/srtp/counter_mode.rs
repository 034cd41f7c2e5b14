//! AES128_CM_SHA1_80 for SRTP and SRTCP (RFC 3711 sections 4.1.1 and 4.2.1, RFC 5764 section 4.1.2).

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::{CtrCore, flavors::Ctr128BE};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::index::{RTCP_HEADER_SIZE, RtcpIndex, Unauthentic};
use super::kdf::{Label, derive};

/// Bytes of the authentication tag.
pub const TAG: usize = 10;
const SALT: usize = 14;

/// The keys of one direction of RTP, or of RTCP.
struct Keys {
    cipher: Aes128,
    salt: [u8; SALT],
    hmac: Hmac<Sha1>,
}

impl Keys {
    fn new(master_key: &[u8], master_salt: &[u8], labels: [Label; 3]) -> Self {
        let [encryption, authentication, salting] = labels;
        let mut key = [0; 16];
        derive(master_key, master_salt, encryption, &mut key);
        let mut authenticator = [0; 20];
        derive(master_key, master_salt, authentication, &mut authenticator);
        let mut salt = [0; SALT];
        derive(master_key, master_salt, salting, &mut salt);
        let hmac = <Hmac<Sha1> as KeyInit>::new_from_slice(&authenticator).expect("HMAC takes keys of any size");
        Self { cipher: Aes128::new(&key.into()), salt, hmac }
    }

    /// Encrypt or decrypt in place.
    ///
    /// The initial counter is the salt, XORed with the SSRC from the fifth byte and with the index from the ninth.  Its
    /// last two bytes count blocks (section 4.1.1).
    fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut counter = [0; 16];
        counter[..SALT].copy_from_slice(&self.salt);
        let [_, _, index @ ..] = index.to_be_bytes();
        for (byte, with) in counter[4..].iter_mut().zip(ssrc.to_be_bytes().into_iter().chain(index)) {
            *byte ^= with;
        }
        let core = CtrCore::<&Aes128, Ctr128BE>::inner_iv_init(&self.cipher, &counter.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }

    /// The HMAC of `data` followed by `also`.  Its first [`TAG`] bytes are the tag.
    fn authenticator(&self, data: &[u8], also: &[u8]) -> Hmac<Sha1> {
        let mut hmac = self.hmac.clone();
        hmac.update(data);
        hmac.update(also);
        hmac
    }
}

/// One direction: RTP and RTCP.
pub struct CounterMode {
    rtp: Keys,
    rtcp: Keys,
}

impl CounterMode {
    /// The sizes must be those of the profile.
    pub fn new(master_key: &[u8], master_salt: &[u8]) -> Self {
        let rtp = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        let rtcp = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Self { rtp: Keys::new(master_key, master_salt, rtp), rtcp: Keys::new(master_key, master_salt, rtcp) }
    }

    /// Seal in place; the packet has [`TAG`] bytes of room at its end.
    ///
    /// The rollover counter is authenticated as if it followed the packet, but is not sent (section 4.2).
    pub fn seal_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        let (plain, room) = packet.split_at_mut(packet.len() - TAG);
        self.rtp.apply(ssrc, index, &mut plain[header..]);
        let tag = self.rtp.authenticator(plain, &rollovers(index)).finalize().into_bytes();
        room.copy_from_slice(&tag[..TAG]);
    }

    /// Open in place.  Gives the size of the plain packet.
    pub fn open_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Result<usize, Unauthentic> {
        if packet.len() < header + TAG {
            return Err(Unauthentic);
        }
        let (sealed, tag) = packet.split_at_mut(packet.len() - TAG);
        let authenticator = self.rtp.authenticator(sealed, &rollovers(index));
        authenticator.verify_truncated_left(tag).map_err(|_| Unauthentic)?;
        self.rtp.apply(ssrc, index, &mut sealed[header..]);
        Ok(sealed.len())
    }

    /// Seal in place.  The index is appended and authenticated, and the tag follows (section 3.4).
    pub fn seal_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index: RtcpIndex) {
        self.rtcp.apply(ssrc, u64::from(index.number()), &mut packet[RTCP_HEADER_SIZE..]);
        packet.extend_from_slice(&index.word());
        let tag = self.rtcp.authenticator(packet, &[]).finalize().into_bytes();
        packet.extend_from_slice(&tag[..TAG]);
    }

    /// Open in place.  Gives the size of the plain packet.
    ///
    /// A packet that is not encrypted is refused: the profile demands encryption (RFC 5764 section 4.1.2).
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: RtcpIndex) -> Result<usize, Unauthentic> {
        if !index.encrypted() || packet.len() < RTCP_HEADER_SIZE + RtcpIndex::SIZE + TAG {
            return Err(Unauthentic);
        }
        let (sealed, tag) = packet.split_at_mut(packet.len() - TAG);
        self.rtcp.authenticator(sealed, &[]).verify_truncated_left(tag).map_err(|_| Unauthentic)?;
        let plain = sealed.len() - RtcpIndex::SIZE;
        self.rtcp.apply(ssrc, u64::from(index.number()), &mut sealed[RTCP_HEADER_SIZE..plain]);
        Ok(plain)
    }

    /// The place of the index in an SRTCP packet.
    pub fn index_at(packet: &[u8]) -> Option<usize> {
        packet.len().checked_sub(TAG + RtcpIndex::SIZE)
    }
}

/// The rollover counter, as it is authenticated.
fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::hex::hex;

    /// RFC 3711 appendix B.2: the key stream for a session key and salt, SSRC and index 0.
    #[test]
    fn the_key_stream_is_that_of_rfc_3711() {
        let mut salt = [0; SALT];
        salt.copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
        let mut key = [0; 16];
        key.copy_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let hmac = <Hmac<Sha1> as KeyInit>::new_from_slice(&[]).unwrap();
        let keys = Keys { cipher: Aes128::new(&key.into()), salt, hmac };
        let mut stream = vec![0; 0xFF02 * 16];
        keys.apply(0, 0, &mut stream);
        assert_eq!(stream[..16], hex("E03EAD0935C95E80E166B16DD92B4EB4"));
        assert_eq!(stream[16..32], hex("D23513162B02D0F72A43A2FE4A5F97AB"));
        assert_eq!(stream[32..48], hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
        assert_eq!(stream[0xFEFF * 16..0xFF00 * 16], hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
        assert_eq!(stream[0xFF00 * 16..0xFF01 * 16], hex("362B7C3C6773516318A077D7FC5073AE"));
        assert_eq!(stream[0xFF01 * 16..0xFF02 * 16], hex("6A2CC3787889374FBEB4C81B17BA6C44"));
    }
}
