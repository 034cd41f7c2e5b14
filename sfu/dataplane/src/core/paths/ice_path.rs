//! STUN: the core answers Binding requests, and they select the paths to a client (RFC 8445 section 7.3).

use crate::core::engine::{Core, OwnDatagram};
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::spec::{Id, Refused};
use crate::core::keys::TransportKey;
use crate::core::transport::ice_agent::IceAgent;
use crate::core::wire::address::Path;
use crate::core::wire::stun::{BadMessage, Binding, Credentials, MessageType, message_type_untrusted};

impl From<BadMessage> for DropReason {
    fn from(_: BadMessage) -> Self {
        DropReason::MalformedStun
    }
}

impl Core {
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

    /// Accept datagrams from this path, as if a valid request had come from it.  The first path is also the one to send
    /// on.
    pub fn add_path(&mut self, transport: Id, path: Path) -> Result<(), Refused> {
        let key = self.transports.key(transport)?;
        self.learn_path(key, path, false);
        Ok(())
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
                self.take_indication_untrusted(known.ok_or(DropReason::UnexpectedStun)?, datagram, now);
                Ok(())
            }
            MessageType::Other => Err(DropReason::UnexpectedStun),
        }
    }

    /// Answer a Binding request from any address.  Its username names the transport.
    fn answer_request_untrusted(&mut self, datagram: &[u8], path: Path, now: f64) -> Result<(), DropReason> {
        let request = Binding::read_untrusted(datagram)?;
        let key = *self.by_username.get(request.local_fragment()).ok_or(DropReason::UnknownUsername)?;
        let agent = self.transports[key].ice.as_mut().ok_or(DropReason::UnknownUsername)?;
        // A sender without the password gets no answer: its address may be forged, and an answer would go to a victim.
        let verdict = agent.judge(&request, path.remote).ok_or(DropReason::WrongPassword)?;
        if let Some(retired) = verdict.retired {
            self.by_username.remove(&retired);
        }
        self.own_datagrams.push(OwnDatagram { transport: key, path, datagram: verdict.answer });
        self.on_proof(key, now);
        if verdict.valid {
            self.learn_path(key, path, verdict.nominated);
        }
        Ok(())
    }

    /// Note an indication as a sign of life.  Without the right integrity it is only a hint, as anybody who guesses an
    /// address can forge it.
    ///
    /// An indication with unknown required attributes is no more than a hint either (RFC 8489 section 6.3.2).
    fn take_indication_untrusted(&mut self, key: TransportKey, datagram: &[u8], now: f64) {
        let transport = &mut self.transports[key];
        let binding = Binding::read_untrusted(datagram).ok().filter(|binding| binding.unknown_attributes.is_empty());
        if binding.is_some_and(|binding| transport.ice.as_ref().is_some_and(|agent| agent.knows(&binding))) {
            self.on_proof(key, now);
        } else {
            transport.consent.on_hint(now);
        }
    }

    /// Accept datagrams from an authenticated path.  Send on the newest nominated path, or else on the first one.
    fn learn_path(&mut self, key: TransportKey, path: Path, nominated: bool) {
        let before = self.transports[key].send_path;
        if let Some(owner) = self.by_path.insert(path, key).filter(|&owner| owner != key) {
            self.lose_path(owner, path);
        }
        if let Some(oldest) = self.transports[key].learn_path(path) {
            self.by_path.remove(&oldest);
        }
        if nominated {
            self.transports[key].send_path = Some(path);
        }
        self.report_path(key, before);
    }

    /// Another transport owns this path now.
    fn lose_path(&mut self, key: TransportKey, path: Path) {
        let before = self.transports[key].send_path;
        self.transports[key].lose_path(path);
        if !self.transports[key].ready() {
            for consumer in self.transports[key].consumers.clone() {
                self.restart(consumer);
            }
        }
        self.report_path(key, before);
    }

    /// Report the path to send on if it has changed: the slow path sends DTLS there.
    fn report_path(&mut self, key: TransportKey, before: Option<Path>) {
        let transport = &self.transports[key];
        if let Some(path) = transport.send_path.filter(|&path| Some(path) != before) {
            self.events.path_selected(transport.id, path);
        }
    }
}
