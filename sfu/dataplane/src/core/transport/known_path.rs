//! One path to a client, and our check whether the client receives there.

use crate::core::transport::path_allowance::PathAllowance;
use crate::core::wire::address::Path;
use crate::core::wire::stun::TransactionId;

/// Seconds until a check may be repeated.  They double with each try, up to the last one below.
const FIRST_WAIT: f64 = 0.1;
const DOUBLINGS: u8 = 8;
/// How often a check is sent that must be answered.
const REPEATS: u8 = 5;

/// A check of ours on a path.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The identifier that its answer has.
    pub id: TransactionId,
    sent_at: f64,
    tries: u8,
}

impl Check {
    fn repeat_at(self) -> f64 {
        self.sent_at + FIRST_WAIT * f64::from(1u32 << self.tries)
    }
}

/// A path that packets may come from.
#[derive(Clone, Copy, Debug)]
pub struct KnownPath {
    /// Our address and the client's.
    pub path: Path,
    /// When an authentic sign came on it last.  Media counts for the send path alone.
    pub heard_at: f64,
    /// A request with the newest credentials came on it.
    pub current: bool,
    /// The newest check of ours.
    pub check: Option<Check>,
    /// The client answered a check since the last restart.
    pub answered: bool,
    /// How much may be sent there; `None` if the client has shown that it receives there.  Not up to date for the send
    /// path.
    pub allowance: Option<PathAllowance>,
}

impl KnownPath {
    /// A path on which the client was heard at `now` for the first time.
    pub fn new(path: Path, now: f64) -> Self {
        // A stream is open only if its other end receives.
        let allowance = (!path.is_stream()).then(|| PathAllowance::new(now));
        Self { path, heard_at: now, current: false, check: None, answered: false, allowance }
    }

    /// Count a check that is sent at `now`, and give its identifier: the same one until it is answered.
    pub fn note_check(&mut self, now: f64, new_id: impl FnOnce() -> TransactionId) -> TransactionId {
        let check = self.check.get_or_insert_with(|| Check { id: new_id(), sent_at: now, tries: 0 });
        (check.sent_at, check.tries) = (now, (check.tries + 1).min(DOUBLINGS));
        check.id
    }

    /// Whether a check may be sent at `now`.
    pub fn may_check(&self, now: f64) -> bool {
        !self.answered && self.check.is_none_or(|check| now >= check.repeat_at())
    }

    /// When to send the check again without another request, since the client must answer it.  `None` if no check waits
    /// for its answer, or after some tries.
    pub fn repeat_at(&self) -> Option<f64> {
        self.check.filter(|check| !self.answered && check.tries < REPEATS).map(Check::repeat_at)
    }
}
