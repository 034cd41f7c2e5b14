//! Transport-wide feedback: when each packet of a transport arrived
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use super::items::write_items;
use super::raw_packet::{BadPacket, TRANSPORT_LAYER_FEEDBACK, TRANSPORT_WIDE, split_feedback_untrusted, write_packet};
use crate::core::wire::rtp::{be16, be32};

const HEAD_SIZE: usize = 8; // base sequence, status count, reference time, feedback number
const TICKS_OF_REFERENCE: i64 = 256; // a reference time counts 64 ms, a tick 250 µs
const MOST_IN_RUN: usize = 0x1FFF;
const MOST_STATUSES: u16 = 4096; // in feedback that is read: some seconds of the fastest video
const IN_ONE_BIT_VECTOR: usize = 14;
const IN_TWO_BIT_VECTOR: usize = 7;
const VECTOR: u16 = 0x8000;
const TWO_BITS: u16 = 0x4000;

/// Feedback about a run of transport-wide sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// SSRC of the receiver.
    pub sender_ssrc: u32,
    /// SSRC of one of the streams; the feedback is about all of them.
    pub media_ssrc: u32,
    /// The first sequence number.
    pub base_sequence: u16,
    /// How many sequence numbers the feedback covers.
    pub count: u16,
    /// The number of the feedback, modulo 256.
    pub number: u8,
    /// The time to which the first delta is added, in units of 64 ms.
    reference: i32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// The status of a packet (section 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Missing,
    /// Arrived 0–255 ticks after the arrival before: a delta of one byte.
    Small,
    /// Arrived later than that, or before it: a signed delta of two bytes.
    Large,
}

impl Status {
    /// The status with these two bits.  The reserved value counts as missing.
    fn read(bits: u16) -> Self {
        match bits & 3 {
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Missing,
        }
    }

    fn of(delta: Option<i64>) -> Self {
        match delta {
            None => Self::Missing,
            Some(0..=0xFF) => Self::Small,
            Some(_) => Self::Large,
        }
    }

    fn delta_size(self) -> usize {
        self as usize
    }
}

/// The statuses in one chunk (sections 3.1.3 and 3.1.4).
///
/// A run repeats one status.  A vector holds 14 statuses of one bit, or seven of two bits.
fn statuses(chunk: u16) -> impl Iterator<Item = Status> {
    let (count, vector_bits) = match (chunk & VECTOR != 0, chunk & TWO_BITS != 0) {
        (false, _) => (usize::from(chunk) & MOST_IN_RUN, 0),
        (true, false) => (IN_ONE_BIT_VECTOR, 1),
        (true, true) => (IN_TWO_BIT_VECTOR, 2),
    };
    (0..count).map(move |place| match vector_bits {
        0 => Status::read(chunk >> 13),
        bits => Status::read(chunk >> (14 - bits * (place + 1)) & ((1 << bits) - 1)),
    })
}

