//! Reading single bits, the most significant first.

/// A place in bytes, bit by bit.  Reading behind the end gives `None`.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Read from the first bit on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Read an unsigned number of at most 32 bits.
    pub fn number(&mut self, bits: usize) -> Option<u32> {
        if bits > 8 * self.bytes.len() - self.at {
            return None;
        }
        let mut number = 0;
        for at in self.at..self.at + bits {
            number = number << 1 | u32::from(self.bytes[at / 8] >> (7 - at % 8) & 1);
        }
        self.at += bits;
        Some(number)
    }

    /// Read one bit.
    pub fn flag(&mut self) -> Option<bool> {
        self.number(1).map(|bit| bit == 1)
    }

    /// Read a number below `count`, which is from 1 to 64: the `ns(n)` of AV1 (bitstream specification section 4.10.7).
    ///
    /// The first numbers take a bit less than the others, if `count` is no power of two.
    pub fn below(&mut self, count: u32) -> Option<u32> {
        let bits = count.ilog2() + 1;
        let short = (1 << bits) - count;
        let number = self.number(bits as usize - 1)?;
        if number < short {
            return Some(number);
        }
        Some((number << 1 | self.number(1)?) - short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_across_bytes() {
        let mut bits = BitReader::new(b"\xA5\x0F\xF0");
        let read = [1, 3, 10, 8].map(|size| bits.number(size));
        assert_eq!(read, [Some(1), Some(2), Some(0b01_0100_0011), Some(0b1111_1100)]);
        assert_eq!((bits.number(3), bits.flag(), bits.flag(), bits.flag()), (None, Some(false), Some(false), None));
        assert_eq!(bits.number(0), Some(0));
    }

    #[test]
    fn a_number_below_five_takes_two_or_three_bits() {
        let mut bits = BitReader::new(&[0b0001_1011, 0b0111_0000]);
        let read: Vec<_> = (0..5).map_while(|_| bits.below(5)).collect();
        assert_eq!(read, [0, 1, 2, 3, 4], "00, 01, 10, 110 and 111");
        assert_eq!((BitReader::new(&[]).below(1), BitReader::new(&[]).below(2)), (Some(0), None));
        assert_eq!(BitReader::new(&[0xFF]).below(64), Some(63));
    }
}
