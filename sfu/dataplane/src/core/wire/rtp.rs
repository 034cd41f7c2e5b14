//! RTP headers (RFC 3550 section 5.1) and their extensions (RFC 8285).

/// Bytes of a header without contributing sources and extension.
pub const FIXED_HEADER_SIZE: usize = 12;
/// The profile of one-byte elements (RFC 8285 section 4.2).
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// The profile of two-byte elements (section 4.3); its lowest four bits are the sender's to use.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

const STOP: u8 = 15; // RFC 8285 section 4.2: a reader stops at this id

/// The packet is not RTP version 2, or shorter than its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The header of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The packet ends with padding, whose last byte is the size of the padding.
    pub padding: bool,
    /// The marker bit, which marks the last packet of a video frame.
    pub marker: bool,
    /// From 0 to 127.
    pub payload_type: u8,
    /// Counts packets, modulo 2^16.
    pub sequence_number: u16,
    /// In units of the codec's clock, modulo 2^32.
    pub timestamp: u32,
    /// The SSRC.
    pub ssrc: u32,
    /// The end of the contributing sources, which begin after the fixed header.
    pub csrcs_end: usize,
    /// Bytes of the whole header: the payload begins here.
    pub size: usize,
}

/// A header extension element: its id, and the place of its value in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The id, from 1 to 255.
    pub number: u8,
    /// The first byte of the value.
    pub start: u16,
    /// The byte behind the value.
    pub end: u16,
}

impl Element {
    /// The value.  `packet` is the one that the element was read from.
    pub fn value<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        &packet[usize::from(self.start)..usize::from(self.end)]
    }
}

/// The value of the first element with this id.
pub fn find<'a>(packet: &'a [u8], elements: &[Element], number: Option<u8>) -> Option<&'a [u8]> {
    let number = number?;
    elements.iter().find(|element| element.number == number).map(|element| element.value(packet))
}

