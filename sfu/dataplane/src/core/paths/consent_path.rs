//! Signs of life: the core reports when a client falls silent, comes back, or loses its consent.

use crate::core::engine::Core;
use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::interface::event::Event;
use crate::core::interface::spec::{Id, Refused};
use crate::core::keys::TransportKey;
use crate::core::transport::consent::{Liveness, SilenceLimits};
use crate::core::wire::address::Path;

impl Core {
    /// Report silence after `silent_after` seconds without a sign of life, and the loss of consent after `lost_after`.
    ///
    /// The client was heard at `heard_at`.
    pub fn watch(&mut self, transport: Id, heard_at: f64, silent_after: f64, lost_after: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].consent.watch(SilenceLimits { silent_after, lost_after });
        self.on_proof(key, heard_at);
        self.arm_consent(key);
        Ok(())
    }

    /// When the newest authentic sign of life came, in seconds.  With `media`, only media counts.
    pub fn heard_at(&self, transport: Id, media: bool) -> Result<Option<f64>, Refused> {
        let consent = &self.transports[self.transports.key(transport)?].consent;
        Ok(if media { consent.media_at() } else { consent.heard_at() })
    }

    /// Media of `size` bytes came on this path at `now` that authenticated and is no replay.
    pub(in crate::core) fn on_media(&mut self, key: TransportKey, path: Path, size: usize, now: f64) {
        let transport = &mut self.transports[key];
        transport.paths.on_media(path, size, now);
        if let Some(since) = transport.consent.on_media(now) {
            self.come_back(key, since, now);
        }
    }

    /// Note proof that the client is there.
    pub(in crate::core) fn on_proof(&mut self, key: TransportKey, at: f64) {
        if let Some(since) = self.transports[key].consent.on_proof(at) {
            self.come_back(key, since, at);
        }
    }

    /// Report that the client is back, and that it lost its pictures since `since`.  If the report of its silence still
    /// waits, drop that report instead.
    fn come_back(&mut self, key: TransportKey, since: f64, now: f64) {
        let id = self.transports[key].id;
        let reported = !self.events.announces_silence_of(id);
        self.events.retract_liveness(id);
        if reported {
            self.events.push_liveness(Event::CameBack { transport: id });
        }
        self.restore_pictures(key, since, now);
        self.arm_consent(key);
    }

    /// Arm the timer for the time at which the client turns silent or lost.  Later signs of life only put that time
    /// off, so the timer may fire too early.
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
                // The slow path never learned of the return, so it knows already that the client is silent.
                Liveness::Silent if retracted => {}
                _ => self.events.push_liveness(Event::FellSilent { transport: id, last_at }),
            }
        }
        self.arm_consent(key);
    }
}
