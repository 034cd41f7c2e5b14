//! The Binding requests by which a client keeps a connection alive (RFC 8489, RFC 8445 section 7, RFC 7675).
//!
//! Only what is plain and authentic is recognised here; everything else is for the slow path to judge.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::core::wire::rtp::{be16, be32};

const HEADER_SIZE: usize = 20;
const COOKIE: u32 = 0x2112_A442;
const FINGERPRINT_MASK: u32 = 0x5354_554E;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_INDICATION: u16 = 0x0011;
const BINDING_SUCCESS: u16 = 0x0101;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const FIRST_OPTIONAL: u16 = 0x8000;

const INTEGRITY_SIZE: usize = 20;
const FINGERPRINT_SIZE: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;

/// Our half of an ICE session's credentials, short-term ones (RFC 8489 section 9.1).
#[derive(Clone)]
pub struct Credentials {
    username_fragment: Box<str>,
    integrity: Hmac<Sha1>,
}

/// What of an authentic request, or indication, matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub transaction_id: [u8; 12],
    pub use_candidate: bool,
    /// It wants no answer.
    pub indication: bool,
}

impl Credentials {
    pub fn new(username_fragment: &str, password: &str) -> Self {
        let integrity = Hmac::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any size");
        Self { username_fragment: username_fragment.into(), integrity }
    }

    /// A request or indication of a controlling agent for these credentials, with nothing in it that we do not know.
    pub fn read_untrusted(&self, datagram: &[u8]) -> Option<Binding> {
        let indication = is_indication_untrusted(datagram);
        if !indication && !is_untrusted(BINDING_REQUEST, datagram) {
            return None;
        }
        let (mut named, mut authentic, mut use_candidate) = (false, false, false);
        let mut at = HEADER_SIZE;
        while at < datagram.len() {
            let kind = be16(datagram.get(at..at + ATTRIBUTE_HEADER)?, 0);
            let size = usize::from(be16(datagram, at + 2));
            let value = datagram.get(at + ATTRIBUTE_HEADER..at + ATTRIBUTE_HEADER + size)?;
            match kind {
                FINGERPRINT => {
                    let last = at + ATTRIBUTE_HEADER + FINGERPRINT_SIZE == datagram.len();
                    if !last || value != fingerprint(&datagram[..at]) {
                        return None;
                    }
                }
                // What follows the integrity is not authentic.
                _ if authentic => return None,
                MESSAGE_INTEGRITY => {
                    self.integrity_until(datagram, at).verify_slice(value).ok()?;
                    authentic = true;
                }
                USERNAME if !named && self.is_of(value) => named = true,
                USE_CANDIDATE if size == 0 => use_candidate = true,
                PRIORITY if size == 4 => {}
                // We are always controlled, so that a peer that is, too, has to be told.
                ICE_CONTROLLED => return None,
                _ if kind < FIRST_OPTIONAL => return None,
                _ => {}
            }
            at += ATTRIBUTE_HEADER + size.next_multiple_of(4);
        }
        let transaction_id = datagram[8..HEADER_SIZE].try_into().ok()?;
        (named && authentic && at == datagram.len()).then_some(Binding { transaction_id, use_candidate, indication })
    }

    /// The answer to a request that came from `remote` (RFC 8489 section 7.3.1.1).
    pub fn answer(&self, request: &Binding, remote: SocketAddr) -> Vec<u8> {
        let mut answer = Vec::with_capacity(96);
        answer.extend(BINDING_SUCCESS.to_be_bytes());
        answer.extend([0; 2]);
        answer.extend(COOKIE.to_be_bytes());
        answer.extend(request.transaction_id);
        append(&mut answer, XOR_MAPPED_ADDRESS, &mapped(remote, &request.transaction_id));
        set_length(&mut answer, ATTRIBUTE_HEADER + INTEGRITY_SIZE);
        let integrity = self.integrity_until(&answer, answer.len()).finalize().into_bytes();
        append(&mut answer, MESSAGE_INTEGRITY, &integrity);
        set_length(&mut answer, ATTRIBUTE_HEADER + FINGERPRINT_SIZE);
        let fingerprint = fingerprint(&answer);
        append(&mut answer, FINGERPRINT, &fingerprint);
        answer
    }

