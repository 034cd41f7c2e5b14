//! What one packet tells about its frame.

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
