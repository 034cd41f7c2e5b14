//! An ICE-lite agent: it judges and answers the client's connectivity checks (RFC 8445 sections 2.5 and 7.3).

use crate::core::transport::recent_requests::{Novelty, RecentRequests};
use crate::core::wire::address::Path;
use crate::core::wire::stun::{
    Binding, Credentials, TransactionId, bare_check, is_authentic_answer_untrusted, role_conflict, success,
    unknown_attributes,
};

/// The credentials of one transport.
///
/// A restart brings new ones (RFC 8445 section 9).  The old ones stay valid until the first authentic request with the
/// new ones, so a client may take its time.
pub struct IceAgent {
    newest: Credentials,
    /// The credentials that the newest will replace.
    replaced: Option<Credentials>,
    newest_used: bool,
    recent: RecentRequests,
    /// The client's own credentials, for our checks; `None` if the client did not tell them.
    client: Option<Credentials>,
}

/// The judgement about an authentic request.
#[derive(Debug)]
pub struct Verdict {
    /// The answer, which goes to the address that the request came from.
    pub answer: Vec<u8>,
    /// Media and DTLS may come from that address, and go to it.
    pub valid: bool,
    /// The client asks us to send to that address (RFC 8445 section 7.3.2).
    pub nominated: bool,
    /// Whether it came before, perhaps from an eavesdropper.
    pub novelty: Novelty,
    /// It was made with the newest credentials.
    pub newest: bool,
    /// The username fragment that is not valid any more.
    pub retired: Option<Box<str>>,
}

