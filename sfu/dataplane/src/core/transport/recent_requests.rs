//! The requests that came, so that a repeated one is recognised.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::core::wire::address::Path;

/// Requests that are remembered together with their paths.  A client sends one on each of its paths every few seconds.
const REMEMBERED: usize = 128;
/// Bits of the filter, which remembers the requests before these.
const FILTER_BITS: usize = 1 << 16;
const WORDS: usize = FILTER_BITS / 64;

/// What a transaction identifier says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It came the first time.
    New,
    /// It came on this path before.  Either the client repeats a request whose answer is late, or somebody on the way.
    Repeated,
    /// It came on another path before, so somebody else sends it.
    Stolen,
}

/// The transaction identifiers of one client.
///
/// An eavesdropper can send a client's request again from another address.  The password does not reveal that, but the
/// identifier does: a client never uses one twice, except to repeat a request whose answer is late.
///
/// No identifier is ever forgotten.  The newest ones are remembered exactly, and the others in a filter of fixed size (a
/// Bloom filter).  It may take a new request for an old one.  After a day with one request every 2.5 s, it does so with
/// half of them.  The next request of the client is another chance.
#[derive(Debug, Default)]
pub struct RecentRequests {
    /// Digests of identifiers, each with that of its path.
    newest: Vec<(u64, u64)>,
    /// The place of the oldest one, once there are so many.
    oldest: usize,
    filter: Option<Box<[u64; WORDS]>>,
}

impl RecentRequests {
    /// Remember a request.  Only one on a path that is not `known` is looked for among all earlier ones: it alone could
    /// lead to a stranger.
    pub fn add(&mut self, transaction_id: &[u8; 12], path: Path, known: bool) -> Novelty {
        let (id, from) = (digest(transaction_id), digest(&path));
        if let Some((_, before)) = self.newest.iter().find(|(newest, _)| *newest == id) {
            return if *before == from { Novelty::Repeated } else { Novelty::Stolen };
        }
        if !known && self.is_old(id) {
            return Novelty::Stolen;
        }
        if self.newest.len() < REMEMBERED {
            self.newest.push((id, from));
        } else {
            let (oldest, _) = std::mem::replace(&mut self.newest[self.oldest], (id, from));
            self.oldest = (self.oldest + 1) % REMEMBERED;
            let filter = self.filter.get_or_insert_with(|| Box::new([0; WORDS]));
            bits(oldest).into_iter().for_each(|bit| filter[bit / 64] |= 1 << (bit % 64));
        }
        Novelty::New
    }

    fn is_old(&self, id: u64) -> bool {
        let is_set = |filter: &[u64; WORDS], bit: usize| filter[bit / 64] & 1 << (bit % 64) != 0;
        self.filter.as_ref().is_some_and(|filter| bits(id).into_iter().all(|bit| is_set(filter, bit)))
    }
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn bits(digest: u64) -> [usize; 3] {
    [0, 16, 32].map(|shift| (digest >> shift) as usize % FILTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> [u8; 12] {
        let mut id = [9; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn path(port: u16) -> Path {
        Path { remote: std::net::SocketAddr::from(([192, 0, 2, 1], port)), local: 0 }
    }

    #[test]
    fn a_repeated_request_is_recognised_and_so_is_one_from_elsewhere() {
        let mut requests = RecentRequests::default();
        assert_eq!(requests.add(&id(1), path(1), false), Novelty::New);
        assert_eq!(requests.add(&id(1), path(1), true), Novelty::Repeated);
        assert_eq!(requests.add(&id(1), path(2), true), Novelty::Stolen);
        assert_eq!(requests.add(&id(1), Path { local: 1, ..path(1) }, false), Novelty::Stolen);
    }

    #[test]
    fn no_request_is_ever_new_again_for_a_stranger() {
        let mut requests = RecentRequests::default();
        for number in 0..20_000 {
            assert_eq!(requests.add(&id(number), path(1), true), Novelty::New);
        }
        assert!((0..20_000).all(|number| requests.add(&id(number), path(2), false) == Novelty::Stolen));
        assert_eq!(requests.newest.len(), REMEMBERED);
    }

    #[test]
    fn after_a_day_most_new_requests_from_elsewhere_are_still_new() {
        let mut requests = RecentRequests::default();
        for number in 0..34_560 {
            requests.add(&id(number), path(1), true);
        }
        let new = (40_000..41_000).filter(|number| requests.add(&id(*number), path(2), false) == Novelty::New);
        assert!((400..600).contains(&new.count()));
    }
}
