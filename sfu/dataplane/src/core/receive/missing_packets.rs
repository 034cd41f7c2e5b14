//! The packets that one encoding lacks: when to ask the client for them, and when to give them up.
//!
//! A sequence number that was skipped is *missing*.  Perhaps its packet only comes late, so the first request waits a
//! little.  The request is repeated while no answer comes.  A missing packet that arrives is *repaired* if it was asked
//! for.  Generic NACKs (RFC 4585 section 6.2.1) carry the numbers.

use crate::core::receive::windowed_minimum::WindowedMinimum;

/// Missing numbers that one encoding keeps.  More of them cannot be repaired in time.
pub const MAX_MISSING: usize = 250;
const MAX_JUMP: i64 = 500; // numbers: a sender that skips more began anew, or the network was gone for long
// Seconds in which a packet may come late by itself.  A network that reorders further raises them.
const PATIENCE: f64 = 0.010;
const MOST_PATIENCE: f64 = 0.040;
const REORDERING_MARGIN: f64 = 1.5; // the patience as a multiple of the longest lateness
const REORDERING_WINDOW: f64 = 10.0; // seconds
const MAX_TRIES: u8 = 6;
const MAX_AGE: f64 = 1.0; // seconds: a receiver has played on by then
const FIRST_ROUND_TRIP: f64 = 0.1; // seconds, before one was measured
const SHORTEST_WAIT: f64 = 0.020; // seconds from one try to the next
const LONGEST_WAIT: f64 = 0.400; // seconds
const GROWTH: f64 = 1.25; // of the wait, with each try
// Seconds by which an answer may be later than the shortest round trip, as the client's pacer takes up to 5 ms.  Without
// it most repetitions would cross their answers, and the client would send the packets twice.
const MARGIN: f64 = 0.005;
const ROUND_TRIP_WINDOW: f64 = 5.0; // seconds
const EARLIEST_ANSWER: f64 = 0.75; // of a round trip, which jitter may shorten
// Packets that are asked for in a row, and that each packet which came by itself adds.  More of them cost more than a key
// frame.
const BUDGET: f64 = 64.0;
const EARNED: f64 = 1.0;
// A stream of which less than this share comes, of at least so many packets in so many seconds, is *thin*: either there
// was an interruption, or the client's network is too narrow.  Nothing is asked for until that is clear.
const THIN: f64 = 0.5;
const LEAST_PACKETS: i64 = 8;
const LOOK: f64 = 0.1;
const THIN_TIME: f64 = 0.2; // seconds after which a thin stream shows a narrow network
// So many packets that were asked for and have not come wait in the client's queue, in which no answer overtakes
// another.  So none is asked for again before the answer to a later request, or so many seconds.
const MANY: usize = 8;
const QUEUED_WAIT: f64 = 0.3;
const FAILURE_INTERVAL: f64 = 1.0; // seconds between two reports that the repair failed
const PAIR_REACH: i64 = 16; // a pair of a NACK names a number and any of the 16 behind it

#[derive(Clone, Copy, Debug)]
struct Missing {
    number: i64,
    found_at: f64,
    /// When it was asked for last, in seconds.
    asked_at: f64,
    /// When it is asked for next, or given up.
    due: f64,
    tries: u8,
}

/// How many packets were missing, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairCounts {
    /// Missing packets that were asked for, each counted once.
    pub requested: u64,
    /// Missing packets that came after all: again, or inside a later packet.
    pub repaired: u64,
    /// Missing packets that nothing asks for any more.
    pub given_up: u64,
}

impl RepairCounts {
    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            requested: self.requested + other.requested,
            repaired: self.repaired + other.repaired,
            given_up: self.given_up + other.given_up,
        }
    }
}

/// How far the network reorders packets.  A packet that only comes late must not be asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Reordering {
    /// The longest time by which a packet came after a later one, in seconds.  It halves with each window.
    longest: f64,
    at: f64,
}

impl Reordering {
    /// A packet came this much after a later one, at `now` (seconds).
    fn add(&mut self, lateness: f64, now: f64) {
        (self.longest, self.at) = (self.longest_at(now).max(lateness.min(MOST_PATIENCE)), now);
    }

    fn longest_at(&self, now: f64) -> f64 {
        self.longest * 0.5f64.powf((now - self.at) / REORDERING_WINDOW)
    }

    /// Seconds in which a missing packet may come by itself.
    fn patience(&self, now: f64) -> f64 {
        (self.longest_at(now) * REORDERING_MARGIN).clamp(PATIENCE, MOST_PATIENCE)
    }
}

/// How far a stream had come: the packets that came by themselves, and the highest number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub received: u64,
    pub highest: i64,
}

/// The progress at a moment, in seconds.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: f64,
    progress: Progress,
}

