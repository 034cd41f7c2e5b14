//! Bindings are read strictly, and answered as RFC 8489 says.

use proptest::prelude::*;

use super::attribute::{
    FINGERPRINT, ICE_CONTROLLED, INTEGRITY_SIZE, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE, USERNAME, append,
};
use super::header::*;
use super::*;
use crate::core::wire::hex::hex;

/// Attributes that a request can have: the wrong role, and one that has to be understood.
pub const CONTROLLED: (u16, &[u8]) = (ICE_CONTROLLED, &[0; 8]);
pub const UNHEARD_OF: (u16, &[u8]) = (0x7F01, b"?");

const NAME: (u16, &[u8]) = (USERNAME, b"ours:theirs");
const TRANSACTION_ID: TransactionId = [7; 12];

fn credentials() -> Credentials {
    Credentials::new("ours", "a password of more than 22 letters")
}

/// The sample request of RFC 5769 section 2.1.
fn sample() -> Vec<u8> {
    hex("000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
         002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
         000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf")
}

fn sample_credentials() -> Credentials {
    Credentials::new("evtj", "VOkJxbRl1RmTxUk/WvJxBt")
}

/// A request with these attributes alone.
fn bare(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = begin(BINDING_REQUEST, &TRANSACTION_ID);
    attributes.iter().for_each(|(kind, value)| append(&mut message, *kind, value));
    let size = (message.len() - HEADER_SIZE) as u16;
    message[2..4].copy_from_slice(&size.to_be_bytes());
    message
}

/// The same with an integrity and a fingerprint.
fn sealed(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = bare(attributes);
    credentials().seal(&mut message);
    message
}

/// Read a request; `None` for what is no request, or malformed.
fn read(datagram: &[u8]) -> Option<Binding<'_>> {
    let request = message_type_untrusted(datagram) == Ok(MessageType::Request);
    request.then(|| Binding::read_untrusted(datagram).ok())?
}

#[test]
fn the_sample_request_of_rfc_5769_is_read_and_authentic() {
    let sample = sample();
    let request = read(&sample).unwrap();
    assert_eq!(request.local_fragment(), "evtj");
    assert_eq!(request.transaction_id[..], hex("b7e7a701bc34d686fa87dfae"));
    assert_eq!((request.controlled, request.use_candidate), (true, false));
    assert!(request.unknown_attributes.is_empty());
    assert!(request.is_authentic(&sample_credentials()));
    assert!(!request.is_authentic(&Credentials::new("evtj", "VOkJxbRl1RmTxUk/WvJxBtx")));
}

#[test]
fn a_changed_or_truncated_request_is_not_authentic() {
    let request = credentials().request(true);
    let authentic = |datagram: &[u8]| read(datagram).is_some_and(|request| request.is_authentic(&credentials()));
    assert!(authentic(&request));
    let fingerprint_at = request.len() - 8;
    for bit in 0..8 * request.len() {
        if (fingerprint_at..fingerprint_at + 2).contains(&(bit / 8)) {
            continue; // an attribute of another type is passed over there, since the integrity does not cover it
        }
        let mut changed = request.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!authentic(&changed), "bit {bit}");
    }
    for size in 0..request.len() {
        assert!(!authentic(&request[..size]), "{size} bytes");
    }
}

#[test]
fn the_mapped_addresses_of_rfc_5769_are_written_byte_for_byte() {
    let sample = sample();
    let request = read(&sample).unwrap();
    for (address, attribute) in [
        ("192.0.2.1:32853", "002000080001a147e112a643"),
        ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
    ] {
        let answer = success(&request.transaction_id, address.parse().unwrap(), &credentials());
        let expected = hex(attribute);
        assert_eq!(answer[..2], [1, 1]);
        assert_eq!(answer[20..20 + expected.len()], expected);
    }
}

#[test]
fn an_answer_has_the_integrity_of_all_before_it_and_a_fingerprint_at_its_end() {
    let answer = role_conflict(&TRANSACTION_ID, &credentials());
    assert_eq!(answer[..20], hex("0111 0038 2112a442 07070707 07070707 07070707"));
    assert_eq!(answer[20..41], *b"\x00\x09\x00\x11\x00\x00\x04\x57Role Conflict");
    let (integrity_at, fingerprint_at) = (answer.len() - 32, answer.len() - 8);
    assert_eq!(answer[integrity_at..integrity_at + 4], hex("00080014"));
    assert!(credentials().fit(&answer, integrity_at, &answer[integrity_at + 4..fingerprint_at]));
    let fingerprint = crc32fast::hash(&answer[..fingerprint_at]) ^ 0x5354_554E;
    assert_eq!(answer[fingerprint_at..], [hex("80280004"), fingerprint.to_be_bytes().to_vec()].concat());
}

#[test]
fn unknown_required_attributes_are_named_in_the_answer() {
    let message = sealed(&[NAME, UNHEARD_OF, (0x0035, b""), UNHEARD_OF, (0xC057, b"may be passed over")]);
    let request = read(&message).unwrap();
    assert_eq!(request.unknown_attributes, [0x7F01, 0x0035]);
    let answer = unknown_attributes(&request.transaction_id, &request.unknown_attributes, &credentials());
    assert_eq!(answer[..2], [1, 0x11]);
    assert_eq!(answer[20..45], *b"\x00\x09\x00\x15\x00\x00\x04\x14Unknown Attribute");
    assert_eq!(answer[48..56], hex("000a0004 7f010035"));
}

