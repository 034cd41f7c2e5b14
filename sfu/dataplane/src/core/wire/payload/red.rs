//! Redundant audio data (RFC 2198): the primary block, and older ones before it.

const MORE: u8 = 0x80; // another block's header follows
const HEADER_SIZE: usize = 4; // of a redundant block: payload type, timestamp offset (14 bits), length (10 bits)

/// The payload type of the primary block, which comes last and takes the rest, and its payload (section 3).
///
/// `None` where the headers do not end or speak of more than there is.
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
    fn the_primary_block_comes_behind_all_others() {
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
