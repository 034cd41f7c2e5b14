use super::*;
use proptest::prelude::*;

/// Writes what [`BitReader`] reads.
#[derive(Default)]
struct BitWriter(Vec<bool>);

impl BitWriter {
    fn number(mut self, bits: u32, value: u32) -> Self {
        self.0.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn numbers(self, bits: u32, values: &[u32]) -> Self {
        values.iter().fold(self, |writer, &value| writer.number(bits, value))
    }

    fn bytes(self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|byte| (0..8).fold(0, |all, bit| all << 1 | u8::from(*byte.get(bit).unwrap_or(&false))))
            .collect()
    }
}

/// `-`, `D`, `S` and `R`: not present, discardable, switch, required.
fn relations(text: &str) -> Vec<u32> {
    text.bytes().map(|one| "-DSR".find(char::from(one)).unwrap() as u32).collect()
}

/// The fields behind the mandatory ones of a key frame with two spatial and two temporal layers, and four decode
/// targets, whose upper layer depends on the lower one at key frames only.
fn two_by_two() -> BitWriter {
    let writer = BitWriter::default().numbers(1, &[1, 0, 0, 0, 0]);
    let writer = writer.number(6, 60).number(5, 3);
    // S0T0 twice, S0T1, S1T0 twice, S1T1
    let writer = writer.numbers(2, &[0, 1, 2, 0, 1, 3]);
    let writer = ["SSSS", "SS--", "-D--", "--SS", "--SS", "---D"]
        .into_iter()
        .fold(writer, |writer, text| writer.numbers(2, &relations(text)));
    // No differences; 4; 2; 1; 4; 2
    let writer = writer.number(1, 0);
    let writer =
        [3, 1, 0, 3, 1].into_iter().fold(writer, |writer, less| writer.number(1, 1).number(4, less).number(1, 0));
    // Two of at most four chains: `ns(5)`.  Each chain protects the targets of a spatial layer: `ns(2)`.
    let writer = writer.number(2, 2).numbers(1, &[0, 0, 1, 1]).numbers(4, &[0; 12]);
    writer.number(1, 1).numbers(16, &[319, 179, 639, 359])
}

fn with_structure(template: u8) -> Vec<u8> {
    [vec![0x80 | template, 0, 9], two_by_two().bytes()].concat()
}

fn structure() -> Structure {
    Descriptor::parse_untrusted(&with_structure(60), None).unwrap().structure.unwrap()
}

fn layer(spatial: u8, temporal: u8) -> LayerIds {
    LayerIds { spatial, temporal }
}

#[test]
fn a_key_frame_brings_the_structure() {
    let descriptor = Descriptor::parse_untrusted(&with_structure(60), None).unwrap();
    assert_eq!((descriptor.begins, descriptor.ends, descriptor.active), (true, false, Some(0b1111)));
    let frame = FrameDependencies { layer: layer(0, 0), promises: true, depends: false };
    assert_eq!(descriptor.frame, Some(frame));
    let structure = descriptor.structure.unwrap();
    assert_eq!((structure.target_count(), structure.chains()), (4, 2));
    let highest = [0b0001, 0b0011, 0b0100, 0b1111, 0].map(|active| structure.highest(active));
    assert_eq!(highest, [layer(0, 0), layer(0, 1), layer(1, 0), layer(1, 1), layer(0, 0)]);
}

#[test]
fn three_bytes_name_a_template_of_the_known_structure() {
    let read = |template: u8| Descriptor::parse_untrusted(&[0x40 | template, 0, 10], Some(&structure())).unwrap();
    // The templates have the ids 60 to 63, 0 and 1.
    let expected = [
        (61, layer(0, 0), true),
        (62, layer(0, 1), false),
        (63, layer(1, 0), true),
        (0, layer(1, 0), true),
        (1, layer(1, 1), false),
    ];
    for (template, layer, promises) in expected {
        let frame = FrameDependencies { layer, promises, depends: true };
        let descriptor = Descriptor { ends: true, frame: Some(frame), ..Descriptor::default() };
        assert_eq!(read(template), descriptor, "{template}");
    }
    assert_eq!(read(2).frame, None, "no such template");
    assert_eq!(Descriptor::parse_untrusted(&[0x80, 0, 10], None).unwrap().frame, None, "no structure");
}

