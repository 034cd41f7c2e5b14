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

/// The marks of a frame in one packet.
///
/// Only VP8 gives a picture id and TL0PICIDX here, because only its numbers must go on across switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A key frame begins here.
    pub key: bool,
    /// A frame begins here.
    pub begins: bool,
    /// The packet holds a part of an H.264 picture, not only what may stand before it.
    pub slice: bool,
    /// The packet holds what an H.264 decoder needs first: a sequence parameter set.
    pub parameters: bool,
    /// The temporal layer, if the packet names one.
    pub temporal: Option<u8>,
    /// The frame depends on lower layers alone, so a receiver can take up its layer here.
    pub sync: bool,
    /// The frames behind this one depend on none before it, so a receiver can take up higher layers after it.
    pub switch_up: bool,
    /// The picture id.
    pub picture: Option<Picture>,
    /// TL0PICIDX.
    pub tl0: Option<Tl0>,
}
