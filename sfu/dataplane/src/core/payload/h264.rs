//! H.264 NAL units in RTP (RFC 6184): single, aggregated by STAP-A, fragmented by FU-A.

use super::Frame;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// A key frame begins at its sequence parameter set, or at an IDR slice that is the first of its picture.
pub fn inspect_h264_untrusted(payload: &[u8], fresh: bool) -> Frame {
    let (parameters, idr) = beginnings(payload).unwrap_or_default();
    Frame { key: parameters || (fresh && idr), begins: fresh, ..Frame::default() }
}

/// Whether a sequence parameter set and an IDR slice begin in this packet (sections 5.6, 5.7.1 and 5.8).
fn beginnings(payload: &[u8]) -> Option<(bool, bool)> {
    let kind = payload.first()? & 0x1F;
    match kind {
        FU_A => {
            let header = payload.get(1)?;
            let begins = header & 0x80 != 0;
            Some((begins && header & 0x1F == SPS, begins && header & 0x1F == IDR))
        }
        STAP_A => aggregated(&payload[1..]),
        _ => Some((kind == SPS, kind == IDR)),
    }
}

fn aggregated(mut units: &[u8]) -> Option<(bool, bool)> {
    let mut found = (false, false);
    while !units.is_empty() {
        let kind = units.get(2)? & 0x1F;
        found = (found.0 || kind == SPS, found.1 || kind == IDR);
        let size = 2 + usize::from(u16::from_be_bytes([units[0], units[1]]));
        units = units.get(size..).unwrap_or_default();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_begin_with_parameters_or_a_fresh_idr_slice() {
        for (payload, fresh, key) in [
            (&b"\x67sps"[..], false, true),
            (b"\x65idr", true, true),
            (b"\x65another slice", false, false),
            (b"\x61slice", true, false),
            (b"\x68pps", true, false),
            (b"\x78\x00\x02\x67s\x00\x02\x68p", false, true),
            (b"\x78\x00\x02\x68p\x00\x02\x65i", true, true),
            (b"\x78\x00\x02\x61s\x00\x02\x61s", true, false),
            (b"\x7c\x85idr", true, true),
            (b"\x7c\x05idr", true, false),
            (b"\x7c\x81slice", true, false),
            (b"\x78\x00\x02\x67s\x00", true, false),
        ] {
            let expected = Frame { key, begins: fresh, ..Frame::default() };
            assert_eq!(inspect_h264_untrusted(payload, fresh), expected, "{payload:x?}");
        }
    }
}