#[test]
fn a_frame_can_replace_the_fields_of_its_template() {
    let own = |relation: &str, differences: &[(u32, u32)]| {
        let writer =
            BitWriter::default().numbers(1, &[0, 1, 1, 1, 1]).number(4, 0b0011).numbers(2, &relations(relation));
        let writer =
            differences.iter().fold(writer, |writer, &(size, less)| writer.number(2, size).number(4 * size, less));
        let value = [vec![62, 0, 10], writer.number(2, 0).numbers(8, &[1, 2]).bytes()].concat();
        let descriptor = Descriptor::parse_untrusted(&value, Some(&structure())).unwrap();
        assert_eq!(descriptor.active, Some(0b0011));
        let frame = descriptor.frame.unwrap();
        (frame.promises, frame.depends)
    };
    assert_eq!(own("-S--", &[]), (true, false));
    assert_eq!(own("-R--", &[(1, 15), (3, 4095)]), (false, true));
    assert_eq!(own("SDSS", &[(2, 255)]), (false, true));
}

#[test]
fn every_truncation_is_refused() {
    let whole = with_structure(60);
    for size in 0..whole.len() {
        let parsed = Descriptor::parse_untrusted(&whole[..size], None);
        assert!(parsed.is_none_or(|parsed| size == MANDATORY_SIZE && parsed.structure.is_none()), "{size} bytes");
    }
}

#[test]
fn structures_beyond_the_bounds_are_refused() {
    let steps = |steps: &[u32]| {
        let writer = BitWriter::default().numbers(1, &[1, 0, 0, 0, 0]).number(6, 0).number(5, 0).numbers(2, steps);
        Descriptor::parse_untrusted(&[vec![0x80, 0, 9], writer.bytes(), vec![0; 200]].concat(), None)
    };
    assert!(steps(&[2, 2, 2, 3]).is_some());
    assert!(steps(&[2, 2, 2, 2, 3]).is_none(), "five spatial layers");
    assert!(steps(&[1, 1, 1, 1, 1, 1, 1, 3]).is_some());
    assert!(steps(&[1, 1, 1, 1, 1, 1, 1, 1, 3]).is_none(), "nine temporal layers");
    assert!(steps(&[[0; 63].as_slice(), &[3]].concat()).is_some());
    assert!(steps(&[[0; 64].as_slice(), &[3]].concat()).is_none(), "65 templates");
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(value in prop::collection::vec(any::<u8>(), 0..256), structured in any::<bool>()) {
        let mut value = value;
        if structured && let Some(flags) = value.get_mut(3) {
            *flags |= 0x80;
        }
        let known = structure();
        if let Some(Descriptor { structure: Some(structure), .. }) = Descriptor::parse_untrusted(&value, Some(&known)) {
            prop_assert!((1..=32).contains(&structure.target_count()));
            prop_assert!(structure.chains() as usize <= structure.target_count());
            let highest = structure.highest(u32::MAX);
            prop_assert!(highest.spatial <= 3 && highest.temporal <= 7);
        }
    }

    /// A damaged descriptor is read as something else, or refused.
    #[test]
    fn damaged_structures_can_be_read(at in 0..60usize, bit in 0..8u8) {
        let mut value = with_structure(60);
        let at = at % value.len();
        value[at] ^= 1 << bit;
        let parsed = Descriptor::parse_untrusted(&value, None);
        prop_assert!(parsed.is_none_or(|parsed| parsed.structure.is_some() || parsed.frame.is_none()));
    }
}
