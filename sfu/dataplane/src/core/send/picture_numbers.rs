//! Picture ids and TL0PICIDX of VP8 (RFC 7741 section 4.2), continued across switches between encodings.

use crate::core::receive::packet::Packet;
use crate::core::send::sequence_translator::SequenceTranslator;
use crate::core::wire::payload::{Frame, write_picture};

/// Renumbers pictures for one receiver: without a gap for pictures that are left out, and onward at a switch.
#[derive(Debug, Default)]
pub struct PictureNumbers {
    pictures: SequenceTranslator,
    /// The newest TL0PICIDX that was sent.
    tl0_newest: Option<u8>,
    /// The number to add (mod 2^8) to the current encoding's TL0PICIDX.
    tl0_offset: u8,
}

impl PictureNumbers {
    /// Continue with an encoding of which this packet is the first to be sent.
    pub fn begin(&mut self, frame: Frame, packet: &Packet) {
        if frame.picture.is_some() {
            self.pictures.begin(packet.picture);
        }
        if let (Some(tl0), Some(newest)) = (frame.tl0, self.tl0_newest) {
            self.tl0_offset = newest.wrapping_add(1).wrapping_sub(tl0.index);
        }
    }

    /// The packet's picture is not sent.
    pub fn leave_out(&mut self, packet: &Packet) {
        if packet.frame.is_some_and(|frame| frame.picture.is_some()) {
            self.pictures.leave_out(packet.picture);
        }
    }

    /// The picture number to send; `None` where the picture was left out or comes too late.
    pub fn take(&mut self, packet: &Packet) -> Option<i64> {
        self.pictures.take(packet.picture)
    }

    /// The picture number of a packet that was sent before.
    pub fn taken(&self, packet: &Packet) -> Option<i64> {
        self.pictures.taken(packet.picture)
    }

    /// Write picture id and TL0PICIDX into the payload that is sent.
    pub fn write(&mut self, packet: &Packet, frame: &Frame, picture: Option<i64>, payload: &mut [u8]) {
        if let Some(index) = self.write_again(packet, frame, picture, payload)
            && self.tl0_newest.is_none_or(|newest| index.wrapping_sub(newest) < 0x80)
        {
            self.tl0_newest = Some(index);
        }
    }

    /// Write them into a payload that is sent again.  Gives the TL0PICIDX that was written.
    pub fn write_again(&self, packet: &Packet, frame: &Frame, picture: Option<i64>, payload: &mut [u8]) -> Option<u8> {
        if let (Some(place), Some(picture)) = (frame.picture, picture)
            && picture != packet.picture
        {
            write_picture(payload, place, picture);
        }
        let tl0 = frame.tl0?;
        let index = tl0.index.wrapping_add(self.tl0_offset);
        payload[usize::from(tl0.at)] = index;
        Some(index)
    }
}
