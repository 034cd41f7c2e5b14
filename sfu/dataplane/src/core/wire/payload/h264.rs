//! H.264 NAL units in RTP (RFC 6184): single, aggregated by STAP-A, fragmented by FU-A.

use super::frame::Frame;

const IDR: u8 = 5;
/// NAL unit type of a sequence parameter set.
pub const SPS: u8 = 7;
/// NAL unit type of a picture parameter set.
pub const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Read a payload.  `fresh`: no slice of its picture came yet.
///
/// A key frame begins at its sequence parameter set, or at the first slice of an IDR picture.  Delimiters, SEI and
/// picture parameter sets may stand before that slice; a decoder can skip them.
pub fn inspect_h264_untrusted(payload: &[u8], fresh: bool) -> Frame {
    let mut frame = Frame { begins: fresh, ..Frame::default() };
    let mut idr = false;
    each_kind(payload, |kind, begins| {
        frame.slice |= (1..=IDR).contains(&kind);
        frame.parameters |= begins && kind == SPS;
        idr |= begins && kind == IDR;
    });
    frame.key = frame.parameters || (fresh && idr);
    frame
}

/// Call `each` with the type of every NAL unit in the payload, and whether the unit begins here.
fn each_kind(payload: &[u8], mut each: impl FnMut(u8, bool)) {
    let Some(first) = payload.first() else { return };
    if first & 0x1F == FU_A {
        if let Some(header) = payload.get(1) {
            each(header & 0x1F, header & 0x80 != 0);
        }
    } else {
        each_unit(payload, |unit| each(unit[0] & 0x1F, true));
    }
}

/// Call `each` with every NAL unit that is whole in this payload (sections 5.6 and 5.7.1).  None of them is empty.
pub fn each_unit(payload: &[u8], mut each: impl FnMut(&[u8])) {
    match payload {
        [first, units @ ..] if first & 0x1F == STAP_A => each_aggregated(units, each),
        [first, ..] if first & 0x1F < STAP_A => each(payload),
        _ => {}
    }
}

fn each_aggregated(mut units: &[u8], mut each: impl FnMut(&[u8])) {
    while let [high, low, rest @ ..] = units {
        let (unit, behind) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes([*high, *low]))));
        if !unit.is_empty() {
            each(unit);
        }
        units = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_begin_with_parameters_or_the_first_slice_of_an_idr_picture() {
        for (payload, fresh, key) in [
            (&b"\x67sps"[..], false, true),
            (b"\x65idr", true, true),
            (b"\x65another slice", false, false),
            (b"\x61slice", true, false),
            (b"\x68pps", true, false),
            (b"\x09\x10", true, false),
            (b"\x78\x00\x02\x67s\x00\x02\x68p", false, true),
            (b"\x78\x00\x02\x68p\x00\x02\x65i", true, true),
            (b"\x78\x00\x02\x06s\x00\x02\x65i", true, true),
            (b"\x78\x00\x02\x61s\x00\x02\x61s", true, false),
            (b"\x7c\x85idr", true, true),
            (b"\x7c\x05idr", true, false),
            (b"\x7c\x81slice", true, false),
            (b"\x78\x00\x02\x67s\x00", true, true),
            (b"\x78\x00\x00\x00", true, false),
        ] {
            assert_eq!(inspect_h264_untrusted(payload, fresh).key, key, "{payload:x?}");
        }
    }

    #[test]
    fn slices_are_distinguished_from_units_before_them() {
        for (payload, slice) in [
            (&b"\x65idr"[..], true),
            (b"\x61slice", true),
            (b"\x7c\x05middle", true),
            (b"\x78\x00\x02\x68p\x00\x02\x65i", true),
            (b"\x09\x10", false),
            (b"\x06sei", false),
            (b"\x67sps", false),
            (b"\x7c\x87sps", false),
        ] {
            assert_eq!(inspect_h264_untrusted(payload, true).slice, slice, "{payload:x?}");
        }
    }
}
