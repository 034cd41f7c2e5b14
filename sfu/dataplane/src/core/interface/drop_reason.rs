//! Why the core dropped a datagram or a copy of a packet.

macro_rules! drop_reasons {
    ($($name:ident => $label:literal),* $(,)?) => {
        /// Why a packet was dropped; the label names its counter in the metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum DropReason { $($name),* }

        impl DropReason {
            /// Every reason.
            pub const ALL: &[DropReason] = &[$(DropReason::$name),*];

            /// The label of its counter.
            pub fn label(self) -> &'static str {
                match self { $(DropReason::$name => $label),* }
            }
        }
    };
}

drop_reasons! {
    Empty => "empty",
    Oversized => "oversized",
    UnknownProtocol => "unknown_protocol",
    UnknownAddress => "unknown_address",
    NoKeys => "no_keys",
    MalformedRtp => "malformed_rtp",
    MalformedRtcp => "malformed_rtcp",
    Unauthentic => "unauthentic",
    Replayed => "replayed",
    TooManySources => "too_many_sources",
    UnknownStream => "unknown_stream",
    UnknownPayloadType => "unknown_payload_type",
    PaddingOnly => "padding_only",
    ProducerPaused => "producer_paused",
    ProducerMuted => "producer_muted",
    SendWouldBlock => "send_would_block",
    SendFailed => "send_failed",
    EventsFull => "events_full",
    MalformedStun => "malformed_stun",
    UnknownUsername => "unknown_username",
    WrongPassword => "wrong_password",
    UnexpectedStun => "unexpected_stun",
    ReplayedBinding => "replayed_binding",
    UnprovenPath => "unproven_path",
    TooManyBindings => "too_many_bindings",
    TooMuchDtls => "too_much_dtls",
    TooMuchRtcp => "too_much_rtcp",
    TooMuchMedia => "too_much_media",
    RepairNotNeeded => "repair_not_needed",
    ResendNotStored => "resend_not_stored",
    ResendTooSoon => "resend_too_soon",
    ResendTooOften => "resend_too_often",
    ResendOverBudget => "resend_over_budget",
    ResendAwaitsKeyFrame => "resend_awaits_key_frame",
    TooManyNacks => "too_many_nacks",
    TooMuchFeedback => "too_much_feedback",
    // The slow path counts these through `Core::count_drop`.
    MalformedDtls => "malformed_dtls",
    UnexpectedDtls => "unexpected_dtls",
}

/// One counter for each reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl Default for DropCounts {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl DropCounts {
    /// Set the count of one reason.
    #[cfg(feature = "python")]
    pub fn set(&mut self, reason: DropReason, count: u64) {
        self.0[reason as usize] = count;
    }

    /// Count one drop.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// Count datagrams, or packets, that were not forwarded for the same reason.
    pub fn count_many(&mut self, reason: DropReason, datagrams: usize) {
        self.0[reason as usize] += datagrams as u64;
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.0[reason as usize]))
    }
}
