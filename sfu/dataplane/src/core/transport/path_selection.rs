//! The paths to one client, and the choice of the path to send on.
//!
//! A path is known once an authentic request came on it.  The first one is the *send path* at once.  Each other one is
//! a candidate, and gets a *check* of ours.  The answer to it shows that the client receives there.  A candidate becomes
//! the send path in four cases:
//!
//! - The client nominated it, and it answered.
//! - The client nominated it, and the send path has been silent for a second.
//! - It answered, and the send path has been silent for a second although we checked that, too.  A client that only
//!   receives is often silent for so long, so silence alone proves nothing.
//! - The client nominated it, or it answered, and since an ICE restart no request came on the send path.
//!
//! If we know the client's credentials, our checks are *secure*, and only the client can answer them.  Then a path
//! without an answer becomes the send path only if the send path has been silent for a second.
//!
//! The first path needs no check: its client gets no media before a handshake has shown that it receives there.  Each
//! later one has an *allowance* until the client has shown that it receives there.  A client without secure checks may
//! be one that answers none.  So its allowance begins to count some seconds after the move, and once a minute at most.
//!
//! Media alone never moves the send path, because media carries no sign of which path the client prefers.

use crate::core::transport::known_path::KnownPath;
use crate::core::transport::path_allowance::PathAllowance;
use crate::core::wire::address::Path;
use crate::core::wire::stun::TransactionId;

/// How many paths a client may have.
pub const MAX_PATHS: usize = 16;
/// Seconds without a sign from the send path, after which another may replace it.
const SILENT_AFTER: f64 = 1.0;
/// Seconds without a sign from a path, after which another client may have it.  Clients send a request at least every
/// 6 s (RFC 7675 section 5.1).
const ALIVE: f64 = 7.0;
/// Checks of a silent send path, and the seconds from one to the next.
const PROBES: u8 = 2;
const PROBE_INTERVAL: f64 = 0.3;
/// Seconds for which a client without secure checks gets everything on a path without an answer.  In that time its
/// reports show that it receives there.
const GRACE: f64 = 5.0;
/// Seconds from one such grace to the next.
const GRACE_INTERVAL: f64 = 60.0;

/// A request for us to use a path, with the right integrity.
#[derive(Clone, Copy, Debug)]
pub struct PathRequest {
    /// The path that it came on.
    pub path: Path,
    /// The client asks us to send there (RFC 8445 section 8.1.1).
    pub nominates: bool,
    /// It was made with the newest credentials.
    pub newest: bool,
    /// Its size in bytes.
    pub size: usize,
}

/// An attempt to find out whether the send path is dead, since the client uses another one.
#[derive(Clone, Copy, Debug)]
struct Trial {
    since: f64,
    probes: u8,
}

impl Trial {
    fn due(self) -> f64 {
        if self.probes < PROBES { self.since + PROBE_INTERVAL * f64::from(self.probes + 1) } else { self.ends_at() }
    }

    fn ends_at(self) -> f64 {
        self.since + SILENT_AFTER
    }
}

/// The known paths of one client.  Times are in seconds.
#[derive(Debug, Default)]
pub struct PathSelection {
    /// The path heard last is the last one.
    known: Vec<KnownPath>,
    send_path: Option<Path>,
    /// When an authentic sign came on the send path last.
    send_heard_at: f64,
    /// How much may be sent on the send path; `None` if the client has shown that it receives there.
    allowance: Option<PathAllowance>,
    /// Only the client can answer our checks.
    secure: bool,
    /// There was a send path before.
    began: bool,
    /// Until when the allowance does not count, and when such a time may begin again.
    lenient_until: f64,
    next_grace_at: f64,
    /// The path that the client nominated last, until it is the send path.
    nominee: Option<Path>,
    trial: Option<Trial>,
}

impl PathSelection {
    /// The path to send on.
    #[inline]
    pub fn send_path(&self) -> Option<Path> {
        self.send_path
    }

    /// When an authentic sign came on the send path last.
    pub fn send_heard_at(&self) -> f64 {
        self.send_heard_at
    }

    /// Whether an authentic sign came on this path in the last seconds.
    pub fn is_alive(&self, path: Path, now: f64) -> bool {
        let known = self.known.iter().find(|known| known.path == path).map(|known| known.heard_at);
        let heard_at = if self.send_path == Some(path) { Some(self.send_heard_at) } else { known };
        heard_at.is_some_and(|at| now - at < ALIVE)
    }

    /// Every path that packets may come from.
    pub fn all(&self) -> impl Iterator<Item = Path> {
        self.known.iter().map(|known| known.path)
    }

    /// Our checks have the client's credentials from now on, or have none.  Those before are void.
    pub fn use_secure_checks(&mut self, secure: bool) {
        self.secure = secure;
        self.known.iter_mut().for_each(|known| known.check = None);
    }

    /// Media of `size` bytes came on this path.
    #[inline]
    pub fn on_media(&mut self, path: Path, size: usize, now: f64) {
        if self.send_path == Some(path) {
            self.send_heard_at = now;
            if let Some(allowance) = &mut self.allowance {
                allowance.on_received(size);
            }
        }
    }

