//! Formats on the wire: RTP with its header extensions and payloads, RTCP and STUN.

pub mod address;
pub mod demux;
pub mod dependency_descriptor;
pub mod extensions;
#[cfg(any(test, fuzzing))]
pub mod hex;
pub mod payload;
pub mod rtcp;
pub mod rtp;
pub mod rtx;
pub mod stun;
