//! The header of every STUN message (RFC 8489 section 5).

use crate::core::wire::rtp::{be16, be32};

/// The largest message that is read, in bytes.  Those of browsers have some 100, with DTLS inside some 1,300.
pub const MAX_SIZE: usize = 1500;
pub const HEADER_SIZE: usize = 20;
/// The magic cookie: it distinguishes STUN from other protocols, and masks addresses.
pub const COOKIE: u32 = 0x2112_A442;

const ANSWER_SIZE: usize = 96; // enough for all but long lists of unknown attributes

pub const BINDING_REQUEST: u16 = 0x0001;
pub const BINDING_INDICATION: u16 = 0x0011;
pub const BINDING_SUCCESS: u16 = 0x0101;
pub const BINDING_ERROR: u16 = 0x0111;

/// The identifier by which an answer matches its request (RFC 8489 section 5).
pub type TransactionId = [u8; 12];

/// The datagram is not STUN, or the message lacks a required part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage;

/// The type of a message, by its header alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A Binding request: it wants an answer.
    Request,
    /// A Binding indication, by which a client keeps a NAT open (RFC 8445 section 11).
    Indication,
    /// An answer to a Binding request of ours, whether it is a success or an error.
    Answer,
    /// A message that no client sends to us: another method.
    Other,
}

/// Check the header (RFC 8489 section 5).  Gives the type of the message.
pub fn message_type_untrusted(datagram: &[u8]) -> Result<MessageType, BadMessage> {
    if datagram.len() < HEADER_SIZE || datagram.len() > MAX_SIZE || be32(datagram, 4) != COOKIE {
        return Err(BadMessage);
    }
    let size = usize::from(be16(datagram, 2));
    if !size.is_multiple_of(4) || size != datagram.len() - HEADER_SIZE {
        return Err(BadMessage);
    }
    Ok(match be16(datagram, 0) {
        BINDING_REQUEST => MessageType::Request,
        BINDING_INDICATION => MessageType::Indication,
        BINDING_SUCCESS | BINDING_ERROR => MessageType::Answer,
        _ => MessageType::Other,
    })
}

/// The transaction identifier of a message whose header has been checked.
pub fn transaction_id_untrusted(datagram: &[u8]) -> Result<TransactionId, BadMessage> {
    datagram.get(8..HEADER_SIZE).and_then(|id| id.try_into().ok()).ok_or(BadMessage)
}

/// A header; [`set_length`] must write its length.
pub fn begin(message_type: u16, transaction_id: &TransactionId) -> Vec<u8> {
    let mut message = Vec::with_capacity(ANSWER_SIZE);
    message.extend(message_type.to_be_bytes());
    message.extend([0; 2]);
    message.extend(COOKIE.to_be_bytes());
    message.extend(transaction_id);
    message
}

/// Write the length that the message will have with `more` bytes.
pub fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - HEADER_SIZE + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}
