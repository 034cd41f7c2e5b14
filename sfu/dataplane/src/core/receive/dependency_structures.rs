//! The structures by which the dependency descriptors of an encoding are read.

use crate::core::wire::dependency_descriptor::{Descriptor, Structure};
use crate::core::wire::payload::{Frame, LayerIds};

/// A structure, and the extended number of the packet that brought it.
#[derive(Debug)]
struct Era {
    since: i64,
    structure: Structure,
}

/// The newest structure and the one before it.
///
/// Key frames bring new structures.  Packets from before a key frame may come after it, and may be asked for after it.
#[derive(Debug, Default)]
pub struct DependencyStructures {
    current: Option<Era>,
    former: Option<Era>,
}

/// What a descriptor says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub frame: Frame,
    /// The highest layers that the sender serves from now on, if that changes here.
    pub highest: Option<LayerIds>,
}

impl DependencyStructures {
    /// Read the descriptor of the packet with this extended number, and keep the structure that it may bring.
    ///
    /// A descriptor that cannot be read names no layer, so that every receiver gets the packet.
    pub fn read_untrusted(&mut self, value: &[u8], number: i64) -> Described {
        let Some(descriptor) = Descriptor::parse_untrusted(value, self.at(number)) else { return Described::default() };
        let frame = frame(&descriptor);
        let structure = descriptor.structure.as_ref().or(self.at(number));
        let highest = descriptor.active.zip(structure).map(|(active, structure)| structure.highest(active));
        if let Some(structure) = descriptor.structure {
            self.keep(structure, number);
        }
        Described { frame, highest }
    }

    /// Read the descriptor of a packet again, which was read when it came.
    pub fn read_again_untrusted(&self, value: &[u8], number: i64) -> Frame {
        Descriptor::parse_untrusted(value, self.at(number)).map_or_else(Frame::default, |read| frame(&read))
    }

    /// The structure for the packet with this number.
    fn at(&self, number: i64) -> Option<&Structure> {
        let is_older = self.current.as_ref().is_some_and(|current| number < current.since);
        let era = self.former.as_ref().filter(|_| is_older).or(self.current.as_ref());
        era.map(|era| &era.structure)
    }

    /// Keep a structure.  One that came late does not replace a newer one.
    fn keep(&mut self, structure: Structure, number: i64) {
        if self.current.as_ref().is_some_and(|current| number < current.since || structure == current.structure) {
            return;
        }
        self.former = self.current.replace(Era { since: number, structure });
    }
}

/// The marks of a frame.  A picture begins with its lowest spatial layer, and a key frame brings a structure.
fn frame(descriptor: &Descriptor) -> Frame {
    let Some(frame) = descriptor.frame else { return Frame::default() };
    let begins = descriptor.begins && frame.layer.spatial == 0;
    Frame {
        key: begins && descriptor.structure.is_some() && !frame.depends,
        begins,
        ends: descriptor.ends,
        layer: Some(frame.layer),
        switch_up: frame.promises,
        ..Frame::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key frame with a structure of one decode target, whose templates have these temporal layers and ids from
    /// `first` on.
    fn key_frame(first: u8, templates: u8) -> Vec<u8> {
        let mut bits = format!("10000{first:06b}00000");
        bits += &"01".repeat(usize::from(templates) - 1);
        bits += "11";
        // Every frame is a switch.  The first one depends on nothing, the others on the frame before.  No chains, and
        // no resolutions.
        bits += &"10".repeat(usize::from(templates));
        bits += "0";
        bits += &"100000".repeat(usize::from(templates) - 1);
        bits += "00";
        let byte = |bits: &[u8]| u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(bits).unwrap()), 2).unwrap();
        [vec![0x80 | first, 0, 0], bits.as_bytes().chunks(8).map(byte).collect()].concat()
    }

    fn temporal(frame: Frame) -> Option<u8> {
        frame.layer.map(|layer| layer.temporal)
    }

    #[test]
    fn a_key_frame_brings_its_structure_and_the_layers_that_are_served() {
        let mut structures = DependencyStructures::default();
        let described = structures.read_untrusted(&key_frame(5, 3), 10);
        assert!(described.frame.key && described.frame.begins && described.frame.switch_up);
        assert_eq!(described.highest, Some(LayerIds { spatial: 0, temporal: 2 }));
        let described = structures.read_untrusted(&[0x40 | 7, 0, 1], 11);
        let layer = Some(LayerIds { spatial: 0, temporal: 2 });
        assert_eq!(described.frame, Frame { ends: true, layer, switch_up: true, ..Frame::default() });
        assert_eq!(described.highest, None);
    }

    #[test]
    fn packets_from_before_a_key_frame_are_read_with_the_structure_of_their_time() {
        let mut structures = DependencyStructures::default();
        structures.read_untrusted(&key_frame(5, 3), 10);
        structures.read_untrusted(&key_frame(7, 1), 20);
        let at = |number: i64| temporal(structures.read_again_untrusted(&[7, 0, 1], number));
        assert_eq!([19, 20, 5].map(at), [Some(2), Some(0), Some(2)]);
    }

    #[test]
    fn a_late_structure_is_taken_unless_a_newer_one_came() {
        let mut structures = DependencyStructures::default();
        structures.read_untrusted(&key_frame(5, 3), 10);
        assert_eq!(structures.read_untrusted(&[20, 0, 1], 31).frame, Frame::default(), "its key frame is missing");
        assert!(structures.read_untrusted(&key_frame(20, 1), 30).frame.key);
        assert_eq!(temporal(structures.read_untrusted(&[20, 0, 1], 32).frame), Some(0));
        assert!(structures.read_untrusted(&key_frame(40, 1), 20).frame.key);
        assert_eq!(temporal(structures.read_untrusted(&[20, 0, 1], 33).frame), Some(0));
    }

    #[test]
    fn a_descriptor_that_cannot_be_read_names_no_layer() {
        let mut structures = DependencyStructures::default();
        for value in [&b""[..], b"\x80\x00", b"\x80\x00\x01", b"\x80\x00\x01\x80"] {
            assert_eq!(structures.read_untrusted(value, 10), Described::default(), "{value:x?}");
        }
    }
}
