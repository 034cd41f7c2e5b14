//! Who is still there (RFC 7675): signs of life are noted, silence is told, and the Binding requests that change nothing
//! are answered.
//!
//! Three signs are told apart.  *Media* is RTP or RTCP that authenticated and is no repetition.  *Proof* is a Binding
//! request or indication with the right integrity, which somebody on the way could repeat.  A *hint* is an indication
//! without integrity (RFC 8445 section 11), which anybody can make who guesses an address: it puts off that silence is
//! told, and never that the transport is lost.

use std::collections::VecDeque;

use crate::core::engine::Core;
use crate::core::interface::event::Event;
use crate::core::interface::spec::{Id, Refused};
use crate::core::table::TransportKey;
use crate::core::wire::address::Path;
use crate::core::wire::stun::{Credentials, is_indication_untrusted};

/// What is known of one transport's client.  Times are in seconds.
#[derive(Default)]
pub struct Consent {
    answering: Option<Box<Credentials>>,
    watch: Option<Watch>,
    media_at: Option<f64>,
    proven_at: Option<f64>,
    hinted_at: Option<f64>,
    stage: Stage,
}

/// After how many seconds without a sign a client is silent, and without an authentic one lost.
#[derive(Clone, Copy)]
struct Watch {
    silent_after: f64,
    lost_after: f64,
}

/// What was told of the client last.
#[derive(Clone, Copy, Default, PartialEq)]
enum Stage {
    #[default]
    Heard,
    Silent,
    Lost,
}

impl Consent {
    /// When the newest authentic sign came.
    fn heard_at(&self) -> Option<f64> {
        newer(self.media_at, self.proven_at)
    }

    /// When there will be something to tell of its silence.
    fn due(&self) -> Option<f64> {
        let (watch, heard_at) = (self.watch?, self.heard_at()?);
        let lost_at = heard_at + watch.lost_after;
        match self.stage {
            Stage::Heard => Some((newer(Some(heard_at), self.hinted_at)? + watch.silent_after).min(lost_at)),
            Stage::Silent => Some(lost_at),
            Stage::Lost => None,
        }
    }
}

fn newer(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
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

    /// Tell when the client has given no sign of life for so many seconds; it was heard at `heard_at`.
    pub fn watch(&mut self, transport: Id, heard_at: f64, silent_after: f64, lost_after: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.transports[key].consent.watch = Some(Watch { silent_after, lost_after });
        self.prove(key, heard_at);
        self.look_in_time(key);
        Ok(())
    }

    /// The slow path has seen a Binding request that is authentic.
    pub fn note_binding(&mut self, transport: Id, at: f64) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if self.prove(key, at) {
            // Who notes it need not be told.
            self.datagrams.retain(|event| !event.is_life_of(transport));
        }
        Ok(())
    }

    /// When the newest authentic sign came, or the newest that is media.
    pub fn heard_at(&self, transport: Id, media: bool) -> Result<Option<f64>, Refused> {
        let consent = &self.transports[self.transports.key(transport)?].consent;
        Ok(if media { consent.media_at } else { consent.heard_at() })
    }

    /// Media that authenticated and is no repetition came at `now`.
    pub(in crate::core) fn hear_media(&mut self, key: TransportKey, now: f64) {
        let consent = &mut self.transports[key].consent;
        consent.media_at = Some(now);
        if consent.stage != Stage::Heard {
            self.come_back(key);
        }
    }

    /// Answer it if it is a request that changes nothing, take it for a sign of life if it is an indication, and say
    /// whether it was one of them.
    pub(in crate::core) fn answer_untrusted(
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
                transport.consent.hinted_at = Some(now);
            }
            return is_hint;
        };
        if !binding.indication {
            if binding.use_candidate && transport.send_path != Some(path) {
                return false;
            }
            if let Some(credentials) = credentials {
                let datagram = credentials.answer(&binding, path.remote);
                self.answers.push(Answer { transport: key, path, datagram });
            }
            transport.learn_path(path);
        }
        self.prove(key, now);
        true
    }

    /// Note proof that the client is there.  Whether it was not before.
    fn prove(&mut self, key: TransportKey, at: f64) -> bool {
        let consent = &mut self.transports[key].consent;
        consent.proven_at = newer(consent.proven_at, Some(at));
        let was_away = consent.stage != Stage::Heard;
        if was_away {
            self.come_back(key);
        }
        was_away
    }

    /// A client that was silent is heard again: tell it, unless its silence was not told yet.
    fn come_back(&mut self, key: TransportKey) {
        let transport = &mut self.transports[key];
        transport.consent.stage = Stage::Heard;
        let id = transport.id;
        let untold = |event: &Event| matches!(event, Event::Silent { transport, .. } if *transport == id);
        let told = !self.datagrams.iter().any(untold);
        self.datagrams.retain(|event| !event.is_life_of(id));
        if told {
            self.datagrams.push_back(Event::Back { transport: id });
        }
        self.look_in_time(key);
    }

    /// Look when this transport is due; signs only put that off, so it is seen then whether it still is.
    fn look_in_time(&mut self, key: TransportKey) {
        let due = self.transports[key].consent.due();
        self.silence_at = self.silence_at.into_iter().chain(due).min_by(f64::total_cmp);
    }

    /// When there is something to do that no datagram brings, in seconds.
    pub fn next_due(&self) -> Option<f64> {
        let dues = [self.next_flush(), self.silence_at];
        dues.into_iter().flatten().min_by(f64::total_cmp)
    }

    /// Notice who has fallen silent, and who is lost.
    pub fn pass_time(&mut self, now: f64) {
        if self.silence_at.is_none_or(|at| now < at) {
            return;
        }
        let mut next: Option<f64> = None;
        for transport in self.transports.values_mut() {
            while let Some(at) = transport.consent.due() {
                if now < at {
                    next = Some(next.map_or(at, |next| next.min(at)));
                    break;
                }
                miss(transport.id, &mut transport.consent, &mut self.datagrams, now);
            }
        }
        self.silence_at = next;
    }
}

/// One that is due has given no sign: tell it.
fn miss(transport: Id, consent: &mut Consent, events: &mut VecDeque<Event>, now: f64) {
    let (Some(last_at), Some(watch)) = (consent.heard_at(), consent.watch) else { return };
    let before = events.len();
    events.retain(|event| !event.is_life_of(transport));
    if now >= last_at + watch.lost_after {
        consent.stage = Stage::Lost;
        events.push_back(Event::Lost { transport, last_at });
        return;
    }
    consent.stage = Stage::Silent;
    // Where it was not told yet that it came back, nothing has changed.
    if events.len() == before {
        events.push_back(Event::Silent { transport, last_at });
    }
}
