//! Generic NACKs (RFC 4585 section 6.2.1): packets that a receiver misses.

use super::items::{Item, Items, write_items};
use super::raw_packet::{BadPacket, GENERIC_NACK, TRANSPORT_LAYER_FEEDBACK, split_feedback_untrusted, write_packet};
use crate::core::wire::rtp::be16;

/// A generic NACK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nack<'a> {
    /// SSRC of the receiver.
    pub sender_ssrc: u32,
    /// SSRC of the stream.
    pub media_ssrc: u32,
    /// The missing packets, at least one pair.
    pub pairs: Items<'a, NackPair>,
}

/// A missing packet, and which of the 16 packets behind it are missing too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackPair {
    /// PID: a sequence number.
    pub first: u16,
    /// BLP: bit n stands for the number `first + n + 1`.
    pub following: u16,
}

impl NackPair {
    /// The sequence numbers, in rising order.
    pub fn numbers(self) -> impl Iterator<Item = u16> {
        let following = (0..16u16).filter(move |bit| self.following >> bit & 1 != 0);
        std::iter::once(self.first).chain(following.map(move |bit| self.first.wrapping_add(bit + 1)))
    }
}

impl Item for NackPair {
    const SIZE: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        Self { first: be16(bytes, 0), following: be16(bytes, 2) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.first.to_be_bytes());
        out.extend(self.following.to_be_bytes());
    }
}

impl<'a> Nack<'a> {
    pub(super) fn read_untrusted(body: &'a [u8]) -> Result<Self, BadPacket> {
        let (sender_ssrc, media_ssrc, control) = split_feedback_untrusted(body)?;
        Ok(Self { sender_ssrc, media_ssrc, pairs: Items::all_untrusted(control)? })
    }

    /// How many sequence numbers are missing.
    pub fn count(&self) -> usize {
        self.pairs.iter().map(|pair| 1 + pair.following.count_ones() as usize).sum()
    }

    /// The missing sequence numbers, as they were written.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.pairs.iter().flat_map(NackPair::numbers)
    }

    /// Append a NACK about these sequence numbers: at least one, in rising order modulo 2^16.
    pub fn write(sender_ssrc: u32, media_ssrc: u32, numbers: &[u16], out: &mut Vec<u8>) {
        write_packet(out, TRANSPORT_LAYER_FEEDBACK, usize::from(GENERIC_NACK), |out| {
            write_items(&[sender_ssrc, media_ssrc], out);
            let mut rest = numbers;
            while let [first, behind @ ..] = rest {
                let mut pair = NackPair { first: *first, following: 0 };
                rest = behind;
                while let [next, behind @ ..] = rest {
                    let distance = next.wrapping_sub(pair.first);
                    if !(1..=16).contains(&distance) {
                        break;
                    }
                    pair.following |= 1 << (distance - 1);
                    rest = behind;
                }
                pair.write(out);
            }
        });
    }
}
