//! Reader and writer of RTCP: the packets of RFC 3550 section 6, RFC 4585 and RFC 5104, and two drafts of feedback.
//!
//! Each file holds one packet type: a struct that borrows the received bytes, and a `write` that appends a whole
//! packet.  Reading copies nothing.  The contents of a struct have been checked.
//!
//! ```text
//! compound packet = packet*                      (RFC 3550 section 6.1; any order and number: RFC 5506)
//! packet          = header (4 bytes) body [padding]
//! ```

mod application;
mod full_intra;
mod goodbye;
mod items;
mod max_bitrate;
mod nack;
mod picture_loss;
mod raw_packet;
mod receiver_report;
mod report_block;
mod sender_report;
mod source;
mod source_description;
#[cfg(test)]
mod tests;
mod transport_feedback;

pub use application::Application;
pub use full_intra::{FullIntraEntry, FullIntraRequest};
pub use goodbye::Goodbye;
pub use items::{Item, Items};
pub use max_bitrate::MaxBitrate;
pub use nack::{Nack, NackPair};
pub use picture_loss::PictureLoss;
pub use raw_packet::{BadPacket, MAX_COUNT};
pub use receiver_report::ReceiverReport;
pub use report_block::ReportBlock;
pub use sender_report::{SenderInfo, SenderReport};
pub use source::RtcpSource;
pub use source_description::SourceDescription;
pub use transport_feedback::TransportFeedback;

use raw_packet::{
    APPLICATION, APPLICATION_LAYER, FULL_INTRA, GENERIC_NACK, GOODBYE, PAYLOAD_FEEDBACK, PICTURE_LOSS, RECEIVER_REPORT,
    RawPacket, SENDER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_LAYER_FEEDBACK, TRANSPORT_WIDE, take_packet_untrusted,
};

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum RtcpPacket<'a> {
    SenderReport(SenderReport<'a>),
    ReceiverReport(ReceiverReport<'a>),
    SourceDescription(SourceDescription<'a>),
    Goodbye(Goodbye<'a>),
    Application(Application<'a>),
    Nack(Nack<'a>),
    TransportFeedback(TransportFeedback<'a>),
    PictureLoss(PictureLoss),
    FullIntraRequest(FullIntraRequest<'a>),
    MaxBitrate(MaxBitrate<'a>),
}

/// Read a compound packet from the network.
///
/// Gives the packets of known types in their order, and skips all others.  A packet with wrong content gives a
/// [`BadPacket`], and reading continues behind it.  A wrong header, or one that counts more bytes than there are, gives
/// a [`BadPacket`] and ends the reading: the next packet cannot be found.
pub fn read_untrusted(compound: &[u8]) -> CompoundReader<'_> {
    CompoundReader { rest: compound, ended: false }
}

/// The packets of a compound packet, one after the other; see [`read_untrusted`].
#[derive(Clone, Debug)]
pub struct CompoundReader<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Iterator for CompoundReader<'a> {
    type Item = Result<RtcpPacket<'a>, BadPacket>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let Ok((raw, behind)) = take_packet_untrusted(self.rest) else {
                self.ended = true;
                return Some(Err(BadPacket));
            };
            self.rest = behind;
            // An empty compound packet is bad; any other may end here.
            self.ended = behind.is_empty();
            match raw.and_then(|raw| read_packet_untrusted(&raw)) {
                Ok(None) => {}
                Ok(Some(packet)) => return Some(Ok(packet)),
                Err(bad) => return Some(Err(bad)),
            }
        }
        None
    }
}

/// The packet with its type read; `None` for an unknown type.
fn read_packet_untrusted<'a>(raw: &RawPacket<'a>) -> Result<Option<RtcpPacket<'a>>, BadPacket> {
    let RawPacket { packet_type, count, body } = *raw;
    Ok(Some(match packet_type {
        SENDER_REPORT => RtcpPacket::SenderReport(SenderReport::read_untrusted(count, body)?),
        RECEIVER_REPORT => RtcpPacket::ReceiverReport(ReceiverReport::read_untrusted(count, body)?),
        SOURCE_DESCRIPTION => RtcpPacket::SourceDescription(SourceDescription::read_untrusted(count, body)?),
        GOODBYE => RtcpPacket::Goodbye(Goodbye::read_untrusted(count, body)?),
        APPLICATION => RtcpPacket::Application(Application::read_untrusted(count, body)?),
        TRANSPORT_LAYER_FEEDBACK if count == GENERIC_NACK => RtcpPacket::Nack(Nack::read_untrusted(body)?),
        TRANSPORT_LAYER_FEEDBACK if count == TRANSPORT_WIDE => {
            RtcpPacket::TransportFeedback(TransportFeedback::read_untrusted(body)?)
        }
        PAYLOAD_FEEDBACK => return read_payload_feedback_untrusted(count, body),
        _ => return Ok(None),
    }))
}

/// Payload-specific feedback (RFC 4585 section 6.3).
fn read_payload_feedback_untrusted(format: u8, body: &[u8]) -> Result<Option<RtcpPacket<'_>>, BadPacket> {
    let (sender_ssrc, media_ssrc, control) = raw_packet::split_feedback_untrusted(body)?;
    Ok(match format {
        PICTURE_LOSS => Some(RtcpPacket::PictureLoss(PictureLoss { sender_ssrc, media_ssrc })),
        FULL_INTRA => Some(RtcpPacket::FullIntraRequest(FullIntraRequest::read_untrusted(sender_ssrc, control)?)),
        APPLICATION_LAYER => MaxBitrate::read_untrusted(sender_ssrc, control)?.map(RtcpPacket::MaxBitrate),
        _ => None,
    })
}
