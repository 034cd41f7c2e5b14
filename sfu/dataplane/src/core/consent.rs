//! The Binding requests that change nothing are answered here, and their end is noticed (RFC 7675).

use super::Core;
use super::address::Path;
use super::spec::{Id, Refused};
use super::stun::Credentials;
use super::table::TransportKey;

/// What is known of a transport's Binding requests.
#[derive(Default)]
pub struct Consent {
    answering: Option<Box<Answering>>,
    /// When the newest authentic request came that the slow path did not see, or the one it told of.
    last_at: Option<f64>,
}

/// With which credentials requests are answered; and after how many seconds without one the client has fallen silent.
struct Answering {
    credentials: Credentials,
    silent_after: f64,
}

impl Consent {
    /// When the client has fallen silent, in seconds.
    fn silent_at(&self) -> Option<f64> {
        Some(self.last_at? + self.answering.as_ref()?.silent_after)
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answer {
    pub transport: TransportKey,
    pub path: Path,
    pub datagram: Vec<u8>,
}

impl Core {
    /// Answer the requests with these credentials that come from the transport's own paths and change nothing.
    ///
    /// The newest request so far came at `last_at`; when none has come for `silent_after` seconds, that is told, and
    /// requests are handed up again.
    pub fn answer_bindings(
        &mut self,
        transport: Id,
        username_fragment: &str,
        password: &str,
        last_at: f64,
        silent_after: f64,
    ) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        let consent = &mut self.transports[key].consent;
        let last_at = consent.last_at.map_or(last_at, |newest| newest.max(last_at));
        let credentials = Credentials::new(username_fragment, password);
        consent.last_at = Some(last_at);
        consent.answering = Some(Box::new(Answering { credentials, silent_after }));
        // A silence that was not told yet is over, or is found again: told later, it would speak of what is answered now.
        self.silent.retain(|&(silent, _)| silent != transport);
        // Requests only put the earliest off, so it is looked at again when it comes.
        let silent_at = last_at + silent_after;
        self.silence_at = Some(self.silence_at.map_or(silent_at, |earliest| earliest.min(silent_at)));
        Ok(())
    }

    /// Hand all requests up again.  When the newest one came, as far as it is known here.
    pub fn hand_up_bindings(&mut self, transport: Id) -> Result<Option<f64>, Refused> {
        let key = self.transports.key(transport)?;
        let consent = &mut self.transports[key].consent;
        consent.answering = None;
        Ok(consent.last_at)
    }

    /// Answer it if it is a request that changes nothing, and say whether it was.
    pub(super) fn answer_untrusted(&mut self, key: TransportKey, datagram: &[u8], path: Path, now: f64) -> bool {
        let transport = &mut self.transports[key];
        let Some(answering) = &transport.consent.answering else { return false };
        let Some(request) = answering.credentials.read_untrusted(datagram) else { return false };
        if request.use_candidate && transport.send_path != Some(path) {
            return false;
        }
        let datagram = answering.credentials.answer(&request, path.remote);
        transport.consent.last_at = Some(now);
        transport.learn_path(path);
        self.answers.push(Answer { transport: key, path, datagram });
        true
    }

    /// When there is something to do that no datagram brings, in seconds.
    pub fn next_due(&self) -> Option<f64> {
        let dues = [self.next_flush(), self.silence_at];
        dues.into_iter().flatten().min_by(f64::total_cmp)
    }

    /// Notice who has fallen silent.
    pub fn pass_time(&mut self, now: f64) {
        if self.silence_at.is_none_or(|at| now < at) {
            return;
        }
        let mut next: Option<f64> = None;
        for transport in self.transports.values_mut() {
            let Some(at) = transport.consent.silent_at() else { continue };
            if now < at {
                next = Some(next.map_or(at, |next| next.min(at)));
            } else if let Some(last_at) = transport.consent.last_at {
                transport.consent.answering = None;
                self.silent.push((transport.id, last_at));
            }
        }
        self.silence_at = next;
    }
}
