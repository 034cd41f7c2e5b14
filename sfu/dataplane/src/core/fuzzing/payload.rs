//! The headers of payloads: VP8, VP9, H.264, AV1, and redundant audio.

use crate::core::wire::payload::{
    Codec, ParameterSets, can_be_redundant, parse_red_untrusted, write_picture, write_red,
};

/// All marks lie within the payload, and what is written again is read as it was.
pub fn try_untrusted(payload: &[u8]) {
    for codec in [Codec::Av1, Codec::H264, Codec::Vp8, Codec::Vp9] {
        for fresh in [false, true] {
            let frame = codec.inspect(payload, fresh);
            assert!(frame.begins || !frame.key || codec == Codec::H264, "{codec:?}");
            assert!(frame.layer.is_none_or(|layer| layer.spatial < 8 && layer.temporal < 8));
            assert!(frame.tl0.is_none_or(|tl0| payload[usize::from(tl0.at)] == tl0.index));
            if let Some(picture) = frame.picture {
                assert!(picture.bits == 15 || picture.id < 128);
                let mut again = payload.to_vec();
                write_picture(&mut again, picture, i64::from(picture.id));
                assert_eq!(again, payload);
                write_picture(&mut again, picture, -1);
                let read = codec.inspect(&again, fresh).picture.unwrap();
                assert_eq!((read.at, read.bits, u32::from(read.id)), (picture.at, picture.bits, (1 << read.bits) - 1));
            }
        }
    }
    red(payload);
    parameter_sets(payload);
}

fn red(payload: &[u8]) {
    let Some(parsed) = parse_red_untrusted(payload) else { return };
    let blocks: Vec<_> = parsed.blocks.collect();
    let inside: usize = blocks.iter().map(|block| block.payload.len()).sum();
    assert_eq!(inside + parsed.primary.len() + 4 * blocks.len() + 1, payload.len());
    if blocks.iter().all(|block| can_be_redundant(block.offset.into(), block.payload.len())) {
        let mut again = Vec::new();
        write_red(&blocks, parsed.payload_type, parsed.primary, &mut again);
        assert_eq!(again, payload);
    }
}

/// Few sets are kept, and taking them a second time changes nothing.
fn parameter_sets(payload: &[u8]) {
    let mut sets = ParameterSets::default();
    for half in payload.split_inclusive(|byte| *byte == 0xFF) {
        sets.take_untrusted(half);
    }
    sets.take_untrusted(payload);
    let kept: Vec<Vec<u8>> = sets.units().map(<[u8]>::to_vec).collect();
    assert!(kept.len() <= 8 && kept.iter().all(|unit| unit.len() <= 512));
    for unit in &kept {
        assert!(!sets.take_untrusted(unit));
    }
    assert!(sets.missing_in(payload, false).len() <= kept.len());
}
