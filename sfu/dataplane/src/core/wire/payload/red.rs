//! Redundant audio (RFC 2198): a primary block behind blocks of earlier packets.

const MORE: u8 = 0x80; // another block's header follows
const HEADER_SIZE: usize = 4; // of a redundant block: payload type, timestamp offset (14 bits), length (10 bits)

/// The payload type and the payload of the primary block, which is the last (section 3).
///
/// `None` if the headers do not end, or announce more bytes than there are.
pub fn primary_untrusted(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (mut at, mut redundant) = (0, 0);
    loop {
        let first = *payload.get(at)?;
        if first & MORE == 0 {
            return Some((first, payload.get(at + 1 + redundant..)?));
        }
        let header = payload.get(at..at + HEADER_SIZE)?;
        redundant += usize::from(u16::from_be_bytes([header[2], header[3]]) & 0x03FF);
        at += HEADER_SIZE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(primary_untrusted(payload), expected, "{payload:x?}");
        }
    }
}
