//! The aggregation header of AV1 in RTP (section 4.4 of its payload format), for packets without a dependency descriptor.

use super::frame::Frame;

/// Read a payload.  `fresh`: no packet of its picture came yet.
///
/// N = 1 marks the first packet of a coded video sequence, which begins with a key frame.
pub fn inspect_av1_untrusted(payload: &[u8], fresh: bool) -> Frame {
    let key = payload.first().is_some_and(|header| header & 0x08 != 0);
    Frame { key, begins: fresh || key, ..Frame::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_begins_with_a_coded_video_sequence() {
        for (payload, fresh, key, begins) in [
            (&b"\x18obu"[..], true, true, true),
            (b"\x10obu", true, false, true),
            (b"\x90obu", false, false, false),
            (b"\x08obu", false, true, true),
            (b"", true, false, true),
        ] {
            let frame = Frame { key, begins, ..Frame::default() };
            assert_eq!(inspect_av1_untrusted(payload, fresh), frame, "{payload:x?}");
        }
    }
}
