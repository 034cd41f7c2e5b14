//! AEAD_AES_128_GCM and AEAD_AES_256_GCM for SRTP and SRTCP (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::index::{RTCP_HEADER_SIZE, RtcpIndex, Unauthentic};
use super::kdf::{Label, derive};

/// Bytes of the authentication tag.
pub const TAG: usize = 16;
const SALT: usize = 12;

/// The key of one direction of RTP, or of RTCP.
struct Key {
    key: LessSafeKey,
    salt: [u8; SALT],
}

impl Key {
    fn new(master_key: &[u8], master_salt: &[u8], encryption: Label, salting: Label) -> Self {
        let mut key = [0; 32];
        let key = &mut key[..master_key.len()];
        derive(master_key, master_salt, encryption, key);
        let mut salt = [0; SALT];
        derive(master_key, master_salt, salting, &mut salt);
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key of the algorithm's size"));
        Self { key, salt }
    }

    /// The salt, XORed with the SSRC from the third byte on and with `rest` behind it (sections 8.1 and 9.1).
    fn nonce(&self, ssrc: u32, rest: [u8; 6]) -> Nonce {
        let mut nonce = self.salt;
        for (byte, with) in nonce[2..].iter_mut().zip(ssrc.to_be_bytes().into_iter().chain(rest)) {
            *byte ^= with;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: Nonce, authenticated: &[u8], plain: &mut [u8]) -> Tag {
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(authenticated), plain);
        sealed.expect("a packet is shorter than what GCM can seal")
    }

    fn open(&self, nonce: Nonce, authenticated: &[u8], sealed: &mut [u8]) -> Result<(), Unauthentic> {
        self.key.open_in_place(nonce, Aad::from(authenticated), sealed).map(|_| ()).map_err(|_| Unauthentic)
    }
}

/// One direction: RTP and RTCP.
pub struct Gcm {
    rtp: Key,
    rtcp: Key,
}

impl Gcm {
    /// The sizes must be those of the profile.
    pub fn new(master_key: &[u8], master_salt: &[u8]) -> Self {
        Self {
            rtp: Key::new(master_key, master_salt, Label::RtpEncryption, Label::RtpSalt),
            rtcp: Key::new(master_key, master_salt, Label::RtcpEncryption, Label::RtcpSalt),
        }
    }

    /// The last six bytes are the rollover counter and the sequence number (section 8.1).
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let [_, _, rest @ ..] = index.to_be_bytes();
        self.rtp.nonce(ssrc, rest)
    }

    /// The last six bytes are two zeros and the 31 bits of the index (section 9.1).
    fn rtcp_nonce(&self, ssrc: u32, index: RtcpIndex) -> Nonce {
        let [a, b, c, d] = index.number().to_be_bytes();
        self.rtcp.nonce(ssrc, [0, 0, a, b, c, d])
    }

    /// Seal in place; the packet has [`TAG`] bytes of room at its end.  The header is authenticated, not encrypted.
    pub fn seal_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        let (plain, room) = packet.split_at_mut(packet.len() - TAG);
        let (clear, payload) = plain.split_at_mut(header);
        let tag = self.rtp.seal(self.rtp_nonce(ssrc, index), clear, payload);
        room.copy_from_slice(tag.as_ref());
    }

    /// Open in place.  Gives the size of the plain packet.
    pub fn open_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Result<usize, Unauthentic> {
        if packet.len() < header + TAG {
            return Err(Unauthentic);
        }
        let plain = packet.len() - TAG;
        let (clear, sealed) = packet.split_at_mut(header);
        self.rtp.open(self.rtp_nonce(ssrc, index), clear, sealed)?;
        Ok(plain)
    }

    /// Seal in place.  Tag and index are appended; header and index are authenticated, not encrypted (section 9.2).
    pub fn seal_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index: RtcpIndex) {
        let (clear, payload) = packet.split_at_mut(RTCP_HEADER_SIZE);
        let tag = self.rtcp.seal(self.rtcp_nonce(ssrc, index), &with_index(clear, index), payload);
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&index.word());
    }

    /// Open in place.  Gives the size of the plain packet.
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: RtcpIndex) -> Result<usize, Unauthentic> {
        let end = packet.len() - RtcpIndex::SIZE;
        if end < RTCP_HEADER_SIZE + TAG {
            return Err(Unauthentic);
        }
        let plain = end - TAG;
        let nonce = self.rtcp_nonce(ssrc, index);
        if index.encrypted() {
            let (clear, sealed) = packet[..end].split_at_mut(RTCP_HEADER_SIZE);
            self.rtcp.open(nonce, &with_index(clear, index), sealed)?;
        } else {
            // Authenticated only (section 9.3).  The tag covers the whole packet with the index right behind it, so
            // move the index to where the tag was.
            let mut tag = [0; TAG];
            tag.copy_from_slice(&packet[plain..end]);
            packet[plain..plain + RtcpIndex::SIZE].copy_from_slice(&index.word());
            self.rtcp.open(nonce, &packet[..plain + RtcpIndex::SIZE], &mut tag)?;
        }
        Ok(plain)
    }
}

