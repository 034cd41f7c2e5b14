//! A receiver that sends transport-wide feedback as browsers do.

use std::collections::BTreeMap;

use crate::core::wire::rtcp::TransportFeedback;

/// Arrivals are kept this long for further feedback about the packets between them, in seconds.
const KEPT: f64 = 0.5;

#[derive(Default)]
pub struct Receiver {
    /// The arrival of each packet, by its number without a wrap.
    arrivals: BTreeMap<u64, f64>,
    /// The first number that the next feedback is about.
    next: Option<u64>,
    feedback_number: u8,
    /// Its clock is this much ahead, in seconds.
    pub clock_offset: f64,
}

impl Receiver {
    pub fn receive(&mut self, number: u64, at: f64) {
        self.arrivals.insert(number, at);
        self.next = Some(self.next.map_or(number, |next| next.min(number)));
    }

    /// The feedback about everything that came since the last one.
    pub fn feedback(&mut self, now: f64) -> Option<Vec<u8>> {
        let first = self.next?;
        let last = *self.arrivals.keys().next_back().filter(|last| **last >= first)?;
        let ticks = |at: &f64| ((at + self.clock_offset + 1000.0) / 250e-6) as i64;
        let arrivals: Vec<Option<i64>> = (first..=last).map(|number| self.arrivals.get(&number).map(ticks)).collect();
        let mut packet = Vec::new();
        let told = TransportFeedback::write((1, 2), self.feedback_number, first as u16, &arrivals, &mut packet);
        self.feedback_number = self.feedback_number.wrapping_add(1);
        self.next = Some(first + told as u64);
        self.arrivals.retain(|number, at| *at > now - KEPT || *number >= first + told as u64);
        Some(packet)
    }
}
