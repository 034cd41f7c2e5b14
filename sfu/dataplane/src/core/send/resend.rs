//! A consumer's packets once more, for a receiver that asks for them (RFC 4588).

use crate::core::interface::drop_reason::DropReason;
use crate::core::receive::packet::Packet;
use crate::core::send::consumer::{Consumer, Rewritten, Stamp, WrittenHeader};
use crate::core::send::resender::Resender;
use crate::core::wire::extensions::ExtensionRewriter;

/// Bytes in front of the payload: the original sequence number (RFC 4588 section 4).
const ORIGINAL_NUMBER: usize = 2;

/// A packet that a receiver may get again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The index with which it was sent.
    pub index: u64,
    /// The extended number of the producer's packet; `None` for padding or a parameter set of the consumer's own.
    pub incoming: Option<i64>,
}

impl Consumer {
    /// Whether the consumer sends packets again.
    pub fn resends(&self) -> bool {
        self.rtx_ssrc.is_some() && !self.rtx_types.is_empty()
    }

    /// The state of its retransmissions, made at the first request.  `None` for a consumer that sends nothing again.
    pub fn resender(&mut self) -> Option<&mut Resender> {
        let ssrc = self.rtx_ssrc.filter(|_| self.resends())?;
        Some(self.resender.get_or_insert_with(|| Box::new(Resender::new(ssrc))))
    }

    /// Note that padding is sent with this index.
    pub(super) fn note_filled(&mut self, index: u64) {
        if self.resends() {
            let filled = self.filled.get_or_insert_default();
            if filled.accepts(index) {
                filled.add(index);
            }
        }
    }

    /// Find the packet that its receiver misses, and check that it may be sent again at `now`.
    ///
    /// `round_trip` is the one to the receiver, if it is known.  Times are in seconds.
    pub fn find_missing(&mut self, number: u16, round_trip: Option<f64>, now: f64) -> Result<Missing, DropReason> {
        if self.awaits_key_frame {
            return Err(DropReason::ResendAwaitsKeyFrame);
        }
        let index = self.sealed.guess(number);
        if !self.sealed.contains(index) {
            return Err(DropReason::ResendNotStored);
        }
        // Only numbers from after the consumer's last beginning lead back to a packet.  It began with a key frame, so
        // its receiver needs no earlier packet.
        let incoming = self.sequence.incoming(index as i64);
        let own_set = self.own_set(index).is_some();
        if incoming.is_none() && !own_set {
            return Err(DropReason::ResendNotStored);
        }
        let padding = self.filled.as_ref().is_some_and(|filled| filled.contains(index));
        let oldest = self.sealed.oldest();
        let resender = self.resender().ok_or(DropReason::ResendNotStored)?;
        resender.check(index, oldest, round_trip, now)?;
        Ok(Missing { index, incoming: incoming.filter(|_| !padding && !own_set) })
    }

    /// The parameter set that the consumer sent by itself with this index.
    pub fn own_set(&self, index: u64) -> Option<&[u8]> {
        self.sent_sets.as_ref()?.get(index)
    }

    /// Append a packet as a retransmission: with its own header, and the payload exactly as it was sent first.
    ///
    /// The picture numbers, the timestamp and the extensions come out as before, because the consumer has not begun
    /// anew since then.  Padding is left out, and the MID too if the packet is larger than `room` bytes with it.
    ///
    /// The receiver asked for it at `asked_at`, in seconds; `None` if the packet only measures the path.
    pub fn rewrite_again(
        &mut self,
        index: u64,
        packet: &Packet,
        rewriter: &mut ExtensionRewriter,
        room: usize,
        out: &mut Vec<u8>,
        asked_at: Option<f64>,
    ) -> Result<Rewritten, DropReason> {
        let frame = packet.frame.unwrap_or_default();
        let picture = frame.picture.and_then(|_| self.pictures.taken(packet));
        if frame.picture.is_some() && picture.is_none() {
            return Err(DropReason::ResendNotStored);
        }
        let timestamp = self.timestamps.translate(packet.header.timestamp);
        let (resent_index, stamp) = self.stamp_again(index, Some(packet.payload_type), timestamp, asked_at)?;
        let stamp = Stamp { marker: self.marks(packet), ..stamp };
        rewriter.prepare(packet.plain, packet.elements, packet.serial);
        let start = out.len();
        let unpadded = Packet { padding: &[], ..*packet };
        let WrittenHeader { number_at, .. } =
            self.write_header(&unpadded, rewriter, stamp, room.saturating_sub(ORIGINAL_NUMBER), out);
        let header = out.len() - start;
        out.extend_from_slice(&(index as u16).to_be_bytes());
        let payload = out.len();
        out.extend_from_slice(packet.payload);
        self.pictures.write_again(packet, &frame, picture, &mut out[payload..]);
        let payload = ORIGINAL_NUMBER + packet.payload.len();
        Ok(Rewritten { index: resent_index, header, timestamp, payload, number_at })
    }

    /// Append a retransmission of a packet that the consumer made by itself, without extensions: a parameter set, or
    /// padding.  Nothing of padding follows the original number.
    pub fn own_again(&mut self, index: u64, out: &mut Vec<u8>, now: f64) -> Result<Rewritten, DropReason> {
        let sets = self.sent_sets.as_ref().filter(|sets| sets.get(index).is_some());
        let (payload_type, timestamp) =
            sets.map_or((None, self.timestamps.last), |sets| (Some(sets.payload_type), sets.timestamp));
        let (resent_index, stamp) = self.stamp_again(index, payload_type, timestamp, Some(now))?;
        let (header, unit) = (stamp.fixed_header(), self.own_set(index).unwrap_or_default());
        out.extend_from_slice(&header);
        out.extend_from_slice(&(index as u16).to_be_bytes());
        out.extend_from_slice(unit);
        let payload = ORIGINAL_NUMBER + unit.len();
        Ok(Rewritten { index: resent_index, header: header.len(), timestamp, payload, number_at: 0 })
    }

    /// Take the next index of the retransmissions.  Without a `payload_type`, use the first one that the receiver
    /// takes.
    fn stamp_again(
        &mut self,
        index: u64,
        payload_type: Option<u8>,
        timestamp: u32,
        asked_at: Option<f64>,
    ) -> Result<(u64, Stamp), DropReason> {
        let mut types = self.rtx_types.iter();
        let found = types.find(|(media, _)| payload_type.is_none_or(|one| one == *media));
        let (Some(&(_, payload_type)), Some(ssrc)) = (found, self.rtx_ssrc) else {
            return Err(DropReason::ResendNotStored);
        };
        let resender = self.resender().ok_or(DropReason::ResendNotStored)?;
        let resent_index = match asked_at {
            Some(now) => resender.record(index, now),
            None => resender.take_index(),
        };
        Ok((resent_index, Stamp { payload_type, marker: false, number: resent_index as u16, timestamp, ssrc }))
    }
}
