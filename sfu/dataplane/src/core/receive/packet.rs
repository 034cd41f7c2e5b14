//! One opened packet, with everything that is worked out once for all its consumers.

use crate::core::wire::payload::Frame;
use crate::core::wire::rtp::{Element, Header, Malformed, padding_size_untrusted};

/// An opened packet of an encoding whose payload has not been read.
///
/// A packet that was lost and came inside another one has the parts of both: `header` and `body` are its own.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The whole plain packet that came.
    pub plain: &'a [u8],
    /// The header of this packet, with the client's payload type.
    pub header: Header,
    /// The header extension of the packet that came.
    pub elements: &'a [Element],
    /// The payload without padding.
    pub body: &'a [u8],
    /// The padding behind it; its last byte is its size (RFC 3550 section 5.1).
    pub padding: &'a [u8],
    /// When it came, in seconds.
    pub now: f64,
}

impl<'a> Opened<'a> {
    /// Cut the padding off a plain packet with this header.
    pub fn split_untrusted(
        plain: &'a [u8],
        header: &Header,
        elements: &'a [Element],
        now: f64,
    ) -> Result<Self, Malformed> {
        let padding = padding_size_untrusted(plain, header)?;
        let (body, padding) = plain[header.size..].split_at(plain.len() - padding - header.size);
        Ok(Self { plain, header: *header, elements, body, padding, now })
    }
}

/// An interruption lasts so long, in seconds, and loses more packets than this.
const INTERRUPTION: f64 = 1.0;
const INTERRUPTED: i64 = 16;

/// The place of a packet in its encoding.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The sequence number, extended so that it never wraps.
    pub number: i64,
    /// The highest number before it; one less than its own for the first packet.
    pub highest: i64,
    /// Seconds since the newest packet before it; `None` if there was none.
    pub pause: Option<f64>,
}

impl Place {
    /// Whether no later packet came before it.
    pub fn newest(&self) -> bool {
        self.number > self.highest
    }

    /// Whether the client could not be heard for long.  A single packet may also be lost in a long pause.
    pub fn is_behind_interruption(&self) -> bool {
        self.number - self.highest > INTERRUPTED && self.pause.is_some_and(|pause| pause >= INTERRUPTION)
    }
}

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

impl Packet<'_> {
    /// Bytes of the packet with its own header, payload and padding.
    pub fn size(&self) -> usize {
        self.header.size + self.payload.len() + self.padding.len()
    }
}
