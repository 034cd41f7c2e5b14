//! Short-term credentials and the integrity that they give a message (RFC 8489 sections 9.1 and 14.5).

use std::cell::Cell;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::attribute::{
    FINGERPRINT, FINGERPRINT_SIZE, HEAD_SIZE, INTEGRITY_SIZE, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE, USERNAME,
    append, fingerprint,
};
use super::header::{BINDING_REQUEST, HEADER_SIZE, begin, set_length};

/// Our half of an ICE session's credentials.
#[derive(Clone)]
pub struct Credentials {
    username_fragment: Box<str>,
    integrity: Hmac<Sha1>,
}

impl Credentials {
    /// The credentials, as the client knows them.
    pub fn new(username_fragment: &str, password: &str) -> Self {
        let integrity = Hmac::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any size");
        Self { username_fragment: username_fragment.into(), integrity }
    }

    /// Our half of the username in requests for these credentials.
    pub fn username_fragment(&self) -> &str {
        &self.username_fragment
    }

    /// Whether this is the integrity of the message before `at`.
    pub fn fit(&self, message: &[u8], at: usize, integrity: &[u8]) -> bool {
        self.integrity_until(message, at).verify_slice(integrity).is_ok()
    }

    /// Append the integrity and a fingerprint; each message of an ICE agent has both (RFC 8445 section 7).
    pub(super) fn seal(&self, message: &mut Vec<u8>) {
        let integrity = self.integrity_until(message, message.len()).finalize().into_bytes();
        append(message, MESSAGE_INTEGRITY, &integrity);
        set_length(message, HEAD_SIZE + FINGERPRINT_SIZE);
        let fingerprint = fingerprint(message);
        append(message, FINGERPRINT, &fingerprint);
    }

    /// The integrity of the bytes before it.  Their length field counts as if the integrity were the last attribute.
    fn integrity_until(&self, message: &[u8], at: usize) -> Hmac<Sha1> {
        let length = (at - HEADER_SIZE + HEAD_SIZE + INTEGRITY_SIZE) as u16;
        let mut integrity = self.integrity.clone();
        integrity.update(&message[..2]);
        integrity.update(&length.to_be_bytes());
        integrity.update(&message[4..at]);
        integrity
    }
}

thread_local! {
    /// The number of the next message that [`Credentials::message`] makes.
    static MESSAGES: Cell<u32> = const { Cell::new(0) };
}

/// The messages of a client, for the self-test and for tests.  Each has a transaction identifier of its own.
impl Credentials {
    /// A request as the controlling agent makes it.
    pub fn request(&self, use_candidate: bool) -> Vec<u8> {
        let nomination: &[(u16, &[u8])] = if use_candidate { &[(USE_CANDIDATE, &[])] } else { &[] };
        self.message(BINDING_REQUEST, nomination)
    }

    /// A request with these attributes.
    #[cfg(test)]
    pub fn request_with(&self, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        self.message(BINDING_REQUEST, attributes)
    }

    /// A message made authentic: as much of it as is whole words, with the integrity and the fingerprint behind.
    #[cfg(any(test, fuzzing))]
    pub fn sealed_again(&self, message: &[u8]) -> Vec<u8> {
        let mut sealed = message[..message.len() / 4 * 4].to_vec();
        sealed.resize(sealed.len().max(HEADER_SIZE), 0);
        sealed[4..8].copy_from_slice(&super::header::COOKIE.to_be_bytes());
        self.seal(&mut sealed);
        sealed
    }

    /// An indication.
    #[cfg(test)]
    pub fn indication(&self) -> Vec<u8> {
        self.message(super::header::BINDING_INDICATION, &[])
    }

    /// A message with the username, a priority and these attributes.
    pub(super) fn message(&self, message_type: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut transaction_id = [7; 12];
        transaction_id[..4].copy_from_slice(&MESSAGES.replace(MESSAGES.get().wrapping_add(1)).to_be_bytes());
        let mut message = begin(message_type, &transaction_id);
        append(&mut message, USERNAME, format!("{}:abc", self.username_fragment).as_bytes());
        append(&mut message, PRIORITY, &[1, 2, 3, 4]);
        attributes.iter().for_each(|(kind, value)| append(&mut message, *kind, value));
        self.seal(&mut message);
        message
    }
}