/// How many of the next `left` statuses are in this chunk, and the bytes of their deltas.
///
/// A run is not counted one by one: a datagram holds many runs of thousands.
fn extent(chunk: u16, left: usize) -> (usize, usize) {
    if chunk & VECTOR == 0 {
        let held = (usize::from(chunk) & MOST_IN_RUN).min(left);
        return (held, held * Status::read(chunk >> 13).delta_size());
    }
    statuses(chunk).take(left).fold((0, 0), |(held, size), status| (held + 1, size + status.delta_size()))
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn read_untrusted(body: &'a [u8]) -> Result<Self, BadPacket> {
        let (sender_ssrc, media_ssrc, control) = split_feedback_untrusted(body)?;
        let (head, rest) = control.split_at_checked(HEAD_SIZE).ok_or(BadPacket)?;
        let count = be16(head, 2);
        if count > MOST_STATUSES {
            return Err(BadPacket);
        }
        let (mut left, mut chunks_size, mut deltas_size) = (usize::from(count), 0, 0);
        while left > 0 {
            let chunk = rest.get(chunks_size..chunks_size + 2).ok_or(BadPacket)?;
            let (held, size) = extent(be16(chunk, 0), left);
            if held == 0 {
                return Err(BadPacket); // an empty run: thousands of them would only waste time
            }
            (chunks_size, deltas_size, left) = (chunks_size + 2, deltas_size + size, left - held);
        }
        let (chunks, deltas) = rest.split_at(chunks_size);
        Ok(Self {
            sender_ssrc,
            media_ssrc,
            base_sequence: be16(head, 0),
            count,
            number: head[7],
            reference: be32(head, 4) as i32 >> 8,
            chunks,
            deltas: deltas.get(..deltas_size).ok_or(BadPacket)?,
        })
    }

    /// Each sequence number with the time at which its packet arrived, in ticks of 250 µs on the receiver's clock.
    ///
    /// The reference time has 24 bits in units of 64 ms, so the clock wraps after some 12 days.
    pub fn arrivals(&self) -> impl Iterator<Item = (u16, Option<i64>)> + use<'a> {
        let (base, mut deltas) = (self.base_sequence, self.deltas);
        let mut time = i64::from(self.reference) * TICKS_OF_REFERENCE;
        let all = self.chunks.chunks_exact(2).flat_map(|chunk| statuses(be16(chunk, 0)));
        all.zip(0..self.count).map(move |(status, place)| {
            let (delta, behind) = deltas.split_at(status.delta_size());
            deltas = behind;
            time += match delta {
                [small] => i64::from(*small),
                [high, low] => i64::from(i16::from_be_bytes([*high, *low])),
                _ => return (base.wrapping_add(place), None),
            };
            (base.wrapping_add(place), Some(time))
        })
    }

    /// Append feedback about the packets from `base_sequence` on.  Returns the number of packets that it covers.
    ///
    /// `arrivals` has the arrival time of each packet in ticks of 250 µs, or `None` for a missing one.  At least one
    /// packet must have arrived.  A delta holds 8 s at most, so feedback ends before a longer gap: the caller writes
    /// the packets behind the gap in another one.
    pub fn write(
        (sender_ssrc, media_ssrc): (u32, u32),
        number: u8,
        base_sequence: u16,
        arrivals: &[Option<i64>],
        out: &mut Vec<u8>,
    ) -> usize {
        let first = arrivals.iter().flatten().next().copied().unwrap_or(0);
        let reference = first.div_euclid(TICKS_OF_REFERENCE);
        let deltas = deltas(reference * TICKS_OF_REFERENCE, arrivals);
        write_packet(out, TRANSPORT_LAYER_FEEDBACK, usize::from(TRANSPORT_WIDE), |out| {
            let start = out.len();
            write_items(&[sender_ssrc, media_ssrc], out);
            out.extend(base_sequence.to_be_bytes());
            out.extend((deltas.len() as u16).to_be_bytes());
            out.extend(((reference as u32) << 8 | u32::from(number)).to_be_bytes());
            write_chunks(&deltas.iter().map(|&delta| Status::of(delta)).collect::<Vec<_>>(), out);
            for delta in deltas.iter().flatten() {
                match Status::of(Some(*delta)) {
                    Status::Small => out.push(*delta as u8),
                    _ => out.extend((*delta as i16).to_be_bytes()),
                }
            }
            out.resize(start + (out.len() - start).next_multiple_of(4), 0);
        });
        deltas.len()
    }
}

/// The time from each arrival to the next, up to the first that does not fit into 16 bits.
fn deltas(mut time: i64, arrivals: &[Option<i64>]) -> Vec<Option<i64>> {
    let mut deltas = Vec::with_capacity(arrivals.len());
    for &arrival in arrivals.iter().take(usize::from(u16::MAX)) {
        let delta = arrival.map(|arrival| arrival - time);
        if delta.is_some_and(|delta| i16::try_from(delta).is_err()) {
            break;
        }
        time = arrival.unwrap_or(time);
        deltas.push(delta);
    }
    deltas
}

/// Append the statuses as chunks: a run where it saves bytes, or else a vector.
///
/// A vector has one bit for each status, or two bits if one of its statuses is `Large`.
fn write_chunks(mut statuses: &[Status], out: &mut Vec<u8>) {
    while let Some(&first) = statuses.first() {
        let run = statuses.iter().take(MOST_IN_RUN).take_while(|&&status| status == first).count();
        let narrow = &statuses[..statuses.len().min(IN_ONE_BIT_VECTOR)];
        let (chunk, taken) = if run >= IN_ONE_BIT_VECTOR || run == narrow.len() {
            ((first as u16) << 13 | run as u16, run)
        } else if narrow.iter().all(|&status| status != Status::Large) {
            (VECTOR | vector(narrow, 1), narrow.len())
        } else if run >= IN_TWO_BIT_VECTOR {
            ((first as u16) << 13 | run as u16, run)
        } else {
            let wide = &statuses[..statuses.len().min(IN_TWO_BIT_VECTOR)];
            (VECTOR | TWO_BITS | vector(wide, 2), wide.len())
        };
        out.extend(chunk.to_be_bytes());
        statuses = &statuses[taken..];
    }
}

/// The statuses as bits of a vector, the first in the highest of 14 bits.
fn vector(statuses: &[Status], bits: usize) -> u16 {
    let placed = |(place, &status): (usize, &Status)| (status as u16) << (14 - bits * (place + 1));
    statuses.iter().enumerate().map(placed).sum()
}
