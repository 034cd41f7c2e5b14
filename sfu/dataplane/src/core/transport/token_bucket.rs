//! The limits on what one client may cause, beside its media.

/// Starts full with `BURST` tokens, and gets `A_SECOND` more each second.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket<const BURST: u32, const A_SECOND: u32> {
    tokens: f64,
    /// When `tokens` was counted, in seconds.
    at: f64,
}

/// Events that a loss could not be repaired: for three encodings of a camera and a screen at once.  Each makes the slow
/// path look at all receivers of an encoding.
pub type FailureLimit = TokenBucket<4, 1>;

/// The datagrams of one client that are no media.  A stranger who forges its address can use them up.  This harms that
/// client alone.
#[derive(Debug, Default)]
pub struct ArrivalLimits {
    /// Authentic Binding requests.  Browsers send at most 20 a second.
    pub bindings: TokenBucket<200, 100>,
    /// DTLS datagrams, which the slow path reads.  A handshake has about ten, and some more if the network loses them.
    pub dtls: TokenBucket<64, 32>,
    /// RTCP packets, before they are decrypted.  A receiver of a hundred videos sends some hundred a second.
    pub rtcp: TokenBucket<2000, 2000>,
}

impl<const BURST: u32, const A_SECOND: u32> Default for TokenBucket<BURST, A_SECOND> {
    fn default() -> Self {
        Self { tokens: BURST.into(), at: 0.0 }
    }
}

impl<const BURST: u32, const A_SECOND: u32> TokenBucket<BURST, A_SECOND> {
    /// Whether there is a token at `now`, in seconds.  If so, it is taken.
    pub fn take(&mut self, now: f64) -> bool {
        let filled = self.tokens + (now - self.at).max(0.0) * f64::from(A_SECOND);
        (self.tokens, self.at) = (filled.min(BURST.into()), now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_events_may_come_together_and_then_one_a_second() {
        let mut limit = FailureLimit::default();
        let mut allowed = [0; 3];
        for tick in 0..3000 {
            allowed[tick / 1000] += u32::from(limit.take(100.0 + tick as f64 / 1000.0));
        }
        assert_eq!(allowed, [4, 1, 1]);
        assert_eq!((0..9).filter(|_| limit.take(200.0)).count(), 4);
    }
}