/// The missing packets of one encoding.  Sequence numbers are extended, times are in seconds.
///
/// The list has memory only while a packet is missing.
#[derive(Debug)]
pub struct MissingPackets {
    /// In the order of their numbers.
    missing: Vec<Missing>,
    /// The earliest `due`; infinite if nothing is missing.
    next_due: f64,
    round_trip: WindowedMinimum,
    /// When the newest request was sent that was answered, in seconds.
    answered_until: f64,
    reordering: Reordering,
    /// Packets that may still be asked for.
    budget: f64,
    /// The look at the stream's progress that began last, and what the one before has shown.
    look: Look,
    thin_since: Option<f64>,
    /// The repair failed, and nobody has reported it yet.
    failed: bool,
    /// It failed because too many packets were missing, here and there.
    narrow: bool,
    /// When a failure was last reported, in seconds.
    reported_at: f64,
    pub counts: RepairCounts,
}

impl Default for MissingPackets {
    fn default() -> Self {
        Self {
            missing: Vec::new(),
            next_due: f64::INFINITY,
            round_trip: WindowedMinimum::new(ROUND_TRIP_WINDOW),
            answered_until: f64::NEG_INFINITY,
            reordering: Reordering::default(),
            budget: BUDGET,
            look: Look { at: f64::NEG_INFINITY, progress: Progress::default() },
            thin_since: None,
            failed: false,
            narrow: false,
            reported_at: f64::NEG_INFINITY,
            counts: RepairCounts::default(),
        }
    }
}

impl MissingPackets {
    /// A packet came by itself at `now`.  `highest` is the highest number before it.
    ///
    /// `wanted`: somebody would get the packets between the two.  Otherwise they are not missed.
    #[inline]
    pub fn on_packet(&mut self, number: i64, highest: i64, wanted: bool, now: f64) {
        if number != highest + 1 || !self.missing.is_empty() {
            self.on_irregular_packet(number, highest, wanted, now);
        }
    }

    fn on_irregular_packet(&mut self, number: i64, highest: i64, wanted: bool, now: f64) {
        if number > highest {
            if wanted {
                self.find(highest + 1, number, now);
            }
        } else if let Ok(place) = self.place(number) {
            // It only came late.
            self.reordering.add(now - self.missing[place].found_at, now);
            self.remove(place);
        }
    }

    /// The first packets of the stream overtook the packet `number`, at `now`.  `lowest` is the lowest number before it.
    ///
    /// The packets between the two are missing, too.
    pub fn on_overtaken_packet(&mut self, number: i64, lowest: i64, now: f64) {
        self.find(number + 1, lowest, now);
    }

    /// The numbers from `first` to before `end` are missing.  They are higher than all others here, or lower.
    fn find(&mut self, first: i64, end: i64, now: f64) {
        let count = end - first;
        if count > MAX_JUMP || self.missing.len() as i64 + count > MAX_MISSING as i64 {
            // After a jump nobody knows whether there were packets in between.
            self.counts.given_up += if count > MAX_JUMP { 0 } else { count as u64 };
            self.give_up_all();
            self.failed = true;
            return;
        }
        let due = now + self.reordering.patience(now);
        let place = self.missing.partition_point(|missing| missing.number < first);
        let found = (first..end).map(|number| Missing { number, found_at: now, asked_at: now, due, tries: 0 });
        self.missing.splice(place..place, found);
        if count > 0 {
            self.next_due = self.next_due.min(due);
        }
    }

    /// Whether nothing is missing, and no failure waits to be reported.
    pub fn is_quiet(&self) -> bool {
        self.missing.is_empty() && !self.failed
    }

    /// Whether this packet, which comes at `now`, can be the answer to a request.  Else it only comes late.
    ///
    /// `round_trip` is the one to the client, if it is known.  Earlier requests show a better one.  An answer to the
    /// only request comes about a round trip after it.  After several requests nobody knows which of them is answered.
    pub fn can_be_answer(&self, number: i64, round_trip: Option<f64>, now: f64) -> bool {
        let Ok(place) = self.place(number) else { return false };
        let Missing { tries, asked_at, .. } = self.missing[place];
        let trip = self.round_trip().or(round_trip).unwrap_or(0.0);
        tries > 1 || (tries == 1 && now - asked_at >= trip * EARLIEST_ANSWER)
    }

    /// A missing packet came again, or inside a later packet.
    pub fn on_repaired(&mut self, number: i64, now: f64) {
        self.counts.repaired += 1;
        let Ok(place) = self.place(number) else { return };
        let Missing { tries, asked_at, .. } = self.missing[place];
        // After two tries nobody knows which of them was answered (Karn's rule).
        if tries == 1 {
            self.round_trip.add(now - asked_at, now);
            self.answered_until = self.answered_until.max(asked_at);
        }
        self.remove(place);
    }

    /// A key frame came: nothing behind it needs the packets before `number`.
    pub fn on_key_frame(&mut self, number: i64) {
        (self.failed, self.narrow) = (false, false);
        let count = self.missing.partition_point(|missing| missing.number < number);
        if count > 0 {
            self.counts.given_up += count as u64;
            self.missing.drain(..count);
            self.settle();
        }
    }

    /// The client could not be heard for long.  It has forgotten the packets that were lost meanwhile.
    pub fn on_interruption(&mut self) {
        self.give_up_all();
        self.failed = true;
    }

    /// Give up all missing packets, because nobody wants them any more.
    pub fn give_up_all(&mut self) {
        self.counts.given_up += self.missing.len() as u64;
        self.missing.clear();
        self.settle();
    }

