//! One RTP packet, encrypted with `AEAD_AES_128_GCM` (RFC 7714).

use std::array::from_fn;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;

pub const HEADER: usize = 12;
pub const TAG: usize = 16;
const VERSION: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 96;

/// The session key and salt of one receiver.
pub struct Seal {
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
}

impl Seal {
    pub fn new(key: &[u8], salt: [u8; NONCE_LEN]) -> Result<Self, Unspecified> {
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key)?), salt })
    }

    /// Writes the packet with this index (rollover counter and sequence number, RFC 3711 section 3.3.1) into `place`,
    /// which has the size of header, payload and tag. The payload is zeros.
    pub fn write(&self, place: &mut [u8], ssrc: u32, index: u64, timestamp: u32) -> Result<(), Unspecified> {
        let (header, rest) = place.split_at_mut(HEADER);
        let (body, tag) = rest.split_at_mut(rest.len() - TAG);
        header[0] = VERSION;
        header[1] = PAYLOAD_TYPE;
        header[2..4].copy_from_slice(&index.to_be_bytes()[6..]);
        header[4..8].copy_from_slice(&timestamp.to_be_bytes());
        header[8..].copy_from_slice(&ssrc.to_be_bytes());
        body.fill(0);
        // RFC 7714 section 8.1: exclusive or of the salt with two zero bytes, SSRC, rollover counter, sequence number.
        let numbers = (u128::from(ssrc) << 48 | u128::from(index)).to_be_bytes();
        let nonce = Nonce::assume_unique_for_key(from_fn(|at| self.salt[at] ^ numbers[4 + at]));
        tag.copy_from_slice(self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body)?.as_ref());
        Ok(())
    }
}
