//! What the network writes and reads: RTP, its header extensions, payloads, RTCP and STUN.  Nothing here keeps state.

pub mod address;
pub mod demux;
pub mod extensions;
#[cfg(test)]
pub mod hex;
pub mod payload;
pub mod receiver_report;
pub mod rtp;
pub mod stun;
