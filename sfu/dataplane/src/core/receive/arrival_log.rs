//! When the packets of one transport arrived, for feedback to their sender
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! The sender numbers all its packets in one row, whichever stream they belong to.  From our feedback it learns which
//! of them arrived and when, and estimates how much its path carries.  A number that arrives late is reported again,
//! with all behind it: the sender may have taken it for lost.

use crate::core::wire::rtcp::TransportFeedback;

/// Seconds between two rounds of feedback, and while many arrivals wait.
const INTERVAL: f64 = 0.1;
const SHORT_INTERVAL: f64 = 0.05;
/// Arrivals that are many.
const MANY: u32 = 20;
/// Seconds that an arrival counts as recent.  A number is late, and not too late, if one behind it is recent.
const RECENT: f64 = 0.5;
/// Numbers for which there is memory at first and at most.  A microphone needs no more than the first.  The most are
/// 0.5 s of a client that sends 8,000 packets a second.
const FIRST_ROOM: usize = 64;
const MOST_ROOM: usize = 4096;
/// Packets of feedback in one round.  With the shorter interval they are 80 a second.
const MOST_PACKETS: usize = 4;
/// Numbers in one packet of feedback.  A delta has two bytes at most, and seven numbers share two bytes of a chunk.  So
/// a packet has less than 1,100 bytes.
const MOST_NUMBERS: i64 = 470;
/// After this many numbers in a row that are too late, the sender has begun to count anew.
const STRAYS: u32 = 20;
/// Units of an arrival time in a second (section 3.1.5).
const TICKS: f64 = 4000.0;

/// The arrival of one number, in ticks.
#[derive(Clone, Copy)]
struct Arrival {
    number: i64,
    at: i64,
}

const NO_ARRIVAL: Arrival = Arrival { number: i64::MIN, at: 0 };

/// The arrivals that feedback may be about: a ring with a place for each number, of which the highest are kept.
///
/// Times are in seconds on our clock.  Numbers are extended so that they never wrap.
pub struct ArrivalLog {
    /// Its size is a power of two.
    ring: Vec<Arrival>,
    highest: i64,
    /// The first number of the next feedback.
    next: i64,
    /// Numbers below are too late.  It is never above `next`.
    lowest: i64,
    /// Arrivals since the last feedback.
    waiting: u32,
    /// Numbers in a row that were too late.
    strays: u32,
    sent_at: f64,
    /// The number of the next feedback, modulo 256.
    count: u8,
    /// The SSRC of the newest packet.
    pub ssrc: u32,
}

impl ArrivalLog {
    /// A log whose first packet has this number, and arrived at `now`.
    pub fn new(sequence: u16, now: f64) -> Self {
        let first = i64::from(sequence);
        Self {
            ring: vec![NO_ARRIVAL; FIRST_ROOM],
            highest: first - 1,
            next: first,
            // Packets from before the first one may come late.
            lowest: first - FIRST_ROOM as i64 / 2,
            waiting: 0,
            strays: 0,
            sent_at: now,
            count: 0,
            ssrc: 0,
        }
    }

    /// Note an arrival.  Gives the time at which feedback is due, if that has changed.
    ///
    /// Only the first arrival of a number counts.
    pub fn record(&mut self, sequence: u16, ssrc: u32, arrived: f64) -> Option<f64> {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let mut number = self.highest + i64::from(ahead as i16);
        if number < self.lowest {
            self.strays += 1;
            if self.strays < STRAYS {
                return None;
            }
            // Numbers only rise: the sender's new ones count as a jump ahead.
            number = self.highest + i64::from(ahead);
        }
        self.strays = 0;
        let at = (arrived * TICKS) as i64;
        if number > self.highest {
            self.make_room(number);
            self.highest = number;
        }
        let place = self.place(number);
        if self.ring[place].number == number {
            return None;
        }
        self.ring[place] = Arrival { number, at };
        self.next = self.next.min(number);
        self.ssrc = ssrc;
        self.waiting = self.waiting.saturating_add(1);
        match self.waiting {
            // After a pause, what comes with the first packet shall be in the same feedback.
            1 => Some((self.sent_at + INTERVAL).max(arrived + SHORT_INTERVAL)),
            MANY => self.next_due(),
            _ => None,
        }
    }

    /// When feedback is due, as far as the arrivals since the last one tell.
    pub fn next_due(&self) -> Option<f64> {
        match self.waiting {
            0 => None,
            1..MANY => Some(self.sent_at + INTERVAL),
            _ => Some(self.sent_at + SHORT_INTERVAL),
        }
    }

    /// The packets of feedback that are due at `now`.  `ssrcs` are ours, and the one that the feedback names.
    ///
    /// What does not fit into one round waits for the next one.
    pub fn take_feedback(&mut self, ssrcs: (u32, u32), now: f64) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while packets.len() < MOST_PACKETS
            && let Some(first) = (self.next..=self.highest).find(|&number| self.arrival(number).is_some())
        {
            // So many missing numbers in front say nothing that fewer of them do not say.
            let base = self.next.max(first + 1 - MOST_NUMBERS);
            let numbers = base..(base + MOST_NUMBERS).min(self.highest + 1);
            let arrivals: Vec<_> = numbers.map(|number| self.arrival(number)).collect();
            let mut packet = Vec::new();
            let covered = TransportFeedback::write(ssrcs, self.count, base as u16, &arrivals, &mut packet);
            self.count = self.count.wrapping_add(1);
            self.next = base + covered as i64;
            packets.push(packet);
        }
        self.waiting = if self.next > self.highest { 0 } else { MANY };
        self.sent_at = now;
        self.close_old(now);
        packets
    }

    fn place(&self, number: i64) -> usize {
        number as usize & (self.ring.len() - 1)
    }

    fn arrival(&self, number: i64) -> Option<i64> {
        let arrival = self.ring[self.place(number)];
        (arrival.number == number).then_some(arrival.at)
    }

    /// Make room for the highest number: the ring grows rather than lose a number that may still be reported.
    fn make_room(&mut self, number: i64) {
        while self.ring.len() < MOST_ROOM && number - self.lowest >= self.ring.len() as i64 {
            let larger = vec![NO_ARRIVAL; 2 * self.ring.len()];
            for arrival in std::mem::replace(&mut self.ring, larger) {
                let place = self.place(arrival.number);
                if arrival.number > self.ring[place].number {
                    self.ring[place] = arrival;
                }
            }
        }
        self.lowest = self.lowest.max(number + 1 - self.ring.len() as i64);
        self.next = self.next.max(self.lowest);
    }

    /// Close the numbers behind which nothing recent arrived: they are too late from now on.
    fn close_old(&mut self, now: f64) {
        let old = ((now - RECENT) * TICKS) as i64;
        for number in self.lowest..self.next {
            match self.arrival(number) {
                Some(at) if at > old => return,
                Some(_) => self.lowest = number + 1,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
