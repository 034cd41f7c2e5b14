//! STUN messages, as they came and with the right integrity and fingerprint.

use crate::core::wire::demux::{Protocol, classify};
use crate::core::wire::stun::{
    Binding, Credentials, MessageType, message_type_untrusted, role_conflict, success, transaction_id_untrusted,
    unknown_attributes,
};

const MESSAGE_INTEGRITY: [u8; 2] = [0, 8];
const PASSWORD: &str = "a password";

/// Nobody passes without the password, and every answer is a well-formed message.
pub fn try_untrusted(datagram: &[u8]) {
    let credentials = Credentials::new("ours1", PASSWORD);
    read(datagram, &credentials);
    if datagram.len() >= 20 {
        let sealed = credentials.sealed_again(datagram);
        let was_sealed = datagram.windows(2).any(|pair| pair == MESSAGE_INTEGRITY);
        assert!(was_sealed || read(&sealed, &credentials) != Some(false));
    }
}

/// Whether the message is authentic; `None` if it is no readable Binding.
fn read(datagram: &[u8], credentials: &Credentials) -> Option<bool> {
    let Ok(kind) = message_type_untrusted(datagram) else { return None };
    assert!(datagram.len() <= 1500 && datagram.len().is_multiple_of(4));
    if kind == MessageType::Other {
        return None;
    }
    assert_eq!(classify(datagram), Protocol::Stun);
    let binding = Binding::read_untrusted(datagram).ok()?;
    assert!(binding.unknown_attributes.len() <= datagram.len() / 4);
    assert!(binding.local_fragment().len() < datagram.len());
    let id = binding.transaction_id;
    assert_eq!(transaction_id_untrusted(datagram), Ok(id));
    let remote = "192.0.2.1:1000".parse().unwrap();
    for answer in [
        success(&id, remote, credentials),
        role_conflict(&id, credentials),
        unknown_attributes(&id, &binding.unknown_attributes, credentials),
    ] {
        assert_eq!(message_type_untrusted(&answer), Ok(MessageType::Answer));
        assert!(answer.len() <= datagram.len() + 80, "{} bytes for {}", answer.len(), datagram.len());
    }
    assert!(!binding.is_authentic(&Credentials::new("ours1", "another password")));
    Some(binding.is_authentic(credentials))
}
