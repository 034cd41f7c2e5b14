//! Dependency descriptors: a few values in a row, as packets of one stream bring them.

use crate::core::receive::dependency_structures::DependencyStructures;
use crate::core::wire::dependency_descriptor::{Descriptor, Structure};

/// The first byte of each value is its size.  Layers stay within the bounds of the specification.
pub fn try_untrusted(input: &[u8]) {
    let mut known: Option<Structure> = None;
    let mut structures = DependencyStructures::default();
    let mut rest = input;
    let mut number = 0;
    while let [size, behind @ ..] = rest {
        let (value, behind) = behind.split_at(behind.len().min(usize::from(*size)));
        rest = behind;
        number += 1;
        structures.read_untrusted(value, number);
        structures.read_again_untrusted(value, number - 1);
        let Some(descriptor) = Descriptor::parse_untrusted(value, known.as_ref()) else { continue };
        if let Some(frame) = descriptor.frame {
            assert!(frame.layer.spatial < 4 && frame.layer.temporal < 8, "{frame:?}");
        }
        if let Some(structure) = descriptor.structure {
            assert!((1..=32).contains(&structure.target_count()));
            assert!(structure.chains() as usize <= structure.target_count());
            assert_eq!(
                Descriptor::parse_untrusted(value, None).and_then(|again| again.structure).as_ref(),
                Some(&structure)
            );
            let highest = structure.highest(descriptor.active.unwrap_or(0));
            assert!(structure.highest(u32::MAX).covers(highest));
            known = Some(structure);
        }
    }
}
