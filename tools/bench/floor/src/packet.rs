//! One RTP packet, encrypted with `AEAD_AES_128_GCM` (RFC 7714).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;

pub const HEADER: usize = 12;
pub const TAG: usize = 16;
const VERSION: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 96;

/// The session key and salt of one receiver.
pub struct Seal {
    key: LessSafeKey,
    salt: u128,
}

impl Seal {
    pub fn new(key: u128, salt: u128) -> Result<Self, Unspecified> {
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.to_be_bytes())?), salt })
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
        let nonce = (u128::from(ssrc) << 48 | u128::from(index)) ^ self.salt;
        let nonce = Nonce::try_assume_unique_for_key(&nonce.to_be_bytes()[4..])?;
        tag.copy_from_slice(self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body)?.as_ref());
        Ok(())
    }
}
