//! Answers to Binding requests.

use std::net::{IpAddr, SocketAddr};

use super::attribute::{ERROR_CODE, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS, append};
use super::credentials::Credentials;
use super::header::{BINDING_ERROR, BINDING_SUCCESS, COOKIE, TransactionId, begin};
use crate::core::wire::rtp::be16;

/// A success response, with the address that the request came from (RFC 8489 section 7.3.1.1).
pub fn success(transaction_id: &TransactionId, remote: SocketAddr, credentials: &Credentials) -> Vec<u8> {
    let mut message = begin(BINDING_SUCCESS, transaction_id);
    append(&mut message, XOR_MAPPED_ADDRESS, &mapped(remote, transaction_id));
    credentials.seal(&mut message);
    message
}

/// An error response: the client must take the controlling role, as an ICE-lite agent never does (RFC 8445 section
/// 7.3.1.1).
pub fn role_conflict(transaction_id: &TransactionId, credentials: &Credentials) -> Vec<u8> {
    let mut message = begin(BINDING_ERROR, transaction_id);
    append(&mut message, ERROR_CODE, &error(487, "Role Conflict"));
    credentials.seal(&mut message);
    message
}

/// An error response that names unknown required attributes (RFC 8489 section 6.3.1).
pub fn unknown_attributes(transaction_id: &TransactionId, types: &[u16], credentials: &Credentials) -> Vec<u8> {
    let mut message = begin(BINDING_ERROR, transaction_id);
    append(&mut message, ERROR_CODE, &error(420, "Unknown Attribute"));
    append(&mut message, UNKNOWN_ATTRIBUTES, &types.iter().flat_map(|one| one.to_be_bytes()).collect::<Vec<_>>());
    credentials.seal(&mut message);
    message
}

/// The value of ERROR-CODE: the hundreds, the rest, and a phrase (section 14.8).
fn error(code: u16, reason: &str) -> Vec<u8> {
    [&[0, 0, (code / 100) as u8, (code % 100) as u8], reason.as_bytes()].concat()
}

/// The value of XOR-MAPPED-ADDRESS.  The mask hides the address from NATs that rewrite addresses (section 14.2).
fn mapped(remote: SocketAddr, transaction_id: &TransactionId) -> Vec<u8> {
    let cookie = COOKIE.to_be_bytes();
    let port = (remote.port() ^ be16(&cookie, 0)).to_be_bytes();
    let masked = |address: &[u8]| -> Vec<u8> {
        address.iter().zip(cookie.iter().chain(transaction_id)).map(|(byte, mask)| byte ^ mask).collect()
    };
    let (family, address) = match remote.ip() {
        IpAddr::V4(address) => (1, masked(&address.octets())),
        IpAddr::V6(address) => (2, masked(&address.octets())),
    };
    [&[0, family], &port[..], &address].concat()
}
