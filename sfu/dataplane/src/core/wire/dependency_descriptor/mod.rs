//! The dependency descriptor: a header extension that says which layer a packet belongs to, and which frames its frame
//! depends on.  The RTP payload format for AV1 defines it in its appendix A.  It works for any codec, and for payloads
//! that are encrypted from end to end.

mod bits;
mod structure;
#[cfg(test)]
mod tests;

pub use structure::Structure;

use crate::core::wire::payload::LayerIds;
use bits::BitReader;
use structure::Template;

/// Bytes that every descriptor has; more bytes hold optional fields.
const MANDATORY_SIZE: usize = 3;

/// A descriptor, as far as the core uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The frame begins with this packet.
    pub begins: bool,
    /// The frame ends with this packet.
    pub ends: bool,
    /// A new structure, with which this frame and those behind it must be read.
    pub structure: Option<Structure>,
    /// The decode targets that the sender serves from now on, a bit for each; `None`: those as before.
    pub active: Option<u32>,
    /// The rest; `None` if it cannot be read without a structure that is missing.
    pub frame: Option<FrameDependencies>,
}

/// The layer and the dependencies of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDependencies {
    /// Its layer.
    pub layer: LayerIds,
    /// The frames behind it in higher temporal layers depend on none before it.
    pub promises: bool,
    /// It depends on other frames.
    pub depends: bool,
}

/// Which optional fields follow.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    structure: bool,
    active: bool,
    relations: bool,
    differences: bool,
    chains: bool,
}

impl Descriptor {
    /// Read the value of the extension.  `known` is the structure of the stream before this packet.
    ///
    /// `None` for a truncated value, and for a structure that exceeds the bounds of the specification.
    pub fn parse_untrusted(value: &[u8], known: Option<&Structure>) -> Option<Self> {
        let &[first, _, _, ..] = value else { return None };
        let mut bits = BitReader::new(&value[MANDATORY_SIZE..]);
        let flags = if value.len() > MANDATORY_SIZE { Flags::read_untrusted(&mut bits)? } else { Flags::default() };
        let mut descriptor = Self { begins: first & 0x80 != 0, ends: first & 0x40 != 0, ..Self::default() };
        if flags.structure {
            let structure = Structure::read_untrusted(&mut bits)?;
            descriptor.active = Some(u32::MAX >> (32 - structure.target_count()));
            descriptor.structure = Some(structure);
        }
        let Some(structure) = descriptor.structure.as_ref().or(known) else { return Some(descriptor) };
        if flags.active {
            descriptor.active = Some(bits.number(structure.target_count())?);
        }
        let template = structure.template(first & 0x3F);
        if let Some(template) = template {
            descriptor.frame = Some(read_frame_untrusted(&mut bits, flags, template, structure)?);
        }
        Some(descriptor)
    }
}

impl Flags {
    fn read_untrusted(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self {
            structure: bits.flag()?,
            active: bits.flag()?,
            relations: bits.flag()?,
            differences: bits.flag()?,
            chains: bits.flag()?,
        })
    }
}

/// Read a frame's own fields; its template has the others.
fn read_frame_untrusted(
    bits: &mut BitReader<'_>,
    flags: Flags,
    template: Template,
    structure: &Structure,
) -> Option<FrameDependencies> {
    let Template { layer, mut promises, mut depends } = template;
    if flags.relations {
        promises = structure.read_relations_untrusted(bits, layer)?;
    }
    if flags.differences {
        depends = false;
        while let size @ 1.. = bits.number(2)? {
            bits.number(4 * size as usize)?;
            depends = true;
        }
    }
    if flags.chains {
        (0..structure.chains()).try_for_each(|_| bits.number(8).map(|_| ()))?;
    }
    Some(FrameDependencies { layer, promises, depends })
}
