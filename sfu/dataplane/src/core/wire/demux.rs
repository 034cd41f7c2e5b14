//! The protocols that share one UDP port (RFC 7983), with RTCP on the same port as RTP (RFC 5761).

/// The protocol that a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 8489.
    Stun,
    /// RFC 6347 and RFC 9147.
    Dtls,
    /// SRTP (RFC 3711).
    Rtp,
    /// SRTCP (RFC 3711).
    Rtcp,
    /// ZRTP, TURN channels, or unassigned.
    Unknown,
}

/// Look at the first byte (RFC 7983 section 7), and for RTCP at the packet type in the second (RFC 5761 section 4).
pub fn classify(datagram: &[u8]) -> Protocol {
    match datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, 192..=223, ..] => Protocol::Rtcp,
        [128..=191, ..] => Protocol::Rtp,
        _ => Protocol::Unknown,
    }
}
