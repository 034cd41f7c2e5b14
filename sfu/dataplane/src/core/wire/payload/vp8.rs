//! The VP8 payload descriptor (RFC 7741 section 4.2).

use super::frame::{Frame, LayerIds, Picture, Tl0};

/// Read a payload; `None` if it is truncated.
///
/// A frame begins with S = 1 and PID = 0.  It is a key frame if the P bit of its header is 0 (section 4.3).
pub fn inspect_vp8_untrusted(payload: &[u8]) -> Option<Frame> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut frame = Frame { begins: first & 0x17 == 0x10, ..Frame::default() };
    if first & 0x80 != 0 {
        let extended = *payload.get(at)?;
        at += 1;
        if extended & 0x80 != 0 {
            let picture = read_picture(payload, at)?;
            at += usize::from(picture.bits / 7);
            frame.picture = Some(picture);
        }
        if extended & 0x40 != 0 {
            frame.tl0 = Some(Tl0 { index: *payload.get(at)?, at: at as u16 });
            at += 1;
        }
        if extended & 0x20 != 0 {
            let layer = *payload.get(at)?;
            frame.layer = Some(LayerIds { spatial: 0, temporal: layer >> 6 });
            frame.sync = layer & 0x20 != 0;
        }
        if extended & 0x30 != 0 {
            at += 1;
        }
    }
    frame.key = frame.begins && payload.get(at)? & 0x01 == 0;
    Some(frame)
}

fn read_picture(payload: &[u8], at: usize) -> Option<Picture> {
    let high = *payload.get(at)?;
    let (id, bits) = match high {
        0x80.. => (u16::from_be_bytes([high & 0x7F, *payload.get(at + 1)?]), 15),
        _ => (u16::from(high), 7),
    };
    Some(Picture { id, at: at as u16, bits })
}

/// Replace a picture id with the lowest bits of `number`, which never wraps: as many as the old id had.
pub fn write_picture(payload: &mut [u8], place: Picture, number: i64) {
    let at = usize::from(place.at);
    if place.bits == 15 {
        payload[at..at + 2].copy_from_slice(&(number as u16 | 0x8000).to_be_bytes());
    } else {
        payload[at] = number as u8 & 0x7F;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_begins_where_its_first_partition_does() {
        let begins = Frame { begins: true, ..Frame::default() };
        assert_eq!(inspect_vp8_untrusted(b"\x10\x00"), Some(Frame { key: true, ..begins }));
        assert_eq!(inspect_vp8_untrusted(b"\x10\x01"), Some(begins));
        assert_eq!(inspect_vp8_untrusted(b"\x00\x00"), Some(Frame::default()));
        assert_eq!(inspect_vp8_untrusted(b"\x11\x00"), Some(Frame::default()));
        assert_eq!(inspect_vp8_untrusted(b"\x10"), None);
    }

    #[test]
    fn every_field_of_the_descriptor_is_read() {
        let frame = inspect_vp8_untrusted(b"\x90\xe0\x81\x2c\x07\xa0\x00").unwrap();
        assert_eq!(frame.picture, Some(Picture { id: 300, at: 2, bits: 15 }));
        assert_eq!(frame.tl0, Some(Tl0 { index: 7, at: 4 }));
        assert_eq!((frame.layer, frame.sync, frame.key), (Some(LayerIds { spatial: 0, temporal: 2 }), true, true));
        let short = inspect_vp8_untrusted(b"\x90\xc0\x05\x09\x01").unwrap();
        assert_eq!(short.picture, Some(Picture { id: 5, at: 2, bits: 7 }));
        assert_eq!(short.tl0, Some(Tl0 { index: 9, at: 3 }));
        assert_eq!((short.layer, short.key), (None, false));
        // Where no frame begins, nothing need follow the descriptor.
        assert_eq!(inspect_vp8_untrusted(b"\x80\x40\x07").unwrap().tl0, Some(Tl0 { index: 7, at: 2 }));
    }

    #[test]
    fn a_key_frame_index_without_a_layer_index_names_no_temporal_layer() {
        let frame = inspect_vp8_untrusted(b"\x90\x10\x05\x00").unwrap();
        assert_eq!(frame, Frame { key: true, begins: true, ..Frame::default() });
    }

    #[test]
    fn a_picture_id_keeps_its_number_of_bits() {
        let mut payload = *b"\x90\x80\xff\xff";
        write_picture(&mut payload, Picture { id: 0, at: 2, bits: 15 }, 0x18001);
        assert_eq!(payload[2..], [0x80, 0x01]);
        write_picture(&mut payload, Picture { id: 0, at: 3, bits: 7 }, 0x85);
        assert_eq!(payload[2..], [0x80, 0x05]);
    }
}
