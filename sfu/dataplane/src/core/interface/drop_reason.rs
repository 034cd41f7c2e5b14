//! Why a datagram or a copy of a packet went no further.

macro_rules! drops {
    ($($name:ident => $label:literal),* $(,)?) => {
        /// A reason; its label names the counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Drop { $($name),* }

        impl Drop {
            /// Every reason.
            pub const ALL: &[Drop] = &[$(Drop::$name),*];

            /// The label of its counter.
            pub fn label(self) -> &'static str {
                match self { $(Drop::$name => $label),* }
            }
        }
    };
}

drops! {
    Empty => "empty",
    Oversized => "oversized",
    UnknownProtocol => "unknown_protocol",
    UnknownAddress => "unknown_address",
    NoKeys => "no_keys",
    MalformedRtp => "malformed_rtp",
    MalformedRtcp => "malformed_rtcp",
    Unauthentic => "unauthentic",
    Replayed => "replayed",
    UnknownStream => "unknown_stream",
    UnknownPayloadType => "unknown_payload_type",
    PaddingOnly => "padding_only",
    ProducerPaused => "producer_paused",
    SendWouldBlock => "send_would_block",
    SendFailed => "send_failed",
    EventsFull => "events_full",
    // Counted by the slow path.
    MalformedStun => "malformed_stun",
    UnknownUsername => "unknown_username",
    WrongPassword => "wrong_password",
    UnexpectedStun => "unexpected_stun",
    MalformedDtls => "malformed_dtls",
    UnexpectedDtls => "unexpected_dtls",
}

/// One counter for each reason.
#[derive(Clone, Debug)]
pub struct Drops([u64; Drop::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; Drop::ALL.len()])
    }
}

impl Drops {
    /// Count one.
    pub fn count(&mut self, reason: Drop) {
        self.0[reason as usize] += 1;
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        Drop::ALL.iter().map(|&reason| (reason, self.0[reason as usize]))
    }
}
