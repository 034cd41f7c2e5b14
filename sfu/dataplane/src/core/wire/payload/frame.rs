//! The marks of a frame in one packet.

/// A picture id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The id, modulo 2^`bits`.
    pub id: u16,
    /// Its place from the beginning of the payload.
    pub at: u16,
    /// Bits of the id: 7 or 15.
    pub bits: u8,
}

/// TL0PICIDX: the number of the picture in the lowest temporal layer that this one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tl0 {
    /// The number, modulo 2^8.
    pub index: u8,
    /// Its place from the beginning of the payload.
    pub at: u16,
}

/// A spatial and a temporal layer; 0 is the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LayerIds {
    pub spatial: u8,
    pub temporal: u8,
}

impl LayerIds {
    /// Whether it is at least as high as another one, in both dimensions.
    pub fn covers(self, other: Self) -> bool {
        other.spatial <= self.spatial && other.temporal <= self.temporal
    }

    /// The higher of each.
    pub fn max(self, other: Self) -> Self {
        Self { spatial: self.spatial.max(other.spatial), temporal: self.temporal.max(other.temporal) }
    }

    /// The lower of each.
    pub fn min(self, other: Self) -> Self {
        Self { spatial: self.spatial.min(other.spatial), temporal: self.temporal.min(other.temporal) }
    }
}

/// The marks of a frame in one packet.
///
/// With spatial layers, a picture has several frames: one for each spatial layer, the lowest first.
///
/// Only VP8 gives a picture id and TL0PICIDX here, because only its numbers must go on across switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A key frame begins here, in the lowest spatial layer.
    pub key: bool,
    /// A picture begins here.
    pub begins: bool,
    /// The frame ends here, in a format that tells it (VP9 and AV1).
    pub ends: bool,
    /// The packet holds a part of an H.264 picture, not only what may stand before it.
    pub slice: bool,
    /// The packet holds what an H.264 decoder needs first: a sequence parameter set.
    pub parameters: bool,
    /// The layer, if the packet names one.
    pub layer: Option<LayerIds>,
    /// The frame depends on lower temporal layers alone, so a receiver can take up its layer here.
    pub sync: bool,
    /// The frames behind this one depend on none before it, so a receiver can take up higher temporal layers after it.
    pub switch_up: bool,
    /// The picture id.
    pub picture: Option<Picture>,
    /// TL0PICIDX.
    pub tl0: Option<Tl0>,
}
