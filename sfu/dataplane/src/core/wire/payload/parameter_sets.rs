//! The H.264 parameter sets of a stream, for receivers that join in the middle of it.

use super::h264::{PPS, SPS, each_unit};

const MAX_UNITS: usize = 8; // of one stream; encoders use one or two of each kind
const MAX_UNIT_SIZE: usize = 512; // bytes; usual ones have under 50

/// The newest parameter sets, each a whole NAL unit.
///
/// An encoder may send them once, and later IDR pictures without them.  A decoder that begins at such a picture needs
/// them first (ITU-T H.264 section 7.4.1.2.1).
#[derive(Clone, Debug, Default)]
pub struct ParameterSets(Vec<Box<[u8]>>);

impl ParameterSets {
    /// Keep the parameter sets in this payload.  Gives whether one of them is new.
    pub fn take_untrusted(&mut self, payload: &[u8]) -> bool {
        let mut new = false;
        each_unit(payload, |unit| {
            if matches!(unit[0] & 0x1F, SPS | PPS) && unit.len() <= MAX_UNIT_SIZE {
                new |= self.keep(unit);
            }
        });
        new
    }

    /// All of them; sequence parameter sets first, as the others refer to them.
    pub fn units(&self) -> impl Iterator<Item = &[u8]> {
        let of = |kind: u8| self.0.iter().filter(move |unit| unit[0] & 0x1F == kind).map(|unit| &**unit);
        of(SPS).chain(of(PPS))
    }

    /// The parameter sets that a decoder needs before this payload, in which a key frame begins.
    ///
    /// `has_sequence`: the payload has a sequence parameter set.  It may still lack picture parameter sets that the
    /// encoder sent earlier.
    pub fn missing_in(&self, payload: &[u8], has_sequence: bool) -> Vec<Vec<u8>> {
        let mut has_picture = false;
        each_unit(payload, |unit| has_picture |= unit[0] & 0x1F == PPS);
        let knows_pictures = self.0.iter().any(|unit| unit[0] & 0x1F == PPS);
        let needed = !has_sequence || (knows_pictures && !has_picture);
        self.units().filter(|_| needed).map(<[u8]>::to_vec).collect()
    }

    fn keep(&mut self, unit: &[u8]) -> bool {
        if self.0.iter().any(|known| **known == *unit) {
            return false;
        }
        let number = number_of(unit);
        self.0.retain(|known| known[0] & 0x1F != unit[0] & 0x1F || number_of(known) != number);
        if self.0.len() == MAX_UNITS {
            self.0.remove(0);
        }
        self.0.push(unit.into());
        true
    }
}

/// The unit's `seq_parameter_set_id` (section 7.3.2.1.1, behind profile and level) or `pic_parameter_set_id` (section
/// 7.3.2.2).
fn number_of(unit: &[u8]) -> Option<u32> {
    let at = if unit[0] & 0x1F == SPS { 4 } else { 1 };
    exp_golomb(unit.get(at..)?)
}

/// The Exp-Golomb code at the beginning of these bits (section 9.1), up to 254; `None` for a larger number.
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let bits = u32::from(*bytes.first()?) << 8 | u32::from(bytes.get(1).copied().unwrap_or_default());
    let zeros = (bits << 16).leading_zeros();
    (zeros < 8).then(|| (bits >> (15 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut sets = ParameterSets::default();
        for payload in payloads {
            let before = sets.0.clone();
            assert_eq!(sets.take_untrusted(payload), sets.0 != before);
        }
        sets.units().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn the_newest_set_of_each_number_is_kept_with_sequences_first() {
        let (pps, other_pps, newer_pps) = (b"\x68\xce\x3c\x80", b"\x68\x5e\x3c\x80", b"\x68\xce\x38\x80");
        let sps = b"\x67\x42\xe0\x1f\x8c\x8d\x40";
        assert_eq!(kept(&[pps, sps]), [&sps[..], pps]);
        assert_eq!(kept(&[pps, other_pps, newer_pps]), [other_pps, newer_pps]);
        let both = b"\x78\x00\x07\x67\x42\xe0\x1f\x8c\x8d\x40\x00\x04\x68\xce\x3c\x80";
        assert_eq!(kept(&[both, both]), [&sps[..], pps]);
    }

    #[test]
    fn slices_fragments_and_oversized_units_are_not_kept() {
        let large = [&b"\x67\x42\xe0\x1f"[..], &[0x80; MAX_UNIT_SIZE]].concat();
        assert_eq!(kept(&[b"\x65idr", b"\x09\x10", b"\x7c\x87\x42", &large]), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_number_of_kept_sets_is_bounded() {
        let many: Vec<Vec<u8>> = (0..20u8).map(|number| vec![0x68, 0x80 | number]).collect();
        let distinct: Vec<Vec<u8>> = (1..15u32)
            .map(|number| {
                let bits = (number + 1) << (15 - 2 * (number + 1).ilog2());
                vec![0x68, (bits >> 8) as u8, bits as u8]
            })
            .collect();
        let slices = |units: &[Vec<u8>]| kept(&units.iter().map(Vec::as_slice).collect::<Vec<_>>()).len();
        assert_eq!((slices(&many), slices(&distinct)), (1, MAX_UNITS));
    }

    #[test]
    fn numbers_are_read_as_exp_golomb_codes() {
        for (bits, number) in
            [(0x8000u16, Some(0)), (0x4000, Some(1)), (0x6000, Some(2)), (0x0800, Some(15)), (0, None)]
        {
            assert_eq!(exp_golomb(&bits.to_be_bytes()), number);
        }
        assert_eq!(exp_golomb(&[0x80]), Some(0));
        assert_eq!(exp_golomb(&[]), None);
    }
}