#[test]
fn a_nomination_is_read() {
    assert!(read(&credentials().request(true)).unwrap().use_candidate);
    assert!(!read(&credentials().request(false)).unwrap().use_candidate);
}

#[test]
fn the_fingerprint_is_optional() {
    let mut without = credentials().request(false);
    without.truncate(without.len() - 8);
    let size = (without.len() - HEADER_SIZE) as u16;
    without[2..4].copy_from_slice(&size.to_be_bytes());
    assert!(read(&without).unwrap().is_authentic(&credentials()));
}

#[test]
fn attributes_behind_the_integrity_are_ignored() {
    let message = sealed(&[NAME]);
    let integrity = &message[message.len() - 28..message.len() - 8];
    let followed = bare(&[NAME, (MESSAGE_INTEGRITY, integrity), (USE_CANDIDATE, b""), UNHEARD_OF, (PRIORITY, b"1")]);
    let request = read(&followed).unwrap();
    assert!(request.is_authentic(&credentials()));
    assert!(!request.use_candidate);
    assert!(request.unknown_attributes.is_empty());
}

#[test]
fn the_type_of_a_message_is_in_its_header() {
    for (message_type, expected) in [
        (BINDING_REQUEST, MessageType::Request),
        (BINDING_INDICATION, MessageType::Indication),
        (BINDING_SUCCESS, MessageType::Answer),
        (BINDING_ERROR, MessageType::Answer),
        (0x0003, MessageType::Other),
        (0x0FFF, MessageType::Other),
    ] {
        assert_eq!(message_type_untrusted(&credentials().message(message_type, &[])), Ok(expected));
    }
}

#[test]
fn a_header_that_is_no_binding_is_malformed() {
    let request = credentials().request(false);
    let mut other_cookie = request.clone();
    other_cookie[4] ^= 1;
    let mut half_word = [&request[..], &[0]].concat();
    half_word[3] += 1;
    let large = credentials().request_with(&[(0x8022, &[0; MAX_SIZE])]);
    for datagram in [&b""[..], &request[..19], &request[..40], &other_cookie, &half_word, &large] {
        assert_eq!(message_type_untrusted(datagram), Err(BadMessage), "{} bytes", datagram.len());
    }
    assert_eq!(message_type_untrusted(&[&request[..], &[0; 4]].concat()), Err(BadMessage), "trailing bytes");
}

#[test]
fn attributes_of_a_wrong_size_are_malformed() {
    let mut wrong_fingerprint = sealed(&[NAME]);
    *wrong_fingerprint.last_mut().unwrap() ^= 1;
    let mut too_long = bare(&[NAME, (PRIORITY, b"1234")]);
    *too_long.iter_mut().rev().nth(4).unwrap() = 200;
    for (what, datagram) in [
        ("a wrong fingerprint", wrong_fingerprint),
        ("an attribute longer than the message", too_long),
        ("no username", sealed(&[])),
        ("a username without a colon", sealed(&[(USERNAME, b"nocolon")])),
        ("a username that is not UTF-8", sealed(&[(USERNAME, b"\xff:\xff")])),
        ("no integrity", bare(&[NAME])),
        ("a short integrity", bare(&[NAME, (MESSAGE_INTEGRITY, &[0; INTEGRITY_SIZE - 1])])),
        ("two usernames", sealed(&[NAME, NAME])),
        ("a priority of one byte", sealed(&[NAME, (PRIORITY, b"1")])),
        ("an empty address", sealed(&[NAME, (0x0020, b"")])),
        ("an address of no family", sealed(&[NAME, (0x0020, &[0; 8])])),
        ("a short error code", sealed(&[NAME, (0x0009, b"123")])),
        ("something behind the fingerprint", bare(&[NAME, (FINGERPRINT, &[0; 4]), (USE_CANDIDATE, b"")])),
    ] {
        assert!(read(&datagram).is_none(), "{what}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_to_their_end(
        mut body in prop::collection::vec(any::<u8>(), 0..200),
        whole in any::<bool>(),
    ) {
        if whole {
            body.truncate(body.len() / 4 * 4);
            body.splice(0..0, bare(&[])[..].iter().copied());
            let size = (body.len() - HEADER_SIZE) as u16;
            body[2..4].copy_from_slice(&size.to_be_bytes());
        }
        read(&body);
        let _ = Binding::read_untrusted(&body);
    }

    #[test]
    fn arbitrary_attributes_are_read_to_their_end(
        attributes in prop::collection::vec(
            (
                prop::sample::select(vec![0x0006, 0x0008, 0x0009, 0x0013, 0x0020, 0x0024, 0x0025, 0x8028, 0x802A, 0x7FFF]),
                prop::collection::vec(any::<u8>(), 0..24),
            ),
            0..5,
        ),
    ) {
        let attributes: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
        read(&sealed(&attributes));
        read(&bare(&attributes));
    }

    #[test]
    fn a_changed_message_is_read_to_its_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        size in any::<prop::sample::Index>(),
        repair in any::<bool>(),
    ) {
        let mut datagram = sample();
        for (place, value) in changes {
            let place = place.index(datagram.len());
            datagram[place] = value;
        }
        datagram.truncate(HEADER_SIZE + size.index(datagram.len() - HEADER_SIZE + 1));
        if repair {
            let size = (datagram.len() - HEADER_SIZE) as u16;
            datagram[2..4].copy_from_slice(&size.to_be_bytes());
        }
        if let Some(request) = read(&datagram) {
            request.is_authentic(&sample_credentials());
        }
    }
}
