//! Binding requests of our own: they find out whether a client receives at an address.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::attribute::{
    FINGERPRINT, FINGERPRINT_SIZE, HEAD_SIZE, ICE_CONTROLLED, INTEGRITY_SIZE, MESSAGE_INTEGRITY, PRIORITY, USERNAME,
    append, attributes_untrusted, fingerprint,
};
use super::credentials::Credentials;
use super::header::{BINDING_REQUEST, TransactionId, begin, set_length};

/// The priority of a host candidate (RFC 8445 section 5.1.2.1).  An ICE-lite agent has no other kind.
const HOST_PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;

impl Credentials {
    /// A check for the client with these credentials (RFC 8445 section 7.2.2).  `ours` is our username fragment.
    pub fn check(&self, transaction_id: &TransactionId, ours: &str) -> Vec<u8> {
        let mut message = begin(BINDING_REQUEST, transaction_id);
        append(&mut message, USERNAME, format!("{}:{ours}", self.username_fragment()).as_bytes());
        append(&mut message, PRIORITY, &HOST_PRIORITY.to_be_bytes());
        // The tie-breaker.  It breaks no tie, because an ICE-lite agent is always the controlled one (section 6.1.1).
        append(&mut message, ICE_CONTROLLED, &transaction_id[..8]);
        self.seal(&mut message);
        message
    }
}

/// Whether the client with these credentials made this answer to a check.
pub fn is_authentic_answer_untrusted(datagram: &[u8], client: &Credentials) -> bool {
    let integrity = attributes_untrusted(datagram)
        .take_while(Result::is_ok)
        .find_map(|attribute| attribute.ok().filter(|one| one.kind == MESSAGE_INTEGRITY));
    integrity.is_some_and(|one| one.value.len() == INTEGRITY_SIZE && client.fit(datagram, one.at, one.value))
}

/// A Binding request without credentials, for a client whose password we do not know.
///
/// A client answers it with the error 400 (RFC 8489 section 9.1.3).  With any answer it shows that it got the request.
pub fn bare_check(transaction_id: &TransactionId) -> Vec<u8> {
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
    use crate::core::wire::stun::{Binding, MessageType, message_type_untrusted, success};

    const CLIENT: (&str, &str) = ("theirs", "a password of more than 22 letters");

    #[test]
    fn a_check_with_credentials_has_all_that_a_full_agent_asks_for() {
        let client = Credentials::new(CLIENT.0, CLIENT.1);
        let id = CheckIds::new(b"secret").take();
        let message = client.check(&id, "ours");
        assert_eq!(message_type_untrusted(&message), Ok(MessageType::Request));
        let binding = Binding::read_untrusted(&message).unwrap();
        assert_eq!((binding.transaction_id, binding.local_fragment()), (id, "theirs"));
        assert!(binding.is_authentic(&client) && !binding.is_authentic(&Credentials::new(CLIENT.0, "another")));
        assert!(binding.controlled && !binding.use_candidate);
        let kinds: Vec<u16> = attributes_untrusted(&message).map(|one| one.unwrap().kind).collect();
        assert_eq!(kinds, [USERNAME, PRIORITY, ICE_CONTROLLED, MESSAGE_INTEGRITY, FINGERPRINT]);
    }

    #[test]
    fn only_the_client_can_answer_a_check_with_its_credentials() {
        let client = Credentials::new(CLIENT.0, CLIENT.1);
        let id = CheckIds::new(b"secret").take();
        let answer = success(&id, "192.0.2.1:1".parse().unwrap(), &client);
        assert!(is_authentic_answer_untrusted(&answer, &client));
        assert!(!is_authentic_answer_untrusted(&answer, &Credentials::new(CLIENT.0, "another")));
        let fingerprint_at = answer.len() - 8;
        for bit in (0..8 * fingerprint_at).filter(|bit| !(16..32).contains(bit)) {
            let mut changed = answer.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_authentic_answer_untrusted(&changed, &client), "bit {bit}");
        }
        (0..fingerprint_at).for_each(|size| assert!(!is_authentic_answer_untrusted(&answer[..size], &client)));
    }

    #[test]
    fn a_bare_check_is_a_binding_request_with_a_fingerprint_alone() {
        let id = CheckIds::new(b"secret").take();
        let message = bare_check(&id);
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
