//! One opened packet, with everything that is worked out once for all its consumers.

use crate::core::wire::payload::Frame;
use crate::core::wire::rtp::{Element, Header};

/// An opened packet of an encoding.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The whole plain packet with header, extensions and padding.
    pub plain: &'a [u8],
    /// The bytes for the codec, without padding; of redundant blocks only the primary one.
    pub payload: &'a [u8],
    /// The padding behind the payload; its last byte is its size (RFC 3550 section 5.1).
    pub padding: &'a [u8],
    /// The parsed header.
    pub header: Header,
    /// The parsed header extension.
    pub elements: &'a [Element],
    /// The sequence number, extended so that it never wraps.
    pub extended: i64,
    /// No later packet of its encoding came before it.
    pub newest: bool,
    /// The router's payload type.
    pub payload_type: u8,
    /// No consumer gets it: it holds no media, or media in a format that was not announced.
    pub left_out: bool,
    /// The marks of its frame in the payload; `None` for a codec that the core does not read.
    pub frame: Option<Frame>,
    /// The picture id, extended so that it never wraps.
    pub picture: i64,
    /// A number that no other packet of the core has, from 1.
    pub serial: u64,
    /// When it came, in seconds.
    pub now: f64,
}
