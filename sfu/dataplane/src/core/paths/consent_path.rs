//! What happens to a sign of life: answer Binding requests that change nothing, and report silence and return.

use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::engine::{BindingAnswer, Core};
use crate::core::interface::event::Event;
use crate::core::interface::spec::{Id, Refused};
use crate::core::keys::TransportKey;
use crate::core::transport::consent::{Liveness, Watch};
use crate::core::wire::address::Path;
use crate::core::wire::stun::{Credentials, is_indication_untrusted};

impl Core {
    /// Answer the requests with these credentials that come from the transport's own paths and change nothing.
    pub fn answer_bindings(&mut self, transport: Id, username_fragment: &str, password: &str) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        let credentials = Credentials::new(username_fragment, password);
        self.transports[key].consent.answering = Some(Box::new(credentials));
        Ok(())
    }

    /// Hand all requests up again.
    pub fn hand_up_bindings(&mut self, transport: Id) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].consent.answering = None;
        Ok(())
    }

    /// Tell when the client gives no sign of life for so many seconds; it was heard at `heard_at`.
    pub fn watch(&mut self, transport: Id, heard_at: f64, silent_after: f64, lost_after: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].consent.start_watch(Watch { silent_after, lost_after });
        self.on_proof(key, heard_at);
        self.arm_consent(key);
        Ok(())
    }

    /// The slow path has seen an authentic Binding request.
    pub fn note_binding(&mut self, transport: Id, at: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if self.on_proof(key, at) {
            // The slow path knows of the return: it has noted it itself.
            self.events.retract_liveness(transport);
        }
        Ok(())
    }

    /// When the newest authentic sign came, or the newest that is media; in seconds.
    pub fn heard_at(&self, transport: Id, media: bool) -> Result<Option<f64>, Refused> {
        let consent = &self.transports[self.transports.key(transport)?].consent;
        Ok(if media { consent.media_at() } else { consent.heard_at() })
    }

    /// Media came at `now` that authenticated and is no replay.
    pub(in crate::core) fn on_media(&mut self, key: TransportKey, now: f64) {
        if self.transports[key].consent.on_media(now) {
            self.come_back(key);
        }
    }

    /// Answer a request that changes nothing, and take an indication for a sign of life.
    ///
    /// Whether the datagram was one of these two; the slow path gets all others.
    pub(in crate::core) fn take_binding_untrusted(
        &mut self,
        key: TransportKey,
        datagram: &[u8],
        path: Path,
        now: f64,
    ) -> bool {
        let transport = &mut self.transports[key];
        let credentials = transport.consent.answering.as_deref();
        let Some(binding) = credentials.and_then(|credentials| credentials.read_untrusted(datagram)) else {
            let is_hint = is_indication_untrusted(datagram);
            if is_hint {
                transport.consent.on_hint(now);
            }
            return is_hint;
        };
        if !binding.indication {
            // A nomination of another path is a decision, which the slow path takes.
            if binding.use_candidate && transport.send_path != Some(path) {
                return false;
            }
            if let Some(credentials) = credentials {
                let datagram = credentials.answer(&binding, path.remote);
                self.answers.push(BindingAnswer { transport: key, path, datagram });
            }
            transport.learn_path(path);
        }
        self.on_proof(key, now);
        true
    }

    /// Note proof that the client is there.  Whether it had been silent or lost before.
    fn on_proof(&mut self, key: TransportKey, at: f64) -> bool {
        let was_away = self.transports[key].consent.on_proof(at);
        if was_away {
            self.come_back(key);
        }
        was_away
    }

    /// Report that the client is back.  If its silence is not reported yet, take that back instead.
    fn come_back(&mut self, key: TransportKey) {
        let id = self.transports[key].id;
        let reported = !self.events.announces_silence_of(id);
        self.events.retract_liveness(id);
        if reported {
            self.events.push_liveness(Event::CameBack { transport: id });
        }
        self.arm_consent(key);
    }

    /// Look again when the client is due.  Later signs of life only put that off, so the timer may fire too early.
    fn arm_consent(&mut self, key: TransportKey) {
        if let Some(due) = self.transports[key].consent.due() {
            self.timers.arm(Timer::Transport(TransportTimer::Consent, key), due);
        }
    }

    /// The consent timer of this transport fired: report silence or loss, unless a sign of life came meanwhile.
    pub(in crate::core) fn check_consent(&mut self, key: TransportKey, now: f64) {
        let transport = &mut self.transports[key];
        let id = transport.id;
        while let Some((liveness, last_at)) = transport.consent.expire(now) {
            let retracted = self.events.retract_liveness(id);
            match liveness {
                Liveness::Lost => self.events.push_liveness(Event::ConsentExpired { transport: id, last_at }),
                // A return that was not reported yet is void: for the slow path the client stayed silent.
                Liveness::Silent if retracted => {}
                _ => self.events.push_liveness(Event::FellSilent { transport: id, last_at }),
            }
        }
        self.arm_consent(key);
    }
}