/// The authenticated bytes of an encrypted packet.
fn with_index(header: &[u8], index: RtcpIndex) -> [u8; RTCP_HEADER_SIZE + RtcpIndex::SIZE] {
    let mut authenticated = [0; RTCP_HEADER_SIZE + RtcpIndex::SIZE];
    authenticated[..RTCP_HEADER_SIZE].copy_from_slice(header);
    authenticated[RTCP_HEADER_SIZE..].copy_from_slice(&index.word());
    authenticated
}

/// The examples of RFC 7714 sections 16 and 17, which give session keys.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::hex::hex;

    const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
                       61727465 73207472 6573";
    const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef
                        deadbeef deadbeef deadbeef";
    const RTP_SSRC: u32 = 0x5501_A0B2;
    const RTCP_SSRC: u32 = 0x4D61_7273;
    const SEALED: RtcpIndex = RtcpIndex(0x8000_05D4);

    fn gcm(key_size: u8) -> Gcm {
        let key = || {
            let algorithm = if key_size == 32 { &AES_256_GCM } else { &AES_128_GCM };
            let bytes: Vec<u8> = (0..key_size).collect();
            let mut salt = [0; SALT];
            salt.copy_from_slice(&hex("51756964 2070726f 2071756f"));
            Key { key: LessSafeKey::new(UnboundKey::new(algorithm, &bytes).unwrap()), salt }
        };
        Gcm { rtp: key(), rtcp: key() }
    }

    fn check_rtp(key_size: u8, expected: &str) {
        let mut packet = hex(RTP);
        packet.extend([0; TAG]);
        gcm(key_size).seal_rtp(&mut packet, 12, RTP_SSRC, 0xF17B);
        assert_eq!(packet, hex(expected));
        assert_eq!(gcm(key_size).open_rtp(&mut packet, 12, RTP_SSRC, 0xF17B), Ok(hex(RTP).len()));
        assert_eq!(packet[..hex(RTP).len()], hex(RTP));
        packet[30] ^= 1;
        assert_eq!(gcm(key_size).open_rtp(&mut packet, 12, RTP_SSRC, 0xF17B), Err(Unauthentic));
    }

    #[test]
    fn rtp_is_sealed_with_128_bits() {
        check_rtp(
            16,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
    }

    #[test]
    fn rtp_is_sealed_with_256_bits() {
        check_rtp(
            32,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
             1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        );
    }

    fn check_rtcp(key_size: u8, expected: &str) {
        let mut packet = hex(RTCP);
        gcm(key_size).seal_rtcp(&mut packet, RTCP_SSRC, SEALED);
        assert_eq!(packet, hex(expected));
        assert_eq!(gcm(key_size).open_rtcp(&mut packet, RTCP_SSRC, SEALED), Ok(hex(RTCP).len()));
        assert_eq!(packet[..hex(RTCP).len()], hex(RTCP));
    }

    #[test]
    fn rtcp_is_sealed_with_128_bits() {
        check_rtcp(
            16,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
    }

    #[test]
    fn rtcp_is_sealed_with_256_bits() {
        check_rtcp(
            32,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        );
    }

    #[test]
    fn rtcp_that_is_authenticated_only_is_accepted() {
        let tagged = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef
                      deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4";
        let mut packet = hex(tagged);
        assert_eq!(gcm(16).open_rtcp(&mut packet, RTCP_SSRC, RtcpIndex(0x5D4)), Ok(hex(RTCP).len()));
        let mut changed = hex(tagged);
        changed[12] ^= 1;
        assert_eq!(gcm(16).open_rtcp(&mut changed, RTCP_SSRC, RtcpIndex(0x5D4)), Err(Unauthentic));
    }
}