/// Read two bytes, the most significant first; panics if they are not there.
pub fn be16(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// Read four bytes, the most significant first; panics if they are not there.
pub fn be32(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

/// Read the header of an RTP packet, or of an SRTP packet: its header is not encrypted.
///
/// `elements` is emptied and filled with the elements of the extension, in their order.  A packet of more than 65,535
/// bytes is malformed.
pub fn parse_header_untrusted(packet: &[u8], elements: &mut Vec<Element>) -> Result<Header, Malformed> {
    elements.clear();
    if packet.len() < FIXED_HEADER_SIZE || packet.len() > usize::from(u16::MAX) || packet[0] >> 6 != 2 {
        return Err(Malformed);
    }
    let csrcs_end = FIXED_HEADER_SIZE + 4 * usize::from(packet[0] & 0x0F);
    let mut size = csrcs_end;
    if packet[0] & 0x10 != 0 {
        let body = csrcs_end + 4;
        if body > packet.len() {
            return Err(Malformed);
        }
        size = body + 4 * usize::from(be16(packet, csrcs_end + 2));
        if size <= packet.len() {
            parse_extensions_untrusted(be16(packet, csrcs_end), packet, body, size, elements);
        }
    }
    if size > packet.len() {
        return Err(Malformed);
    }
    Ok(Header {
        padding: packet[0] & 0x20 != 0,
        marker: packet[1] & 0x80 != 0,
        payload_type: packet[1] & 0x7F,
        sequence_number: be16(packet, 2),
        timestamp: be32(packet, 4),
        ssrc: be32(packet, 8),
        csrcs_end,
        size,
    })
}

/// Bytes of padding at the end of the packet.
pub fn padding_size_untrusted(packet: &[u8], header: &Header) -> Result<usize, Malformed> {
    if !header.padding {
        return Ok(0);
    }
    let padding = usize::from(*packet.last().ok_or(Malformed)?);
    if padding == 0 || padding > packet.len() - header.size {
        return Err(Malformed);
    }
    Ok(padding)
}

fn parse_extensions_untrusted(profile: u16, packet: &[u8], at: usize, end: usize, elements: &mut Vec<Element>) {
    if profile == ONE_BYTE_PROFILE {
        parse_one_byte_untrusted(packet, at, end, elements);
    } else if profile & 0xFFF0 == TWO_BYTE_PROFILE {
        parse_two_byte_untrusted(packet, at, end, elements);
    }
}

/// RFC 8285 section 4.2: four bits of id, and four bits of the value's size less one.  Zero bytes are padding.
///
/// Reading ends at the stop id, and at an element that runs over the end of the block.  The elements before it count.
fn parse_one_byte_untrusted(packet: &[u8], mut at: usize, end: usize, elements: &mut Vec<Element>) {
    while at < end {
        let head = packet[at];
        at += 1;
        if head == 0 {
            continue;
        }
        let number = head >> 4;
        let after = at + usize::from(head & 0x0F) + 1;
        if number == 0 || number == STOP || after > end {
            return;
        }
        elements.push(Element { number, start: at as u16, end: after as u16 });
        at = after;
    }
}

/// RFC 8285 section 4.3: a byte of id, and a byte of the value's size.  Zero ids are padding.
///
/// Reading ends at an element that runs over the end of the block.  The elements before it count.
fn parse_two_byte_untrusted(packet: &[u8], mut at: usize, end: usize, elements: &mut Vec<Element>) {
    while at < end {
        let number = packet[at];
        at += 1;
        if number == 0 {
            continue;
        }
        if at == end {
            return;
        }
        let after = at + 1 + usize::from(packet[at]);
        if after > end {
            return;
        }
        elements.push(Element { number, start: at as u16 + 1, end: after as u16 });
        at = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Values = Vec<(u8, Vec<u8>)>;

    fn parse(packet: &[u8]) -> Result<(Header, Values), Malformed> {
        let mut elements = Vec::new();
        let header = parse_header_untrusted(packet, &mut elements)?;
        let values = elements.iter().map(|element| (element.number, element.value(packet).to_vec()));
        Ok((header, values.collect()))
    }

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        [&[first, 0xE0, 1, 2, 0, 0, 0, 9, 0, 0, 0, 7], rest].concat()
    }

    #[test]
    fn a_bare_header_is_read() {
        let (header, elements) = parse(&packet(0x80, b"x")).unwrap();
        assert_eq!((header.payload_type, header.marker, header.padding), (96, true, false));
        assert_eq!((header.sequence_number, header.timestamp, header.ssrc), (0x0102, 9, 7));
        assert_eq!((header.csrcs_end, header.size), (12, 12));
        assert_eq!(elements, []);
    }

    #[test]
    fn one_byte_elements_are_read_up_to_the_stop() {
        let block = b"\xbe\xde\x00\x02\x10a\x00\x21bc\xf0\x00";
        let (header, elements) = parse(&packet(0x91, &[&[0; 4], &block[..], b"x"].concat())).unwrap();
        assert_eq!((header.csrcs_end, header.size), (16, 28));
        assert_eq!(elements, [(1, b"a".to_vec()), (2, b"bc".to_vec())]);
    }

    #[test]
    fn two_byte_elements_may_be_empty() {
        let (_, elements) = parse(&packet(0x90, b"\x10\x07\x00\x02\x00\x05\x00\xff\x02hi\x00")).unwrap();
        assert_eq!(elements, [(5, vec![]), (255, b"hi".to_vec())]);
    }

    #[test]
    fn an_element_that_runs_over_the_block_ends_the_reading_alone() {
        for (block, before) in [
            (&b"\xbe\xde\x00\x01\x10\x30\x5f\x01"[..], vec![(1, b"0".to_vec())]),
            (b"\xbe\xde\x00\x01\x17abc", vec![]),
            (b"\x10\x00\x00\x01\x01\x03ab", vec![]),
            (b"\x10\x00\x00\x01\x01\x01a\x05", vec![(1, b"a".to_vec())]),
            (b"\x10\x00\x00\x01\x00\x00\x00\x01", vec![]),
        ] {
            let (header, elements) = parse(&packet(0x90, &[block, b"x"].concat())).unwrap();
            assert_eq!((header.size, elements), (20, before), "{block:x?}");
        }
    }

    #[test]
    fn elements_of_an_unknown_profile_are_ignored() {
        let (header, elements) = parse(&packet(0x90, b"\x12\x34\x00\x01abcd")).unwrap();
        assert_eq!((header.size, elements), (20, vec![]));
    }

    #[test]
    fn a_truncated_header_is_malformed() {
        for rest in [&b""[..], b"\xbe\xde\x00", b"\xbe\xde\x00\x01abc"] {
            assert_eq!(parse(&packet(0x90, rest)), Err(Malformed));
        }
        assert_eq!(parse(&packet(0x8F, &[0; 59])), Err(Malformed));
        assert_eq!(parse(&packet(0x40, b"")), Err(Malformed));
        assert_eq!(parse(&packet(0x80, b"")[..11]), Err(Malformed));
    }

    #[test]
    fn the_last_byte_is_the_size_of_the_padding() {
        for (payload, padding) in [(&b"a\x00\x02"[..], Ok(2)), (b"\x01", Ok(1)), (b"a\x00", Err(Malformed))] {
            let packet = packet(0xA0, payload);
            let (header, _) = parse(&packet).unwrap();
            assert_eq!(padding_size_untrusted(&packet, &header), padding);
        }
        let all = packet(0xA0, b"ab\x04");
        assert_eq!(padding_size_untrusted(&all, &parse(&all).unwrap().0), Err(Malformed));
    }

    proptest! {
        #[test]
        fn everything_that_is_read_lies_within_the_packet(mut packet in prop::collection::vec(any::<u8>(), 0..80), version in any::<bool>()) {
            if version && !packet.is_empty() {
                packet[0] = packet[0] & 0x3F | 0x80;
            }
            let mut elements = Vec::new();
            if let Ok(header) = parse_header_untrusted(&packet, &mut elements) {
                prop_assert!(header.size <= packet.len());
                for element in &elements {
                    prop_assert!(usize::from(element.end) <= header.size);
                    element.value(&packet);
                }
                if let Ok(padding) = padding_size_untrusted(&packet, &header) {
                    prop_assert!(header.size + padding <= packet.len());
                }
            }
        }
    }
}
