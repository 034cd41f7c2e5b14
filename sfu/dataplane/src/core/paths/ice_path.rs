//! STUN: the core answers Binding requests (RFC 8445 section 7.3), and moves the path to a client.

use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::engine::{Core, OwnDatagram};
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::spec::{Id, Refused};
use crate::core::keys::{ConsumerKey, TransportKey};
use crate::core::transport::Transport;
use crate::core::transport::ice_agent::{IceAgent, Verdict};
use crate::core::transport::path_selection::PathRequest;
use crate::core::transport::recent_requests::Novelty;
use crate::core::wire::address::Path;
use crate::core::wire::stun::{
    BadMessage, Binding, CheckIds, Credentials, MessageType, TransactionId, message_type_untrusted,
    transaction_id_untrusted,
};

impl From<BadMessage> for DropReason {
    fn from(_: BadMessage) -> Self {
        DropReason::MalformedStun
    }
}

/// Seconds without a sign from the send path, after which its packets count as lost if it moves.  Browsers report
/// several times a second, and a key frame too many costs little.
const LOST_PICTURES_AFTER: f64 = 0.25;

impl Core {
    /// Make the identifiers of our checks from this secret, which no client may know.
    pub fn set_check_secret(&mut self, secret: &[u8]) {
        self.check_ids = CheckIds::new(secret);
    }