    /// Another datagram came on this path.
    pub fn on_received(&mut self, path: Path, size: usize) {
        let allowance = self.allowance.as_mut().filter(|_| self.send_path == Some(path));
        allowance.into_iter().for_each(|allowance| allowance.on_received(size));
    }

    /// Another authentic sign came on this path.
    #[inline]
    pub fn on_sign(&mut self, path: Path, now: f64) {
        if self.send_path == Some(path) {
            self.send_heard_at = now;
        }
    }

    /// An authentic request came that is no repetition.  Gives the path that had to go, if there are too many.
    pub fn on_request(&mut self, request: PathRequest, now: f64) -> Option<Path> {
        let PathRequest { path, nominates, newest, size } = request;
        let answered = self.learn(path, newest, size, now);
        if self.send_path.is_none() {
            if !std::mem::replace(&mut self.began, true) {
                self.prove(path);
            }
            self.select(path);
        } else if self.send_path == Some(path) {
            self.trial = None;
            self.nominee = self.nominee.filter(|_| !nominates);
        } else if newest && nominates {
            self.nominee = Some(path);
            let silent = now - self.send_heard_at >= SILENT_AFTER;
            if answered || silent || (self.send_path_is_outdated() && !self.secure) {
                self.select(path);
            }
        } else if newest && self.trial.is_none() {
            self.trial = Some(Trial { since: now, probes: 0 });
        }
        self.forget_oldest()
    }

    /// Note a sign on this path, as the newest one.  Gives whether the client has answered a check there.
    fn learn(&mut self, path: Path, newest: bool, size: usize, now: f64) -> bool {
        let place = self.known.iter().position(|known| known.path == path);
        let known = place.map(|place| self.known.remove(place));
        let mut known = known.unwrap_or_else(|| KnownPath::new(path, now));
        known.allowance.iter_mut().for_each(|allowance| allowance.on_received(size));
        self.known.push(KnownPath { heard_at: now, current: known.current || newest, ..known });
        self.on_received(path, size);
        self.on_sign(path, now);
        known.answered
    }

    fn forget_oldest(&mut self) -> Option<Path> {
        if self.known.len() <= MAX_PATHS {
            return None;
        }
        let oldest = self.known.iter().position(|known| Some(known.path) != self.send_path)?;
        Some(self.known.remove(oldest).path)
    }

    /// Whether to check this path now, after a request on it.  Gives the identifier for the check.
    ///
    /// One request causes one check at most, so no sender can make us send more than it sends itself.
    pub fn take_check(
        &mut self,
        path: Path,
        now: f64,
        new_id: impl FnOnce() -> TransactionId,
    ) -> Option<TransactionId> {
        let wanted = Some(path) != self.send_path || self.allowance.is_some();
        let candidate = self.known.iter_mut().find(|known| known.path == path && wanted)?;
        (candidate.current && candidate.may_check(now)).then(|| candidate.note_check(now, new_id))
    }

    /// An answer came on this path.  Gives whether it answers our check there.
    pub fn on_answer(&mut self, path: Path, id: &TransactionId, now: f64) -> bool {
        let known = self.known.iter_mut().find(|known| known.path == path);
        let Some(known) = known.filter(|known| known.check.is_some_and(|check| check.id == *id)) else { return false };
        (known.answered, known.heard_at, known.allowance) = (true, now, None);
        let nominated = self.nominee == Some(path);
        if Some(path) == self.send_path {
            self.allowance = None;
            self.on_sign(path, now);
        } else if nominated || (self.nominee.is_none() && self.send_path_is_outdated()) {
            self.select(path);
        }
        true
    }

    /// A batch leaves on the send path at `now`.  Gives how much may leave; `None` for everything.
    #[inline]
    pub fn on_batch(&mut self, now: f64) -> Option<&mut PathAllowance> {
        if self.allowance.is_none() { None } else { self.limit_batch(now) }
    }

    #[cold]
    fn limit_batch(&mut self, now: f64) -> Option<&mut PathAllowance> {
        let allowance = self.allowance.as_mut()?;
        if allowance.on_batch(now) && !self.secure && now >= self.next_grace_at {
            (self.lenient_until, self.next_grace_at) = (now + GRACE, now + GRACE_INTERVAL);
        }
        (now >= self.lenient_until).then_some(allowance)
    }

    /// Whether a datagram of this size may be sent on this path.  If so, it is counted.
    ///
    /// Only the send path can be sent more than the answers to its requests.
    pub fn may_send(&mut self, path: Path, size: usize, now: f64) -> bool {
        let allowance = self.allowance.as_mut().filter(|_| self.send_path == Some(path) && now >= self.lenient_until);
        allowance.is_none_or(|allowance| allowance.take(size))
    }

    /// The client reports on a sender report that left at `sent_at`, or never.  If that shows that the client receives on
    /// the send path, note it.
    pub fn on_report(&mut self, sent_at: Option<f64>) {
        if self.allowance.as_mut().is_some_and(|allowance| allowance.is_shown_by(sent_at)) {
            self.send_path.into_iter().for_each(|path| self.prove(path));
        }
    }

