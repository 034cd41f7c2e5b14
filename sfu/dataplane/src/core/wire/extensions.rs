//! Header extensions rewritten from the client's ids to the router's (RFC 8285), once for all consumers with one
//! selection.

use crate::core::wire::rtp::{Element, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};

const HEAD: usize = 4; // bytes before the elements: the profile, and the size in words
const NUMBER_SIZE: usize = 2; // bytes of a transport-wide sequence number

/// Whether an element with this id and a value of this size does not fit the one-byte form.
fn needs_two_bytes(number: u8, size: usize) -> bool {
    number > 14 || size == 0 || size > 16
}

/// Append one element, without padding.
fn encode_element(number: u8, value: &[u8], two_byte: bool, out: &mut Vec<u8>) {
    if two_byte {
        out.extend_from_slice(&[number, value.len() as u8]);
    } else {
        out.push(number << 4 | (value.len() - 1) as u8);
    }
    out.extend_from_slice(value);
}

/// The element that names a consumer's media section (RFC 8843 section 15), in both forms.
#[derive(Clone, Debug)]
pub struct MidElement {
    one_byte: Option<Box<[u8]>>,
    two_byte: Box<[u8]>,
}

impl MidElement {
    /// `None` where the MID is longer than 255 bytes.
    pub fn new(number: u8, mid: &[u8]) -> Option<Self> {
        if mid.len() > 255 {
            return None;
        }
        let encode = |two_byte| {
            let mut element = Vec::new();
            encode_element(number, mid, two_byte, &mut element);
            element.into_boxed_slice()
        };
        let one_byte = (!needs_two_bytes(number, mid.len())).then(|| encode(false));
        Some(Self { one_byte, two_byte: encode(true) })
    }

    fn in_form(&self, two_byte: bool) -> &[u8] {
        match &self.one_byte {
            Some(element) if !two_byte => element,
            _ => &self.two_byte,
        }
    }
}

/// The extensions that a consumer takes.  Consumers with equal selections share a rewriter.
///
/// MIDs may differ in value, but not in size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionSelection {
    ids: Vec<(u8, u8)>,
    wide_id: Option<u8>,
    mid_id: Option<u8>,
    mid_size: usize,
}

impl ExtensionSelection {
    /// `ids` are the client's ids that the consumer takes, with the router's for each.  `wide_id` is the router's id of
    /// transport-wide sequence numbers, if the consumer's packets have them.
    pub fn new(mut ids: Vec<(u8, u8)>, wide_id: Option<u8>, mid_id: Option<u8>, mid: Option<&MidElement>) -> Self {
        ids.sort_unstable();
        let (mid_id, mid_size) = (mid_id.filter(|_| mid.is_some()), mid.map_or(0, |mid| mid.two_byte.len()));
        Self { ids, wide_id, mid_id, mid_size }
    }
}

/// The elements that the router itself writes into a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnElements<'a> {
    /// A transport-wide sequence number, whose value is written later.
    pub numbered: bool,
    /// The consumer's MID.
    pub mid: Option<&'a MidElement>,
}

/// Rewrites the extension of a packet once for all consumers with the same selection.
///
/// The blocks of these consumers differ in the values of their own elements alone.  A block is the transport-wide
/// sequence number and the consumer's MID, followed by the tail that all share.  The number comes first, so its place
/// is easy to find when the packet leaves.
#[derive(Clone, Debug)]
pub struct ExtensionRewriter {
    selection: ExtensionSelection,
    /// The MID of any one of the consumers: it decides on the form of the elements.
    mid: Option<MidElement>,
    /// How many consumers share it.
    pub users: usize,
    /// The serial number of the packet for which `two_byte` and `tail` hold.
    serial: u64,
    /// All elements of the block have the two-byte form.
    two_byte: bool,
    /// Elements behind the consumer's own.
    tail: Vec<u8>,
}

impl ExtensionRewriter {
    /// `mid` is that of any one of the consumers.
    pub fn new(selection: ExtensionSelection, mid: Option<MidElement>) -> Self {
        Self { selection, mid, users: 0, serial: 0, two_byte: false, tail: Vec::new() }
    }

    /// Whether it serves consumers with this selection.
    pub fn serves(&self, selection: &ExtensionSelection) -> bool {
        self.selection == *selection
    }

    /// Whether the packets have transport-wide sequence numbers.
    pub fn numbers(&self) -> bool {
        self.selection.wide_id.is_some()
    }

    /// Prepare the tail for a packet, unless it is prepared already for this `serial` (from 1).
    pub fn prepare(&mut self, packet: &[u8], elements: &[Element], serial: u64) {
        if self.serial == serial {
            return;
        }
        self.serial = serial;
        let taken = |element: &Element| {
            self.selection.ids.iter().find(|(client, _)| *client == element.number).map(|ids| ids.1)
        };
        let long =
            |element: &Element| taken(element).is_some_and(|to| needs_two_bytes(to, element.value(packet).len()));
        self.two_byte = self.mid.as_ref().is_some_and(|mid| mid.one_byte.is_none())
            || self.selection.wide_id.is_some_and(|id| needs_two_bytes(id, NUMBER_SIZE))
            || elements.iter().any(long);
        self.tail.clear();
        for element in elements {
            if let Some(number) = taken(element) {
                encode_element(number, element.value(packet), self.two_byte, &mut self.tail);
            }
        }
    }

    /// Bytes of the block for the prepared packet with these elements; 0 if the packet needs no extension.
    pub fn size(&self, own: OwnElements<'_>) -> usize {
        let number = if own.numbered { self.number_at() - HEAD + NUMBER_SIZE } else { 0 };
        let elements = number + self.tail.len() + own.mid.map_or(0, |mid| mid.in_form(self.two_byte).len());
        if elements == 0 { 0 } else { HEAD + elements.next_multiple_of(4) }
    }

    /// The place of the transport-wide sequence number in the block of a packet that has one.
    pub fn number_at(&self) -> usize {
        HEAD + if self.two_byte { 2 } else { 1 }
    }

    /// Append the block for the prepared packet with these elements.  The number is 0 for now.
    pub fn write(&self, own: OwnElements<'_>, out: &mut Vec<u8>) {
        let size = self.size(own);
        if size == 0 {
            return;
        }
        let end = out.len() + size;
        let profile = if self.two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
        out.extend_from_slice(&profile.to_be_bytes());
        out.extend_from_slice(&((size - HEAD) as u16 / 4).to_be_bytes());
        if let Some(number) = self.selection.wide_id.filter(|_| own.numbered) {
            encode_element(number, &[0; NUMBER_SIZE], self.two_byte, out);
        }
        if let Some(mid) = own.mid {
            out.extend_from_slice(mid.in_form(self.two_byte));
        }
        out.extend_from_slice(&self.tail);
        out.resize(end, 0);
    }

    /// Append a block that holds a transport-wide sequence number and nothing else.  Call it only if [`Self::numbers`].
    pub fn write_number(&self, out: &mut Vec<u8>) {
        let id = self.selection.wide_id.unwrap_or_default();
        let two_byte = needs_two_bytes(id, NUMBER_SIZE);
        let profile = if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
        let end = out.len() + HEAD + 4;
        out.extend_from_slice(&profile.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        encode_element(id, &[0; NUMBER_SIZE], two_byte, out);
        out.resize(end, 0);
    }

    /// The place of the number in the block of [`Self::write_number`].
    pub fn number_alone_at(&self) -> usize {
        HEAD + if self.selection.wide_id.is_some_and(|id| needs_two_bytes(id, NUMBER_SIZE)) { 2 } else { 1 }
    }
}
