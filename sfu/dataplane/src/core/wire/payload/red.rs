//! Redundant audio (RFC 2198): a primary block behind blocks of earlier packets.

const MORE: u8 = 0x80; // another block's header follows
const HEADER_SIZE: usize = 4; // of a redundant block: payload type, timestamp offset (14 bits), length (10 bits)
const MAX_LENGTH: usize = 0x03FF; // bytes of a redundant block
const MAX_OFFSET: u32 = 0x3FFF; // timestamp units

/// The payload of an earlier packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedundantBlock<'a> {
    /// The payload type of the format inside.
    pub payload_type: u8,
    /// Timestamp units by which it is older than the primary block, at most 2^14 - 1.
    pub offset: u16,
    /// The bytes for the codec.
    pub payload: &'a [u8],
}

/// The redundant blocks of a payload, the oldest first.
#[derive(Clone, Debug)]
pub struct RedundantBlocks<'a> {
    headers: &'a [u8],
    payloads: &'a [u8],
}

impl<'a> Iterator for RedundantBlocks<'a> {
    type Item = RedundantBlock<'a>;

    fn next(&mut self) -> Option<RedundantBlock<'a>> {
        let (header, headers) = self.headers.split_first_chunk::<HEADER_SIZE>()?;
        let packed = u32::from_be_bytes(*header);
        let (payload, payloads) = self.payloads.split_at_checked(packed as usize & MAX_LENGTH)?;
        (self.headers, self.payloads) = (headers, payloads);
        Some(RedundantBlock { payload_type: header[0] & !MORE, offset: (packed >> 10 & MAX_OFFSET) as u16, payload })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.headers.len() / HEADER_SIZE))
    }
}

/// A payload of redundant audio, taken apart.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RedundantPayload<'a> {
    pub blocks: RedundantBlocks<'a>,
    /// The payload type of the primary block.
    pub payload_type: u8,
    /// The primary block, which is the last (section 3).
    pub primary: &'a [u8],
}

/// Take a payload of redundant audio apart.
///
/// `None` if the headers do not end, or announce more bytes than there are.
pub fn parse_red_untrusted(payload: &[u8]) -> Option<RedundantPayload<'_>> {
    let (mut at, mut redundant) = (0, 0);
    loop {
        let first = *payload.get(at)?;
        if first & MORE == 0 {
            let (headers, rest) = payload.split_at(at);
            let (payloads, primary) = rest[1..].split_at_checked(redundant)?;
            return Some(RedundantPayload {
                blocks: RedundantBlocks { headers, payloads },
                payload_type: first,
                primary,
            });
        }
        let header = payload.get(at..at + HEADER_SIZE)?;
        redundant += usize::from(u16::from_be_bytes([header[2], header[3]])) & MAX_LENGTH;
        at += HEADER_SIZE;
    }
}

/// Whether the payload of an earlier packet can be a redundant block: its age in timestamp units, and its bytes.
pub fn can_be_redundant(offset: u32, length: usize) -> bool {
    (1..=MAX_OFFSET).contains(&offset) && (1..=MAX_LENGTH).contains(&length)
}

/// Append a payload of redundant audio: these blocks, the oldest first, and the primary one.
///
/// Every block must be one that [`can_be_redundant`].
pub fn write_red(blocks: &[RedundantBlock<'_>], payload_type: u8, primary: &[u8], out: &mut Vec<u8>) {
    for block in blocks {
        let packed = u32::from(block.offset) << 10 | block.payload.len() as u32;
        out.extend_from_slice(&(u32::from(block.payload_type | MORE) << 24 | packed).to_be_bytes());
    }
    out.push(payload_type & !MORE);
    blocks.iter().for_each(|block| out.extend_from_slice(block.payload));
    out.extend_from_slice(primary);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn primary(payload: &[u8]) -> Option<(u8, &[u8])> {
        parse_red_untrusted(payload).map(|parsed| (parsed.payload_type, parsed.primary))
    }

    #[test]
    fn the_primary_block_follows_all_others() {
        for (payload, expected) in [
            (&b"\x6fnew"[..], Some((111, &b"new"[..]))),
            (b"\xef\x0f\x00\x03\x6foldnew", Some((111, b"new"))),
            (b"\xef\x1e\x00\x02\xef\x0f\x00\x03\x6fololdnew", Some((111, b"new"))),
            (b"\xef\x0f\x00\x03\x6fold", Some((111, b""))),
            (b"\x6f", Some((111, b""))),
            (b"\xef\x0f\x00\x04\x6fold", None),
            (b"\xef\x0f\x00", None),
            (b"\xef\x0f\x00\x00", None),
            (b"", None),
        ] {
            assert_eq!(primary(payload), expected, "{payload:x?}");
        }
    }

    #[test]
    fn redundant_blocks_come_the_oldest_first() {
        let parsed = parse_red_untrusted(b"\xef\x1e\x00\x02\xef\x0f\x00\x03\x6fololdnew").unwrap();
        let expected = [
            RedundantBlock { payload_type: 111, offset: 1920, payload: b"ol" },
            RedundantBlock { payload_type: 111, offset: 960, payload: b"old" },
        ];
        assert_eq!(parsed.blocks.collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            parts in prop::collection::vec((0u8..128, 1u16..0x4000, prop::collection::vec(any::<u8>(), 1..1024)), 0..4),
            payload_type in 0u8..128,
            last in prop::collection::vec(any::<u8>(), 0..1300),
        ) {
            let blocks: Vec<_> = parts
                .iter()
                .map(|(payload_type, offset, payload)| RedundantBlock { payload_type: *payload_type, offset: *offset, payload })
                .collect();
            let mut written = Vec::new();
            write_red(&blocks, payload_type, &last, &mut written);
            let parsed = parse_red_untrusted(&written).unwrap();
            prop_assert_eq!((parsed.payload_type, parsed.primary), (payload_type, &last[..]));
            prop_assert_eq!(parsed.blocks.collect::<Vec<_>>(), blocks);
        }

        #[test]
        fn any_payload_can_be_parsed(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(parsed) = parse_red_untrusted(&payload) {
                let inside: usize = parsed.blocks.clone().map(|block| block.payload.len()).sum();
                prop_assert!(inside + parsed.primary.len() < payload.len());
                prop_assert_eq!(parsed.blocks.size_hint().1, Some(parsed.blocks.count()));
            }
        }
    }
}