    /// Answer requests with these credentials from now on.
    ///
    /// The second call is an ICE restart (RFC 8445 section 9): the old credentials stay valid until the client uses the
    /// new ones.  Refused for a username fragment of another transport.
    pub fn set_credentials(&mut self, transport: Id, username_fragment: &str, password: &str) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        if self.by_username.contains_key(username_fragment) {
            return Err(Refused::Invalid("this username fragment is in use"));
        }
        let credentials = Credentials::new(username_fragment, password);
        match &mut self.transports[key].ice {
            Some(agent) => {
                if let Some(forgotten) = agent.restart(credentials) {
                    self.by_username.remove(&forgotten);
                }
            }
            ice => *ice = Some(Box::new(IceAgent::new(credentials))),
        }
        self.by_username.insert(username_fragment.into(), key);
        Ok(())
    }

    /// Check paths with these credentials of the client from now on, a username fragment and a password.  Without them,
    /// check with requests that have no credentials.
    ///
    /// Refused for a transport that has no credentials of its own.
    pub fn set_client_credentials(&mut self, transport: Id, client: Option<(&str, &str)>) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        let Transport { ice, paths, .. } = &mut self.transports[key];
        let agent = ice.as_mut().ok_or(Refused::Invalid("this transport has no credentials"))?;
        agent.set_client_credentials(client.map(|(username, password)| Credentials::new(username, password)));
        paths.use_secure_checks(client.is_some());
        Ok(())
    }

    /// Accept datagrams from this path, as if a valid request had come from it.  The first path is also the one to send
    /// on.
    pub fn add_path(&mut self, transport: Id, path: Path) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.own_path(key, path, f64::NEG_INFINITY);
        self.change_paths(key, f64::NEG_INFINITY, |core, now| {
            core.learn_path(key, PathRequest { path, nominates: false, newest: false, size: 0 }, now);
        });
        Ok(())
    }

    /// The stream of this path has closed.  Send to its client on the path that was heard last.
    pub fn stream_closed(&mut self, path: Path, now: f64) {
        if let Some(key) = self.by_path.remove(&path) {
            self.lose_path(key, path, now);
        }
    }

    /// Act on a STUN message.  `known` is the transport that owns the path.
    pub(in crate::core) fn receive_stun_untrusted(
        &mut self,
        known: Option<TransportKey>,
        datagram: &[u8],
        path: Path,
        now: f64,
    ) -> Result<(), DropReason> {
        match message_type_untrusted(datagram)? {
            MessageType::Request => self.answer_request_untrusted(datagram, path, now),
            MessageType::Indication => {
                self.take_indication_untrusted(known.ok_or(DropReason::UnexpectedStun)?, datagram, path, now);
                Ok(())
            }
            MessageType::Answer => {
                let key = known.ok_or(DropReason::UnexpectedStun)?;
                let agent = self.transports[key].ice.as_ref().ok_or(DropReason::UnexpectedStun)?;
                if !agent.accepts_answer_untrusted(datagram) {
                    return Err(DropReason::WrongPassword);
                }
                self.take_answer(key, path, &transaction_id_untrusted(datagram)?, now)
            }
            MessageType::Other => Err(DropReason::UnexpectedStun),
        }
    }

    /// Answer a Binding request from any address.  Its username names the transport.
    fn answer_request_untrusted(&mut self, datagram: &[u8], path: Path, now: f64) -> Result<(), DropReason> {
        let request = Binding::read_untrusted(datagram)?;
        let key = *self.by_username.get(request.local_fragment()).ok_or(DropReason::UnknownUsername)?;
        let known = self.by_path.get(&path) == Some(&key);
        let Transport { ice, limits, .. } = &mut self.transports[key];
        let agent = ice.as_mut().ok_or(DropReason::UnknownUsername)?;
        // A sender without the password gets no answer: its address may be forged, and an answer would go to a victim.
        let mut verdict = agent.judge(&request, path, known).ok_or(DropReason::WrongPassword)?;
        if let Some(retired) = &verdict.retired {
            self.by_username.remove(retired);
        }
        if verdict.novelty == Novelty::Stolen {
            return Err(DropReason::ReplayedBinding);
        }
        if !limits.bindings.take(now) {
            // A repeated request may come from somebody on the way.
            if verdict.novelty == Novelty::New {
                self.add_excess(key, 1, now);
            }
            return Err(DropReason::TooManyBindings);
        }
        self.own_datagrams.push(OwnDatagram { transport: key, path, datagram: std::mem::take(&mut verdict.answer) });
        self.on_proof(key, now);
        if verdict.valid && verdict.novelty == Novelty::New {
            self.follow_request(key, path, &verdict, datagram.len(), now);
        }
        Ok(())
    }

    /// An authentic request came on this path the first time: learn the path, and check it if it is a candidate.
    ///
    /// A client cannot take the path of another that is alive, since anybody can forge the address of a request.
    fn follow_request(&mut self, key: TransportKey, path: Path, verdict: &Verdict, size: usize, now: f64) {
        let owner = self.by_path.get(&path).filter(|owner| **owner != key);
        if owner.is_some_and(|&owner| self.transports[owner].paths.is_alive(path, now)) {
            return;
        }
        self.own_path(key, path, now);
        self.change_paths(key, now, |core, now| {
            if verdict.retired.is_some() {
                for left in core.transports[key].paths.restart() {
                    core.by_path.remove(&left);
                }
            }
            let Verdict { nominated: nominates, newest, .. } = *verdict;
            core.learn_path(key, PathRequest { path, nominates, newest, size }, now);
            let Self { transports, check_ids, .. } = core;
            if let Some(id) = transports[key].paths.take_check(path, now, || check_ids.take()) {
                core.send_check(key, path, &id);
            }
        });
    }

    fn send_check(&mut self, key: TransportKey, path: Path, id: &TransactionId) {
        let Some(agent) = &self.transports[key].ice else { return };
        self.own_datagrams.push(OwnDatagram { transport: key, path, datagram: agent.check(id) });
    }

    /// An answer to a check of ours came.  It shows that the client receives on this path.  If the check had no
    /// credentials, whoever reads the check can send it.
    fn take_answer(&mut self, key: TransportKey, path: Path, id: &TransactionId, now: f64) -> Result<(), DropReason> {
        let mut expected = false;
        let starved_since = self.transports[key].paths.starved_since();
        self.change_paths(key, now, |core, now| expected = core.transports[key].paths.on_answer(path, id, now));
        self.end_starvation(key, starved_since, now);
        if expected { Ok(()) } else { Err(DropReason::UnexpectedStun) }
    }

    /// The client reports that it got a consumer's sender report.  If that left on the present send path, the client
    /// receives there.  Some clients answer no checks.
    pub(super) fn note_receipt(&mut self, key: TransportKey, report: u32, consumer: ConsumerKey, now: f64) {
        if report != 0 && self.transports[key].paths.is_unproven() {
            let starved_since = self.transports[key].paths.starved_since();
            self.transports[key].paths.on_report(self.consumers[consumer].reports.sent_at(report));
            self.end_starvation(key, starved_since, now);
        }
    }

    /// If the client got only a part of its packets since `starved_since`, and gets all of them now, it needs pictures.
    fn end_starvation(&mut self, key: TransportKey, starved_since: Option<f64>, now: f64) {
        if let Some(since) = starved_since.filter(|_| self.transports[key].paths.starved_since().is_none()) {
            self.restore_pictures(key, since, now);
        }
    }

    /// Send reports soon if the client has not shown that it receives on its send path: an answer to one shows it.
    fn hurry_reports(&mut self, key: TransportKey, now: f64) {
        let Self { transports, consumers, .. } = self;
        let Transport { paths, consumers: its, .. } = &transports[key];
        if paths.is_unproven() {
            its.iter().for_each(|&consumer| consumers[consumer].reports.hurry(now));
        }
    }

    /// The timer of the paths fired: perhaps the send path is dead.
    pub(in crate::core) fn review_paths(&mut self, key: TransportKey, now: f64) {
        self.change_paths(key, now, |core, now| {
            let Self { transports, check_ids, .. } = core;
            if let Some((path, id)) = transports[key].paths.pass_time(now, || check_ids.take()) {
                core.send_check(key, path, &id);
            }
        });
    }

    /// Note an indication as a sign of life.  Without the right integrity it is only a hint, as anybody who guesses an
    /// address can forge it.
    ///
    /// An indication with unknown required attributes is no more than a hint either (RFC 8489 section 6.3.2).
    fn take_indication_untrusted(&mut self, key: TransportKey, datagram: &[u8], path: Path, now: f64) {
        let transport = &mut self.transports[key];
        let binding = Binding::read_untrusted(datagram).ok().filter(|binding| binding.unknown_attributes.is_empty());
        if binding.is_some_and(|binding| transport.ice.as_ref().is_some_and(|agent| agent.knows(&binding))) {
            transport.paths.on_sign(path, now);
            self.on_proof(key, now);
        } else {
            transport.consent.on_hint(now);
        }
    }

    /// Accept datagrams from this path as datagrams of this transport.  The transport that it belonged to loses it.
    fn own_path(&mut self, key: TransportKey, path: Path, now: f64) {
        if let Some(owner) = self.by_path.insert(path, key).filter(|&owner| owner != key) {
            self.lose_path(owner, path, now);
        }
    }

    fn learn_path(&mut self, key: TransportKey, request: PathRequest, now: f64) {
        if let Some(oldest) = self.transports[key].paths.on_request(request, now) {
            self.by_path.remove(&oldest);
        }
    }

    /// Take this path from the transport.
    fn lose_path(&mut self, key: TransportKey, path: Path, now: f64) {
        self.change_paths(key, now, |core, _| core.transports[key].paths.forget(path));
        if !self.transports[key].ready() {
            for consumer in self.transports[key].consumers.clone() {
                self.restart(consumer);
            }
        }
    }

    /// Change the known paths of a transport.  If its send path moves, report that to the slow path, which sends DTLS.
    ///
    /// If the former send path had been silent, the packets sent on it are lost, and receivers need key frames.  They
    /// cannot ask for them: a browser sends its own reports on the dead path for 3.5 s.
    fn change_paths(&mut self, key: TransportKey, now: f64, change: impl FnOnce(&mut Self, f64)) {
        let paths = &self.transports[key].paths;
        let (before, heard_at) = (paths.send_path(), paths.send_heard_at());
        change(self, now);
        let transport = &self.transports[key];
        if let Some(path) = transport.paths.send_path().filter(|&path| Some(path) != before) {
            self.events.path_selected(transport.id, path);
            if before.is_some() {
                self.on_other_path(key, now);
            }
            self.hurry_reports(key, now);
            if before.is_some() && now - heard_at >= LOST_PICTURES_AFTER {
                self.restore_pictures(key, heard_at, now);
            }
        }
        if let Some(due) = self.transports[key].paths.due() {
            self.timers.arm(Timer::Transport(TransportTimer::Path, key), due);
        }
    }
}
