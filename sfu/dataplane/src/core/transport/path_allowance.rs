//! How much may be sent to a path on which the client has not shown that it receives (RFC 9000 section 8.1).
//!
//! Whoever knows the password can forge the address of a request, and let us send to somebody who wants nothing.  So at
//! most three times the bytes that came from there are sent there.

/// Bytes to send for each byte received, and how many of them media may have.  The others are for answers and reports.
const FACTOR: u64 = 3;
const MEDIA_FACTOR: u64 = 2;
/// Reports about sender reports that were never sent, after which no report proves anything.
const MAX_GUESSES: u8 = 16;

/// The bytes to and from one path.
#[derive(Clone, Copy, Debug)]
pub struct PathAllowance {
    received: u64,
    sent: u64,
    /// When the path became known, in seconds.
    known_at: f64,
    refused: bool,
    /// Since when the path is the send path, in seconds; `None` before the first batch.
    carries_since: Option<f64>,
    guesses: u8,
}

impl PathAllowance {
    /// The allowance of a path that became known at `now`, in seconds.
    pub fn new(now: f64) -> Self {
        Self { received: 0, sent: 0, known_at: now, refused: false, carries_since: None, guesses: 0 }
    }

    /// A datagram of this size came from the path.
    pub fn on_received(&mut self, size: usize) {
        self.received += size as u64;
    }

    /// Whether a datagram of this size may be sent.  If so, it is counted.
    pub fn take(&mut self, size: usize) -> bool {
        self.take_up_to(FACTOR, size)
    }

    /// The same for a datagram of media.
    pub fn take_media(&mut self, size: usize) -> bool {
        self.take_up_to(MEDIA_FACTOR, size)
    }

    fn take_up_to(&mut self, factor: u64, size: usize) -> bool {
        let sent = self.sent + size as u64;
        let taken = sent <= factor * self.received;
        if taken {
            self.sent = sent;
        } else {
            self.refused = true;
        }
        taken
    }

    /// A batch leaves on the path at `now`, in seconds.  Gives whether it is the first one since the path is the send path.
    pub fn on_batch(&mut self, now: f64) -> bool {
        let first = self.carries_since.is_none();
        self.carries_since.get_or_insert(now);
        first
    }

    /// Another path is the send path.
    pub fn on_left(&mut self) {
        self.carries_since = None;
    }

    /// The client's report names a sender report, which left at `sent_at` (seconds), or never.  Gives whether this shows
    /// that the client receives on the path.
    ///
    /// The name is the time of the sender report, and somebody might guess it.  So only a few guesses are allowed.
    pub fn is_shown_by(&mut self, sent_at: Option<f64>) -> bool {
        self.guesses = self.guesses.saturating_add(sent_at.is_none().into());
        let here = sent_at.zip(self.carries_since).is_some_and(|(sent_at, since)| sent_at >= since);
        here && self.guesses < MAX_GUESSES
    }

    /// Since when datagrams may have been refused, in seconds; `None` if none was.
    pub fn refused_since(&self) -> Option<f64> {
        self.refused.then_some(self.known_at)
    }
}
