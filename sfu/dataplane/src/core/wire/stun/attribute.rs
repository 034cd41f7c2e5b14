//! The attributes of messages (RFC 8489 section 14): their types, and the forms of their values.

use super::header::{BadMessage, HEADER_SIZE};
use crate::core::wire::rtp::be16;

pub const USERNAME: u16 = 0x0006;
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
pub const ERROR_CODE: u16 = 0x0009;
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub const PRIORITY: u16 = 0x0024;
pub const USE_CANDIDATE: u16 = 0x0025;
pub const FINGERPRINT: u16 = 0x8028;
pub const ICE_CONTROLLED: u16 = 0x8029;
pub const ICE_CONTROLLING: u16 = 0x802A;

/// A message with an unknown type below this one must be refused (section 5).
pub const FIRST_OPTIONAL: u16 = 0x8000;

pub const INTEGRITY_SIZE: usize = 20;
pub const FINGERPRINT_SIZE: usize = 4;
pub const HEAD_SIZE: usize = 4;

const FINGERPRINT_MASK: u32 = 0x5354_554E;

/// An attribute in a received message.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    pub kind: u16,
    /// The place of its head in the datagram.
    pub at: usize,
    pub value: &'a [u8],
}

/// Iterates over the attributes of a message whose header has been checked.
pub fn attributes_untrusted(datagram: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, BadMessage>> {
    let mut at = HEADER_SIZE;
    std::iter::from_fn(move || {
        if at >= datagram.len() {
            return None;
        }
        let attribute = read_untrusted(datagram, at);
        at = attribute.map_or(datagram.len(), |one| at + HEAD_SIZE + one.value.len().next_multiple_of(4));
        Some(attribute)
    })
}

/// The value, and the zeros that fill its last word, lie within the datagram.
fn read_untrusted(datagram: &[u8], at: usize) -> Result<Attribute<'_>, BadMessage> {
    let head = datagram.get(at..at + HEAD_SIZE).ok_or(BadMessage)?;
    let size = usize::from(be16(head, 2));
    let whole = datagram.get(at + HEAD_SIZE..at + HEAD_SIZE + size.next_multiple_of(4)).ok_or(BadMessage)?;
    Ok(Attribute { kind: be16(head, 0), at, value: &whole[..size] })
}

/// Append an attribute, in whole words.
pub fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// The form of a value.
#[derive(Clone, Copy)]
enum Form {
    Address,
    AtLeast(usize),
    Exactly(usize),
    ErrorCode,
    Text,
}

/// The form of an attribute; `None` for an unknown type.
///
/// The list has types that no Binding request needs, so that a client that sends them is not refused.
fn form(kind: u16) -> Option<Form> {
    Some(match kind {
        USERNAME => Form::Text,
        MESSAGE_INTEGRITY => Form::AtLeast(0), // its size is checked where it is compared
        ERROR_CODE => Form::ErrorCode,
        PRIORITY => Form::Exactly(4),
        USE_CANDIDATE => Form::AtLeast(0),
        FINGERPRINT => Form::Exactly(FINGERPRINT_SIZE),
        ICE_CONTROLLED | ICE_CONTROLLING => Form::Exactly(8),
        XOR_MAPPED_ADDRESS | 0x0001 | 0x0004 | 0x0005 | 0x802B | 0x802C => Form::Address, // of RFC 3489 and RFC 5780
        0x0014 | 0x8022 => Form::Text,                                                    // REALM, SOFTWARE
        0x0015 | 0x0013 => Form::AtLeast(0),                                              // NONCE, DATA
        0x0003 | 0x000D | 0x0019 => Form::Exactly(4), // CHANGE-REQUEST, LIFETIME, REQUESTED-TRANSPORT
        0x000C => Form::AtLeast(2),                   // CHANNEL-NUMBER
        0x0012 | 0x0016 => Form::Address,             // XOR-PEER-ADDRESS, XOR-RELAYED-ADDRESS
        _ => return None,
    })
}

impl Attribute<'_> {
    /// Whether the value has the form of its type; `None` for an unknown type.
    pub fn is_well_formed(&self) -> Option<bool> {
        let value = self.value;
        form(self.kind).map(|form| match form {
            Form::Address => matches!((value.len(), value.get(1)), (8, Some(1)) | (20, Some(2))),
            Form::AtLeast(size) => value.len() >= size,
            Form::Exactly(size) => value.len() == size,
            Form::ErrorCode => value.len() >= 4 && std::str::from_utf8(&value[4..]).is_ok(),
            Form::Text => std::str::from_utf8(value).is_ok(),
        })
    }
}

/// The fingerprint of the bytes before it; the header must have the length of the whole message (section 14.7).
pub fn fingerprint(before: &[u8]) -> [u8; FINGERPRINT_SIZE] {
    (crc32fast::hash(before) ^ FINGERPRINT_MASK).to_be_bytes()
}
