//! Binding requests of our own: they find out whether a client receives at an address.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::attribute::{FINGERPRINT, FINGERPRINT_SIZE, HEAD_SIZE, append, fingerprint};
use super::header::{BINDING_REQUEST, TransactionId, begin, set_length};

/// A Binding request without credentials, because we do not know the client's password.
///
/// A client answers it with the error 400 (RFC 8489 section 9.1.3).  With any answer it shows that it got the request.
pub fn check(transaction_id: &TransactionId) -> Vec<u8> {
    let mut message = begin(BINDING_REQUEST, transaction_id);
    set_length(&mut message, HEAD_SIZE + FINGERPRINT_SIZE);
    let fingerprint = fingerprint(&message);
    append(&mut message, FINGERPRINT, &fingerprint);
    message
}

/// Transaction identifiers that nobody can guess without the secret, each one once.
///
/// A client that guessed one could answer a check that it never got, and let us send to somebody else.
#[derive(Clone, Debug)]
pub struct CheckIds {
    mac: Hmac<Sha1>,
    used: u64,
}

impl CheckIds {
    /// Identifiers that follow from a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self { mac: Hmac::new_from_slice(secret).expect("HMAC takes keys of any size"), used: 0 }
    }

    /// The next identifier.
    pub fn take(&mut self) -> TransactionId {
        let mut mac = self.mac.clone();
        mac.update(&self.used.to_be_bytes());
        self.used += 1;
        let tag = mac.finalize().into_bytes();
        std::array::from_fn(|place| tag[place])
    }
}

impl Default for CheckIds {
    fn default() -> Self {
        Self::new(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::stun::{MessageType, message_type_untrusted};

    #[test]
    fn a_check_is_a_binding_request_with_a_fingerprint_alone() {
        let id = CheckIds::new(b"secret").take();
        let message = check(&id);
        assert_eq!(message_type_untrusted(&message), Ok(MessageType::Request));
        assert_eq!((message.len(), &message[8..20]), (28, &id[..]));
        assert_eq!(message[20..], [&b"\x80\x28\x00\x04"[..], &fingerprint(&message[..20])].concat());
    }

    #[test]
    fn identifiers_differ_and_follow_from_the_secret() {
        let (mut ids, mut same, mut other) = (CheckIds::new(b"1"), CheckIds::new(b"1"), CheckIds::new(b"2"));
        let mut seen: Vec<TransactionId> = (0..100).flat_map(|_| [ids.take(), other.take()]).collect();
        assert_eq!(seen[0], same.take());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 200);
    }
}