impl IceAgent {
    /// An agent with its first credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            newest: credentials,
            replaced: None,
            newest_used: false,
            recent: RecentRequests::default(),
            client: None,
        }
    }

    /// Make our checks with these credentials of the client from now on, or without any.
    pub fn set_client_credentials(&mut self, client: Option<Credentials>) {
        self.client = client;
    }

    /// A check of ours, with the client's credentials if we know them (RFC 8445 section 7.2.2).
    pub fn check(&self, id: &TransactionId) -> Vec<u8> {
        self.client.as_ref().map_or_else(|| bare_check(id), |client| client.check(id, self.newest.username_fragment()))
    }

    /// Whether an answer to a check may come from the client: without its credentials we cannot tell.
    pub fn accepts_answer_untrusted(&self, datagram: &[u8]) -> bool {
        self.client.as_ref().is_none_or(|client| is_authentic_answer_untrusted(datagram, client))
    }

    /// Replace the credentials.  Credentials that the client never used before the next restart are forgotten.
    ///
    /// Returns the username fragment of forgotten credentials.
    pub fn restart(&mut self, credentials: Credentials) -> Option<Box<str>> {
        let before = std::mem::replace(&mut self.newest, credentials);
        // The client uses the credentials that are replaced here, unless it still uses those before them.
        if std::mem::take(&mut self.newest_used) || self.replaced.is_none() {
            self.replaced = Some(before);
            return None;
        }
        Some(before.username_fragment().into())
    }

    /// The username fragments that are valid now.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        self.valid().map(Credentials::username_fragment)
    }

    /// Judge a request that came on this path, one of the client's if `known`.  `None` if its sender does not know the
    /// password.
    ///
    /// Such a sender must get no answer: its address may be forged.
    pub fn judge(&mut self, request: &Binding<'_>, path: Path, known: bool) -> Option<Verdict> {
        let uses_newest = self.authenticate(request)?.username_fragment() == self.newest.username_fragment();
        let retired = if uses_newest { self.replaced.take() } else { None };
        self.newest_used |= uses_newest;
        if retired.is_some() {
            self.recent = RecentRequests::default(); // requests with the old credentials are refused anyway
        }
        let credentials = self.replaced.as_ref().filter(|_| !uses_newest).unwrap_or(&self.newest);
        let id = &request.transaction_id;
        let (answer, valid) = if !request.unknown_attributes.is_empty() {
            (unknown_attributes(id, &request.unknown_attributes, credentials), false)
        } else if request.controlled {
            (role_conflict(id, credentials), false)
        } else {
            (success(id, path.remote, credentials), true)
        };
        let novelty = self.recent.add(id, path, known);
        let retired = retired.map(|credentials| credentials.username_fragment().into());
        let nominated = valid && request.use_candidate;
        Some(Verdict { answer, valid, nominated, novelty, newest: uses_newest, retired })
    }

    /// Whether the sender of a request or indication knows the password.
    pub fn knows(&self, binding: &Binding<'_>) -> bool {
        self.authenticate(binding).is_some()
    }

    fn authenticate(&self, binding: &Binding<'_>) -> Option<&Credentials> {
        let named = self.valid().find(|one| one.username_fragment() == binding.local_fragment());
        named.filter(|credentials| binding.is_authentic(credentials))
    }

    fn valid(&self) -> impl Iterator<Item = &Credentials> {
        std::iter::once(&self.newest).chain(&self.replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::stun::{CONTROLLED, UNHEARD_OF};

    fn credentials(number: usize) -> Credentials {
        Credentials::new(&format!("ours{number}"), &format!("password {number}"))
    }

    fn judge(agent: &mut IceAgent, request: &[u8]) -> Option<Verdict> {
        let request = Binding::read_untrusted(request).unwrap();
        agent.judge(&request, Path { remote: "192.0.2.7:40001".parse().unwrap(), local: 0 }, false)
    }

    fn fragments(agent: &IceAgent) -> Vec<String> {
        agent.username_fragments().map(String::from).collect()
    }

    #[test]
    fn a_request_with_the_password_is_answered_and_may_nominate() {
        let mut agent = IceAgent::new(credentials(1));
        for nominate in [false, true] {
            let verdict = judge(&mut agent, &credentials(1).request(nominate)).unwrap();
            assert_eq!((verdict.valid, verdict.nominated), (true, nominate));
            assert_eq!(verdict.answer[..2], [1, 1]);
        }
    }

    #[test]
    fn a_request_without_the_password_is_not_answered() {
        let mut agent = IceAgent::new(credentials(1));
        assert!(judge(&mut agent, &Credentials::new("ours1", "another").request(true)).is_none());
        assert!(judge(&mut agent, &Credentials::new("stranger", "password 1").request(true)).is_none());
    }

    #[test]
    fn a_client_in_the_controlled_role_gets_a_role_conflict() {
        let mut agent = IceAgent::new(credentials(1));
        let verdict = judge(&mut agent, &credentials(1).request_with(&[CONTROLLED])).unwrap();
        assert_eq!((verdict.valid, verdict.nominated), (false, false));
        assert_eq!((&verdict.answer[..2], &verdict.answer[24..28]), (&[1, 0x11][..], &[0, 0, 4, 87][..]));
    }

    #[test]
    fn an_unknown_required_attribute_is_refused() {
        let mut agent = IceAgent::new(credentials(1));
        let verdict = judge(&mut agent, &credentials(1).request_with(&[CONTROLLED, UNHEARD_OF])).unwrap();
        assert_eq!((verdict.valid, verdict.nominated), (false, false));
        assert_eq!((&verdict.answer[..2], &verdict.answer[24..28]), (&[1, 0x11][..], &[0, 0, 4, 20][..]));
    }

    #[test]
    fn old_credentials_stay_valid_until_the_new_ones_are_used() {
        let mut agent = IceAgent::new(credentials(1));
        judge(&mut agent, &credentials(1).request(false)).unwrap();
        assert_eq!(agent.restart(credentials(2)), None);
        assert_eq!(fragments(&agent), ["ours2", "ours1"]);
        assert_eq!(judge(&mut agent, &credentials(1).request(false)).unwrap().retired, None);
        let verdict = judge(&mut agent, &credentials(2).request(false)).unwrap();
        assert_eq!((verdict.valid, verdict.retired.as_deref()), (true, Some("ours1")));
        assert_eq!(fragments(&agent), ["ours2"]);
        assert!(judge(&mut agent, &credentials(1).request(false)).is_none());
    }

    #[test]
    fn a_wrong_password_with_new_credentials_does_not_retire_the_old_ones() {
        let mut agent = IceAgent::new(credentials(1));
        agent.restart(credentials(2));
        assert!(judge(&mut agent, &Credentials::new("ours2", "password 1").request(false)).is_none());
        assert!(judge(&mut agent, &credentials(1).request(false)).unwrap().valid);
    }

    #[test]
    fn consecutive_restarts_keep_the_newest_credentials_and_those_in_use() {
        let mut agent = IceAgent::new(credentials(1));
        judge(&mut agent, &credentials(1).request(false)).unwrap();
        assert_eq!(agent.restart(credentials(2)), None);
        assert_eq!(agent.restart(credentials(3)).as_deref(), Some("ours2"));
        assert_eq!(fragments(&agent), ["ours3", "ours1"]);
        assert!(judge(&mut agent, &credentials(2).request(false)).is_none());
    }

    #[test]
    fn each_answer_is_sealed_with_the_password_of_its_request() {
        let mut agent = IceAgent::new(credentials(1));
        agent.restart(credentials(2));
        for used in [credentials(1), credentials(2)] {
            let answer = judge(&mut agent, &used.request(false)).unwrap().answer;
            let integrity_at = answer.len() - 32;
            assert!(used.fit(&answer, integrity_at, &answer[integrity_at + 4..integrity_at + 24]));
        }
    }
}