    /// Is this `<ours>:<theirs>` (RFC 8445 section 7.2.2)?
    fn is_of(&self, username: &[u8]) -> bool {
        username.strip_prefix(self.username_fragment.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
    }

    /// The integrity of what comes before it, with a length as if it were the last (RFC 8489 section 14.5).
    fn integrity_until(&self, message: &[u8], at: usize) -> Hmac<Sha1> {
        let length = (at - HEADER_SIZE + ATTRIBUTE_HEADER + INTEGRITY_SIZE) as u16;
        let mut integrity = self.integrity.clone();
        integrity.update(&message[..2]);
        integrity.update(&length.to_be_bytes());
        integrity.update(&message[4..at]);
        integrity
    }
}

/// Whether it looks like a Binding indication (RFC 8445 section 11), which mostly has nothing to prove it by.
pub fn is_indication_untrusted(datagram: &[u8]) -> bool {
    is_untrusted(BINDING_INDICATION, datagram)
}

/// Whether it looks like STUN of this type (RFC 8489 section 5).
fn is_untrusted(kind: u16, datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_SIZE
        && be16(datagram, 0) == kind
        && usize::from(be16(datagram, 2)) == datagram.len() - HEADER_SIZE
        && be32(datagram, 4) == COOKIE
}

/// RFC 8489 section 14.7.
fn fingerprint(before: &[u8]) -> [u8; FINGERPRINT_SIZE] {
    (crc32fast::hash(before) ^ FINGERPRINT_MASK).to_be_bytes()
}

/// The value of XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
fn mapped(remote: SocketAddr, transaction_id: &[u8; 12]) -> Vec<u8> {
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

/// An attribute, in whole words (RFC 8489 section 14).
fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Say how long the message will be with `more` bytes.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - HEADER_SIZE + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

impl Credentials {
    /// A request as a client makes it, to try what becomes of it.
    pub fn request(&self, use_candidate: bool) -> Vec<u8> {
        self.binding(BINDING_REQUEST, use_candidate)
    }

    /// The same for an indication.
    #[cfg(test)]
    pub fn indication(&self) -> Vec<u8> {
        self.binding(BINDING_INDICATION, false)
    }

    fn binding(&self, kind: u16, use_candidate: bool) -> Vec<u8> {
        let mut request = [&kind.to_be_bytes()[..], &[0; 2], &COOKIE.to_be_bytes(), &[7; 12]].concat();
        append(&mut request, USERNAME, format!("{}:abc", self.username_fragment).as_bytes());
        append(&mut request, PRIORITY, &[1, 2, 3, 4]);
        if use_candidate {
            append(&mut request, USE_CANDIDATE, &[]);
        }
        let integrity = self.integrity_until(&request, request.len()).finalize().into_bytes();
        append(&mut request, MESSAGE_INTEGRITY, &integrity);
        set_length(&mut request, ATTRIBUTE_HEADER + FINGERPRINT_SIZE);
        let fingerprint = fingerprint(&request);
        append(&mut request, FINGERPRINT, &fingerprint);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::hex::hex;

    fn credentials() -> Credentials {
        Credentials::new("ours", "a password of more than 22 letters")
    }

    /// The sample request of RFC 5769 section 2.1.
    fn sample() -> Vec<u8> {
        hex("000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
             002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
             000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf")
    }

    #[test]
    fn the_integrity_and_the_fingerprint_are_those_of_rfc_5769() {
        let (sample, credentials) = (sample(), Credentials::new("evtj", "VOkJxbRl1RmTxUk/WvJxBt"));
        let (integrity_at, fingerprint_at) = (sample.len() - 32, sample.len() - 8);
        let integrity = credentials.integrity_until(&sample, integrity_at).finalize().into_bytes();
        assert_eq!(integrity[..], sample[integrity_at + 4..fingerprint_at]);
        assert_eq!(fingerprint(&sample[..fingerprint_at])[..], sample[fingerprint_at + 4..]);
        // Its sender says that it is controlled: not for us to answer.
        assert_eq!(credentials.read_untrusted(&sample), None);
    }

    #[test]
    fn a_request_that_is_changed_anywhere_or_cut_anywhere_is_no_request() {
        let credentials = credentials();
        let request = credentials.request(true);
        let expected = Binding { transaction_id: [7; 12], use_candidate: true, indication: false };
        assert_eq!(credentials.read_untrusted(&request), Some(expected));
        for bit in 0..8 * request.len() {
            let mut changed = request.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(credentials.read_untrusted(&changed), None, "bit {bit}");
        }
        for size in 0..request.len() {
            assert_eq!(credentials.read_untrusted(&request[..size]), None, "{size} bytes");
        }
    }

    #[test]
    fn an_answer_tells_the_address_masked() {
        let request = Binding { transaction_id: [7; 12], use_candidate: false, indication: false };
        let answer = credentials().answer(&request, "192.0.2.1:32853".parse().unwrap());
        // As in RFC 5769 section 2.2, where port and address are the same.
        assert_eq!(answer[20..32], hex("002000080001a147e112a643")[..]);
        assert_eq!(usize::from(be16(&answer, 2)), answer.len() - HEADER_SIZE);
    }
}
