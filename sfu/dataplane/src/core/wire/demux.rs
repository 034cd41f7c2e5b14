//! Telling apart what shares one UDP port (RFC 7983), and RTP from RTCP (RFC 5761).

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 8489.
    Stun,
    /// RFC 6347 and RFC 9147.
    Dtls,
    /// RFC 3550, sealed.
    Rtp,
    /// RFC 3550, sealed.
    Rtcp,
    /// ZRTP, TURN channels, and what has no meaning yet.
    Unknown,
}

/// By the first byte (RFC 7983 section 7); RTCP by its packet type in the second (RFC 5761 section 4).
pub fn classify(datagram: &[u8]) -> Protocol {
    match datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, 192..=223, ..] => Protocol::Rtcp,
        [128..=191, ..] => Protocol::Rtp,
        _ => Protocol::Unknown,
    }
}
