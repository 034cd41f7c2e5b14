//! What the packet path must see inside a payload: where key frames begin, and layers.  Nothing else is looked at.

mod h264;
mod parameter_sets;
mod red;
mod vp8;
mod vp9;

pub use h264::inspect_h264_untrusted;
pub use parameter_sets::ParameterSets;
pub use red::primary_untrusted;
pub use vp8::{inspect_vp8_untrusted, write_picture};
pub use vp9::inspect_vp9_untrusted;

/// A picture id, in the packet at `at` with 7 or 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Wraps.
    pub id: u16,
    /// Where it is, from the beginning of the payload.
    pub at: u16,
    /// 7 or 15.
    pub bits: u8,
}

/// TL0PICIDX: which picture of the lowest temporal layer this one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tl0 {
    /// Wraps.
    pub index: u8,
    /// Where it is, from the beginning of the payload.
    pub at: u16,
}

/// What one packet tells about its frame.  Picture ids and TL0PICIDX are VP8's alone: those are numbered on across
/// switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A key frame begins here.
    pub key: bool,
    /// A frame begins here.
    pub begins: bool,
    /// There is a part of an H.264 picture here.
    pub slice: bool,
    /// This packet holds what decoders need first (H.264's sequence parameter set).
    pub parameters: bool,
    /// The temporal layer, where the packet names one.
    pub temporal: Option<u8>,
    /// This layer can be taken up at this frame.
    pub sync: bool,
    /// Every higher layer can be taken up right after it.
    pub switch_up: bool,
    /// The picture id.
    pub picture: Option<Picture>,
    /// TL0PICIDX.
    pub tl0: Option<Tl0>,
}

/// A codec whose payloads can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Codec {
    H264,
    Vp8,
    Vp9,
}

impl Codec {
    /// By its lower-case MIME type; `None` for what cannot be read, which begins anywhere.
    pub fn from_mime(mime: &str) -> Option<Self> {
        match mime {
            "video/h264" => Some(Self::H264),
            "video/vp8" => Some(Self::Vp8),
            "video/vp9" => Some(Self::Vp9),
            _ => None,
        }
    }

    /// Look at a payload; `fresh` says that no packet of its picture came before, in H.264 no slice of it.
    ///
    /// What is cut off says nothing.
    pub fn inspect(self, payload: &[u8], fresh: bool) -> Frame {
        match self {
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
        fn any_payload_can_be_looked_at(payload in prop::collection::vec(any::<u8>(), 0..40), fresh in any::<bool>()) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Vp9] {
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
    fn a_descriptor_that_is_cut_off_says_nothing() {
        for codec in [Codec::H264, Codec::Vp8, Codec::Vp9] {
            assert!(!codec.inspect(b"", true).key);
            assert!(!codec.inspect(b"\xf8", true).key);
        }
    }
}
