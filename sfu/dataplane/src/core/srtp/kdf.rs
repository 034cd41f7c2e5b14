//! Session keys from a master key and salt (RFC 3711 section 4.3, RFC 6188, RFC 7714 section 11).

use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;

/// The purpose of a session key (RFC 3711 section 4.3.1).
#[derive(Clone, Copy, Debug)]
pub enum Label {
    /// Encrypting RTP.
    RtpEncryption = 0,
    /// Authenticating RTP.
    RtpAuthentication = 1,
    /// Salting RTP's counters.
    RtpSalt = 2,
    /// Encrypting RTCP.
    RtcpEncryption = 3,
    /// Authenticating RTCP.
    RtcpAuthentication = 4,
    /// Salting RTCP's counters.
    RtcpSalt = 5,
}

/// Fill `out` with the session key for `label`; the key derivation rate is zero.
///
/// `master_key` has 16 or 32 bytes.  `master_salt` has 14 bytes, or 12 that count as if zeros followed.
pub fn derive(master_key: &[u8], master_salt: &[u8], label: Label, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..master_salt.len()].copy_from_slice(master_salt);
    iv[7] ^= label as u8;
    out.fill(0);
    let sizes = "a master key of 16 or 32 bytes";
    if master_key.len() == 32 {
        Ctr128BE::<Aes256>::new_from_slices(master_key, &iv).expect(sizes).apply_keystream(out);
    } else {
        Ctr128BE::<Aes128>::new_from_slices(master_key, &iv).expect(sizes).apply_keystream(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::hex::hex;

    /// RFC 3711 appendix B.3.
    #[test]
    fn the_keys_of_rfc_3711_are_derived() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
        let mut encryption = [0; 16];
        derive(&key, &salt, Label::RtpEncryption, &mut encryption);
        assert_eq!(encryption[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let mut session_salt = [0; 14];
        derive(&key, &salt, Label::RtpSalt, &mut session_salt);
        assert_eq!(session_salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut authentication = [0; 94];
        derive(&key, &salt, Label::RtpAuthentication, &mut authentication);
        assert_eq!(
            authentication[..],
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
        );
    }
}