    /// Whether to report now that the repair failed: packets are lost, and nothing asks for them any more.
    ///
    /// At most once a second.
    pub fn failure_is_due(&self, now: f64) -> bool {
        self.failed && now - self.reported_at >= FAILURE_INTERVAL
    }

    /// The failure is reported at `now`, in seconds.  Gives whether the client's network carries only a part of the
    /// packets.
    pub fn on_failure_reported(&mut self, now: f64) -> bool {
        (self.failed, self.reported_at) = (false, now);
        std::mem::take(&mut self.narrow)
    }

    /// The most missing packets in a row.
    fn longest_gap(&self) -> usize {
        self.missing.chunk_by(|one, next| next.number == one.number + 1).map(<[_]>::len).max().unwrap_or(0)
    }

    /// When [`Self::take_due`] has something to do; `None` while nothing is missing.
    pub fn next_due(&self) -> Option<f64> {
        Some(self.next_due).filter(|due| due.is_finite())
    }

    /// Append the numbers to ask for at `now`, as many as `pairs` pairs of a NACK can name, and give up old ones.
    ///
    /// If the stream's `progress` shows that the client's network carries only a part of it, all are given up.
    pub fn take_due(&mut self, progress: Progress, now: f64, mut pairs: usize, numbers: &mut Vec<u16>) {
        if now < self.next_due {
            return;
        }
        self.follow(progress, now);
        self.wait_for_queue(now);
        let due = self.missing.iter().filter(|missing| missing.due <= now).count();
        let is_narrow = self.thin_since.is_some_and(|since| now - since >= THIN_TIME);
        if is_narrow || due as f64 > self.budget {
            // The packets of an interruption are missing in a row.
            self.narrow = is_narrow || self.longest_gap() as f64 <= BUDGET;
            self.give_up_all();
            self.failed = true;
            return;
        }
        if self.thin_since.is_some() {
            self.missing.iter_mut().for_each(|missing| missing.due = missing.due.max(self.look.at + LOOK));
            return self.settle();
        }
        let before = self.missing.len();
        self.missing.retain(|one| now < one.due || (one.tries < MAX_TRIES && now - one.found_at < MAX_AGE));
        self.counts.given_up += (before - self.missing.len()) as u64;
        let round_trip = self.round_trip().unwrap_or(FIRST_ROUND_TRIP);
        let mut reach = i64::MIN;
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            if missing.number > reach {
                if pairs == 0 {
                    break;
                }
                pairs -= 1;
                reach = missing.number + PAIR_REACH;
            }
            numbers.push(missing.number as u16);
            self.budget -= 1.0;
            self.counts.requested += u64::from(missing.tries == 0);
            missing.due = now + wait(round_trip, missing.tries);
            missing.tries += 1;
            missing.asked_at = now;
        }
        self.settle();
    }

    /// Ask for nothing again whose answer may wait in the client's queue.
    fn wait_for_queue(&mut self, now: f64) {
        if self.missing.iter().filter(|missing| missing.tries > 0).count() < MANY {
            return;
        }
        let answered_until = self.answered_until;
        let waits = |one: &&mut Missing| one.tries > 0 && one.due <= now && one.asked_at > answered_until;
        for missing in self.missing.iter_mut().filter(waits) {
            missing.due = missing.due.max(missing.asked_at + QUEUED_WAIT);
        }
    }

    /// Look how much of the stream came lately.
    fn follow(&mut self, progress: Progress, now: f64) {
        let (since, before) = (self.look.at, self.look.progress);
        if now - since < LOOK {
            return;
        }
        let received = progress.received.saturating_sub(before.received) as f64;
        let expected = progress.highest - before.highest;
        self.budget = (self.budget + EARNED * received).min(BUDGET);
        // Before the first packet was missing, nobody looked.
        let is_thin = now - since < 3.0 * LOOK && expected >= LEAST_PACKETS && received < THIN * expected as f64;
        self.thin_since = if is_thin { self.thin_since.or(Some(since)) } else { None };
        self.look = Look { at: now, progress };
    }

    /// Seconds from a request to the packet; `None` before the first answer.
    pub fn round_trip(&self) -> Option<f64> {
        self.round_trip.get()
    }

    fn place(&self, number: i64) -> Result<usize, usize> {
        self.missing.binary_search_by_key(&number, |missing| missing.number)
    }

    fn remove(&mut self, place: usize) {
        self.missing.remove(place);
        self.settle();
    }

    /// Find the next deadline after a change, and give the memory back once nothing is missing.
    fn settle(&mut self) {
        self.next_due = self.missing.iter().map(|missing| missing.due).fold(f64::INFINITY, f64::min);
        if self.missing.is_empty() {
            self.missing = Vec::new();
        }
    }
}

/// Seconds from a try to the next, after `tries` earlier ones.
fn wait(round_trip: f64, tries: u8) -> f64 {
    (round_trip * GROWTH.powi(i32::from(tries))).clamp(SHORTEST_WAIT, LONGEST_WAIT) + MARGIN
}

#[cfg(test)]
mod tests;
