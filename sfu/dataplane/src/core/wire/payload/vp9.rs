//! The VP9 payload descriptor (RFC 9628 section 4.2).

use super::frame::Frame;

/// Read a payload; `None` if it is truncated.
///
/// A key picture begins with B = 1 in its lowest spatial layer, and is not predicted from other pictures (P = 0).  All
/// spatial layers are forwarded alike.
pub fn inspect_vp9_untrusted(payload: &[u8]) -> Option<Frame> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let begins = first & 0x08 != 0;
    let predicted = first & 0x40 != 0;
    if first & 0x20 == 0 {
        return Some(Frame { key: begins && !predicted, begins, ..Frame::default() });
    }
    let layers = *payload.get(at)?;
    let begins = begins && layers & 0x0E == 0;
    Some(Frame {
        key: begins && !predicted,
        begins,
        temporal: Some(layers >> 5),
        switch_up: layers & 0x10 != 0,
        ..Frame::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: bool, begins: bool, temporal: Option<u8>, switch_up: bool) -> Option<Frame> {
        Some(Frame { key, begins, temporal, switch_up, ..Frame::default() })
    }

    #[test]
    fn key_pictures_and_layers_are_read() {
        for (payload, expected) in [
            (&b"\x08x"[..], frame(true, true, None, false)),
            (b"\x48x", frame(false, true, None, false)),
            (b"\x00x", frame(false, false, None, false)),
            (b"\x88\x05x", frame(true, true, None, false)),
            (b"\x88\x85\x01x", frame(true, true, None, false)),
            (b"\xa8\x05\x00x", frame(true, true, Some(0), false)),
            (b"\xa8\x05\x03x", frame(false, false, Some(0), false)),
            (b"\xf8\x85\x01\x50x", frame(false, true, Some(2), true)),
            (b"\xe8\x85\x01\x40\x09x", frame(false, true, Some(2), false)),
            (b"\xa8\x85\x01", None),
            (b"\x80", None),
        ] {
            assert_eq!(inspect_vp9_untrusted(payload), expected, "{payload:x?}");
        }
    }
}
