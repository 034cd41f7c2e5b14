//! The VP9 payload descriptor (RFC 9628 section 4.2).

use super::frame::{Frame, LayerIds};

/// Read a payload; `None` if it is truncated.
///
/// A picture has a frame for each spatial layer.  It begins with B = 1 in the lowest one.  A key picture is not
/// predicted from other pictures (P = 0).
pub fn inspect_vp9_untrusted(payload: &[u8]) -> Option<Frame> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let (begins, ends) = (first & 0x08 != 0, first & 0x04 != 0);
    let predicted = first & 0x40 != 0;
    if first & 0x20 == 0 {
        return Some(Frame { key: begins && !predicted, begins, ends, ..Frame::default() });
    }
    let layers = *payload.get(at)?;
    let layer = LayerIds { spatial: layers >> 1 & 7, temporal: layers >> 5 };
    let begins = begins && layer.spatial == 0;
    Some(Frame {
        key: begins && !predicted,
        begins,
        ends,
        layer: Some(layer),
        switch_up: layers & 0x10 != 0,
        ..Frame::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: bool, begins: bool, layer: Option<(u8, u8)>, switch_up: bool) -> Option<Frame> {
        let layer = layer.map(|(spatial, temporal)| LayerIds { spatial, temporal });
        Some(Frame { key, begins, layer, switch_up, ..Frame::default() })
    }

    #[test]
    fn key_pictures_and_layers_are_read() {
        for (payload, expected) in [
            (&b"\x08x"[..], frame(true, true, None, false)),
            (b"\x48x", frame(false, true, None, false)),
            (b"\x00x", frame(false, false, None, false)),
            (b"\x88\x05x", frame(true, true, None, false)),
            (b"\x88\x85\x01x", frame(true, true, None, false)),
            (b"\xa8\x05\x00x", frame(true, true, Some((0, 0)), false)),
            (b"\xa8\x05\x03x", frame(false, false, Some((1, 0)), false)),
            (b"\xf8\x85\x01\x50x", frame(false, true, Some((0, 2)), true)),
            (b"\xe8\x85\x01\x4f\x09x", frame(false, false, Some((7, 2)), false)),
            (b"\xa8\x85\x01", None),
            (b"\x80", None),
        ] {
            assert_eq!(inspect_vp9_untrusted(payload), expected, "{payload:x?}");
        }
    }

    #[test]
    fn a_frame_ends_where_its_descriptor_says() {
        for (payload, ends) in [(&b"\x0cx"[..], true), (b"\x08x", false), (b"\xa4\x05\x03x", true)] {
            assert_eq!(inspect_vp9_untrusted(payload).unwrap().ends, ends, "{payload:x?}");
        }
    }
}
