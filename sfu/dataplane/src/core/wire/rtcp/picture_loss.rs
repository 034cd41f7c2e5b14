//! Picture loss indications (RFC 4585 section 6.3.1): a receiver cannot decode a video.

use super::raw_packet::{PAYLOAD_FEEDBACK, PICTURE_LOSS, write_packet};

/// A picture loss indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLoss {
    /// SSRC of the receiver.
    pub sender_ssrc: u32,
    /// SSRC of the video.
    pub media_ssrc: u32,
}

impl PictureLoss {
    /// Append the indication.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_packet(out, PAYLOAD_FEEDBACK, usize::from(PICTURE_LOSS), |out| {
            out.extend(self.sender_ssrc.to_be_bytes());
            out.extend(self.media_ssrc.to_be_bytes());
        });
    }
}
