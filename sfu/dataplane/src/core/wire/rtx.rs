//! Retransmissions (RFC 4588): an RTX packet carries the sequence number and the payload of an earlier packet.

use super::rtp::{Header, Malformed, be16, padding_size_untrusted};

/// Bytes of the original sequence number (OSN) in front of the original payload (section 4).
pub const OSN_SIZE: usize = 2;

/// Turn an RTX packet into the packet that it repeats, in place.
///
/// `payload_type` and `ssrc` are those of the original.  Gives its header and where it begins, or `None` for an RTX
/// packet that repeats nothing: browsers probe the network with padding.  The header extensions stay those of the RTX
/// packet, at the same distance from the beginning.
pub fn unwrap_rtx_untrusted<'a>(
    packet: &'a mut [u8],
    header: &Header,
    payload_type: u8,
    ssrc: u32,
) -> Result<Option<(Header, &'a [u8])>, Malformed> {
    let end = packet.len() - padding_size_untrusted(packet, header)?;
    if end == header.size {
        return Ok(None);
    }
    if end < header.size + OSN_SIZE {
        return Err(Malformed);
    }
    let sequence_number = be16(packet, header.size);
    // The header moves over the OSN, so the payload need not move.
    packet.copy_within(..header.size, OSN_SIZE);
    let original = &mut packet[OSN_SIZE..end];
    original[0] &= !0x20;
    original[1] = u8::from(header.marker) << 7 | payload_type & 0x7F;
    original[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    original[8..12].copy_from_slice(&ssrc.to_be_bytes());
    Ok(Some((Header { padding: false, payload_type, sequence_number, ssrc, ..*header }, original)))
}

#[cfg(test)]
mod tests {
    use super::super::rtp::parse_header_untrusted;
    use super::*;
    use crate::core::wire::hex::hex;
    use proptest::prelude::*;

    fn unwrap(packet: &mut [u8]) -> Result<Option<(Header, &[u8])>, Malformed> {
        let header = parse_header_untrusted(packet, &mut Vec::new()).unwrap();
        unwrap_rtx_untrusted(packet, &header, 96, 0x1111_2222)
    }

    #[test]
    fn the_original_has_its_own_number_payload_type_and_ssrc() {
        let mut packet = hex("b1e10001 00000bb8 99999999 00000005 bede0001 10310000 0abc 706179 000003");
        let (header, original) = unwrap(&mut packet).unwrap().unwrap();
        assert_eq!(original, hex("91e00abc 00000bb8 11112222 00000005 bede0001 10310000 706179"));
        assert_eq!(Ok(header), parse_header_untrusted(original, &mut Vec::new()));
    }

    #[test]
    fn an_original_without_payload_has_a_number() {
        let mut packet = hex("80610001 00000bb8 99999999 0abc");
        assert_eq!(unwrap(&mut packet).unwrap().unwrap().1, hex("80600abc 00000bb8 11112222"));
    }

    #[test]
    fn padding_alone_repeats_nothing_and_a_single_byte_is_malformed() {
        for (packet, expected) in [
            ("80610001 00000bb8 99999999", Ok(None)),
            ("a0610001 00000bb8 99999999 000003", Ok(None)),
            ("80610001 00000bb8 99999999 0a", Err(Malformed)),
            ("a0610001 00000bb8 99999999 0a0002", Err(Malformed)),
            ("a0610001 00000bb8 99999999 0a0009", Err(Malformed)),
        ] {
            assert_eq!(unwrap(&mut hex(packet)), expected, "{packet}");
        }
    }

    proptest! {
        #[test]
        fn any_packet_can_be_unwrapped(mut packet in prop::collection::vec(any::<u8>(), 0..80), first in 0x80..0xC0u8) {
            packet.iter_mut().take(1).for_each(|byte| *byte = first);
            let mut elements = Vec::new();
            if let Ok(header) = parse_header_untrusted(&packet, &mut elements) {
                let before = elements.clone();
                if let Ok(Some((unwrapped, original))) = unwrap_rtx_untrusted(&mut packet, &header, 96, 7) {
                    prop_assert_eq!(Ok(unwrapped), parse_header_untrusted(original, &mut elements));
                    prop_assert_eq!(before, elements);
                }
            }
        }
    }
}
