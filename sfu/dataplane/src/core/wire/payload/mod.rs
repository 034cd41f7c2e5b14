//! Payloads, as far as the packet path reads them: key frames, layers and picture numbers.

mod av1;
mod frame;
mod h264;
mod parameter_sets;
mod red;
mod vp8;
mod vp9;

pub use frame::{Frame, LayerIds, Picture};
pub use parameter_sets::ParameterSets;
pub use red::{RedundantBlock, can_be_redundant, parse_red_untrusted, write_red};
pub use vp8::write_picture;

use av1::inspect_av1_untrusted;
use h264::inspect_h264_untrusted;
use vp8::inspect_vp8_untrusted;
use vp9::inspect_vp9_untrusted;

/// A codec whose payloads can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Codec {
    Av1,
    H264,
    Vp8,
    Vp9,
}

impl Codec {
    /// By the lower-case MIME type.  `None` for a codec that is not read: its streams can begin at any packet.
    pub fn from_mime(mime: &str) -> Option<Self> {
        match mime {
            "video/av1" => Some(Self::Av1),
            "video/h264" => Some(Self::H264),
            "video/vp8" => Some(Self::Vp8),
            "video/vp9" => Some(Self::Vp9),
            _ => None,
        }
    }

    /// Read the marks of the frame in a payload. A truncated descriptor gives none.
    ///
    /// `fresh`: no packet of its picture came before (in H.264 no slice of it).  An AV1 packet with a dependency descriptor
    /// is not read here.
    pub fn inspect(self, payload: &[u8], fresh: bool) -> Frame {
        match self {
            Self::Av1 => inspect_av1_untrusted(payload, fresh),
            Self::H264 => inspect_h264_untrusted(payload, fresh),
            Self::Vp8 => inspect_vp8_untrusted(payload).unwrap_or_default(),
            Self::Vp9 => inspect_vp9_untrusted(payload).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_payload_can_be_inspected(payload in prop::collection::vec(any::<u8>(), 0..40), fresh in any::<bool>()) {
            for codec in [Codec::Av1, Codec::H264, Codec::Vp8, Codec::Vp9] {
                let frame = codec.inspect(&payload, fresh);
                if let Some(picture) = frame.picture {
                    prop_assert!(usize::from(picture.at) + usize::from(picture.bits) / 7 <= payload.len());
                }
                if let Some(tl0) = frame.tl0 {
                    prop_assert!(usize::from(tl0.at) < payload.len());
                }
            }
        }
    }

    #[test]
    fn a_truncated_descriptor_tells_nothing() {
        for codec in [Codec::H264, Codec::Vp8, Codec::Vp9] {
            assert!(!codec.inspect(b"", true).key);
            assert!(!codec.inspect(b"\xf8", true).key);
        }
    }
}