    /// Whether the client has not shown yet that it receives on the send path.
    pub fn is_unproven(&self) -> bool {
        self.allowance.is_some()
    }

    /// Since when packets on the send path are held back because the client has not shown that it receives there.
    pub fn starved_since(&self) -> Option<f64> {
        self.allowance.and_then(|allowance| allowance.refused_since())
    }

    /// The client has shown that it receives on this path.
    fn prove(&mut self, path: Path) {
        self.known.iter_mut().filter(|known| known.path == path).for_each(|known| known.allowance = None);
        self.allowance = self.allowance.filter(|_| self.send_path != Some(path));
    }

    /// Whether the client restarted ICE, and has not used the send path since then.
    fn send_path_is_outdated(&self) -> bool {
        self.known.iter().any(|known| Some(known.path) == self.send_path && !known.current)
    }

    /// The client restarted ICE, and uses the new credentials.  Everything that it nominated or answered is void.
    ///
    /// Its paths stay, since it still sends on them until it has a new one.  Gives the paths that it had left before.
    pub fn restart(&mut self) -> Vec<Path> {
        (self.nominee, self.trial) = (None, None);
        let send_path = self.send_path;
        let left = |known: &mut KnownPath| !known.current && Some(known.path) != send_path;
        let left = self.known.extract_if(.., left).map(|known| known.path).collect();
        for known in &mut self.known {
            (known.current, known.check, known.answered) = (false, None, false);
        }
        left
    }

    /// When [`Self::pass_time`] has something to do.
    pub fn due(&self) -> Option<f64> {
        let nominated = self.nominee.map(|_| self.send_heard_at + SILENT_AFTER);
        let again = self.awaited().and_then(KnownPath::repeat_at);
        nominated.into_iter().chain(self.trial.map(Trial::due)).chain(again).min_by(f64::total_cmp)
    }

    /// The path whose client must answer a secure check before it gets everything there.
    fn awaited(&self) -> Option<&KnownPath> {
        let path = self.nominee.or(self.send_path.filter(|_| self.is_unproven())).filter(|_| self.secure);
        self.known.iter().find(|known| Some(known.path) == path)
    }

    /// Move the send path if it has been silent for long enough.  Gives a check and its path, if the send path must
    /// show that it is alive.
    pub fn pass_time(&mut self, now: f64, new_id: impl FnOnce() -> TransactionId) -> Option<(Path, TransactionId)> {
        if let Some(nominee) = self.nominee.filter(|_| now >= self.send_heard_at + SILENT_AFTER) {
            self.select(nominee);
            return None;
        }
        if let Some(path) = self.awaited().filter(|one| one.repeat_at().is_some_and(|at| now >= at)).map(|one| one.path)
        {
            let awaited = self.known.iter_mut().find(|known| known.path == path);
            return awaited.map(|known| (path, known.note_check(now, new_id)));
        }
        let trial = self.trial.filter(|trial| now >= trial.due())?;
        if self.send_heard_at > trial.since {
            self.trial = None;
            return None;
        }
        if trial.probes == PROBES {
            self.trial = None;
            let used = |known: &&KnownPath| known.answered && known.heard_at >= trial.since;
            if let Some(heir) = self.newest(used) {
                self.select(heir);
            }
            return None;
        }
        self.trial = Some(Trial { probes: trial.probes + 1, ..trial });
        let silent = self.known.iter_mut().find(|known| Some(known.path) == self.send_path)?;
        // The answer to an earlier check proves nothing about now.
        silent.check = silent.check.filter(|_| trial.probes > 0);
        Some((silent.path, silent.note_check(now, new_id)))
    }

    /// The path that was heard last among those that `fit`, without the send path.
    fn newest(&self, fit: impl Fn(&&KnownPath) -> bool) -> Option<Path> {
        let others = self.known.iter().filter(|known| Some(known.path) != self.send_path);
        others.filter(fit).max_by(|one, other| one.heard_at.total_cmp(&other.heard_at)).map(|known| known.path)
    }

    /// Send on this path from now on.
    fn select(&mut self, path: Path) {
        let before = self.send_path.replace(path);
        self.allowance.iter_mut().for_each(PathAllowance::on_left);
        for known in &mut self.known {
            if Some(known.path) == before {
                (known.heard_at, known.allowance) = (self.send_heard_at, self.allowance);
            }
        }
        for known in &self.known {
            if known.path == path {
                (self.send_heard_at, self.allowance) = (known.heard_at, known.allowance);
            }
        }
        (self.nominee, self.trial) = (None, None);
    }

    /// The path is gone, or belongs to another client.  Send on the path that was heard last.
    pub fn forget(&mut self, path: Path) {
        self.known.retain(|known| known.path != path);
        self.nominee = self.nominee.filter(|nominee| *nominee != path);
        if self.send_path == Some(path) {
            self.send_path = None;
            if let Some(newest) = self.newest(|_| true) {
                self.select(newest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
