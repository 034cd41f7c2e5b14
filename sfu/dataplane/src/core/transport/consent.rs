//! Whether a client is still there (RFC 7675): signs of life, silence, and the loss of consent.
//!
//! There are three kinds of sign.  *Media* is RTP or RTCP that authenticated and is no replay.  *Proof* is a Binding
//! request or indication with the right integrity; somebody on the way could repeat it.  A *hint* is an indication
//! without integrity (RFC 8445 section 11); anybody who guesses an address can forge it.  A hint puts off the report of
//! silence, never the loss of consent.

/// How long a client may give no sign of life.
#[derive(Clone, Copy)]
pub struct SilenceLimits {
    /// Seconds without any sign until the client counts as silent.
    pub silent_after: f64,
    /// Seconds without an authentic sign until consent is lost.
    pub lost_after: f64,
}

/// The state that the slow path knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Liveness {
    /// The client gives signs of life.
    #[default]
    Heard,
    /// It gave none for long.
    Silent,
    /// It may not be sent anything any more.
    Lost,
}

/// The signs of life of one client.  Times are in seconds.
#[derive(Default)]
pub struct Consent {
    limits: Option<SilenceLimits>,
    media_at: Option<f64>,
    proven_at: Option<f64>,
    hinted_at: Option<f64>,
    liveness: Liveness,
    /// When the last sign before the newest silence came.
    silent_since: f64,
}

impl Consent {
    /// When the newest authentic sign came.
    pub fn heard_at(&self) -> Option<f64> {
        newer(self.media_at, self.proven_at)
    }

    /// When the newest media came.
    pub fn media_at(&self) -> Option<f64> {
        self.media_at
    }

    /// Look for silence by these limits from now on.
    pub fn watch(&mut self, limits: SilenceLimits) {
        self.limits = Some(limits);
    }

    /// Note media.  If the client had been silent or lost: when the last sign before that came.
    pub fn on_media(&mut self, now: f64) -> Option<f64> {
        self.media_at = Some(now);
        self.revive()
    }

    /// Note proof.  If the client had been silent or lost: when the last sign before that came.
    pub fn on_proof(&mut self, at: f64) -> Option<f64> {
        self.proven_at = newer(self.proven_at, Some(at));
        self.revive()
    }

    /// Note a hint.
    pub fn on_hint(&mut self, now: f64) {
        self.hinted_at = Some(now);
    }

    fn revive(&mut self) -> Option<f64> {
        (std::mem::take(&mut self.liveness) != Liveness::Heard).then_some(self.silent_since)
    }

    /// When the client turns silent or lost unless it gives another sign.
    pub fn due(&self) -> Option<f64> {
        let (limits, heard_at) = (self.limits?, self.heard_at()?);
        let lost_at = heard_at + limits.lost_after;
        match self.liveness {
            Liveness::Heard => Some((newer(Some(heard_at), self.hinted_at)? + limits.silent_after).min(lost_at)),
            Liveness::Silent => Some(lost_at),
            Liveness::Lost => None,
        }
    }

    /// If the client is due at `now`: its new state, and when its last authentic sign came.
    ///
    /// A client that is due for both is lost at once.
    pub fn expire(&mut self, now: f64) -> Option<(Liveness, f64)> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let (limits, last_at) = (self.limits?, self.heard_at()?);
        self.liveness = if now >= last_at + limits.lost_after { Liveness::Lost } else { Liveness::Silent };
        self.silent_since = last_at;
        Some((self.liveness, last_at))
    }
}

fn newer(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Consent {
        let mut consent = Consent::default();
        consent.watch(SilenceLimits { silent_after: 7.0, lost_after: 30.0 });
        consent.on_proof(1.0);
        consent
    }

    #[test]
    fn a_client_turns_silent_first_and_lost_later() {
        let mut consent = watched();
        assert_eq!((consent.due(), consent.expire(7.9)), (Some(8.0), None));
        assert_eq!(consent.expire(8.0), Some((Liveness::Silent, 1.0)));
        assert_eq!((consent.due(), consent.expire(31.0)), (Some(31.0), Some((Liveness::Lost, 1.0))));
        assert_eq!(consent.due(), None);
    }

    #[test]
    fn a_client_that_is_overdue_for_both_is_lost_at_once() {
        let mut consent = watched();
        assert_eq!(consent.expire(99.0), Some((Liveness::Lost, 1.0)));
        assert_eq!(consent.expire(99.0), None);
    }

    #[test]
    fn an_authentic_sign_revives_and_a_hint_only_puts_silence_off() {
        let mut consent = watched();
        consent.on_hint(5.0);
        assert_eq!((consent.due(), consent.heard_at()), (Some(12.0), Some(1.0)));
        consent.expire(12.0);
        assert_eq!(consent.on_media(13.0), Some(1.0));
        assert_eq!(consent.on_proof(14.0), None);
        assert_eq!((consent.heard_at(), consent.media_at(), consent.due()), (Some(14.0), Some(13.0), Some(21.0)));
    }

    #[test]
    fn a_client_that_nobody_watches_never_expires() {
        let mut consent = Consent::default();
        consent.on_media(1.0);
        assert_eq!((consent.due(), consent.expire(1e9)), (None, None));
    }
}
