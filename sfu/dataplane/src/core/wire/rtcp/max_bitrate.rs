//! REMB: a receiver's estimate of the bitrate that it can take (draft-alvestrand-rmcat-remb-03).

use super::items::{Items, write_items};
use super::raw_packet::{APPLICATION_LAYER, BadPacket, PAYLOAD_FEEDBACK, write_packet};
use crate::core::wire::rtp::be32;

const NAME: &[u8] = b"REMB";
const HEAD_SIZE: usize = 8;
const MANTISSA_BITS: u32 = 18;

/// A receiver's estimate of the maximum bitrate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxBitrate<'a> {
    /// SSRC of the receiver.
    pub sender_ssrc: u32,
    /// The estimate in bit/s.
    pub bitrate: u64,
    /// SSRCs of the streams that share it.
    pub ssrcs: Items<'a, u32>,
}

impl<'a> MaxBitrate<'a> {
    /// `None` for feedback of another application.
    pub(super) fn read_untrusted(sender_ssrc: u32, control: &'a [u8]) -> Result<Option<Self>, BadPacket> {
        if !control.starts_with(NAME) {
            return Ok(None);
        }
        let (head, ssrcs) = control.split_at_checked(HEAD_SIZE).ok_or(BadPacket)?;
        let ssrcs = Items::first_untrusted(ssrcs, usize::from(head[4]))?;
        Ok(Some(Self { sender_ssrc, bitrate: read_bitrate(be32(head, 4) & 0x00FF_FFFF), ssrcs }))
    }

    /// Append an estimate for these streams, at most 255.  The bitrate is rounded down to its 18 highest bits.
    pub fn write(sender_ssrc: u32, bitrate: u64, ssrcs: &[u32], out: &mut Vec<u8>) {
        assert!(ssrcs.len() <= usize::from(u8::MAX), "{} streams do not fit into one estimate", ssrcs.len());
        let exponent = (u64::BITS - bitrate.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let word = (ssrcs.len() as u32) << 24 | exponent << MANTISSA_BITS | (bitrate >> exponent) as u32;
        write_packet(out, PAYLOAD_FEEDBACK, usize::from(APPLICATION_LAYER), |out| {
            write_items(&[sender_ssrc, 0], out);
            out.extend_from_slice(NAME);
            out.extend(word.to_be_bytes());
            write_items(ssrcs, out);
        });
    }
}

/// Read six bits of exponent and 18 of mantissa.  A value above `u64` gives the highest `u64`.
fn read_bitrate(bits: u32) -> u64 {
    let (exponent, mantissa) = (bits >> MANTISSA_BITS, u64::from(bits & ((1 << MANTISSA_BITS) - 1)));
    if mantissa != 0 && exponent > mantissa.leading_zeros() {
        u64::MAX
    } else {
        mantissa.checked_shl(exponent).unwrap_or(0)
    }
}
