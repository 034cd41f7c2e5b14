//! One queue for all deadlines of a core.
//!
//! A new kind of timer takes three steps.  Add a variant to [`TransportTimer`] (or to [`Timer`], where one deadline
//! serves the whole core), add it to [`TransportTimer::ALL`], and handle it in `Core::pass_time`.

use slotmap::SecondaryMap;

use crate::core::keys::TransportKey;

/// A deadline of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Some send batch must leave.  One timer serves all transports: most batches of a packet are due together.
    Flush,
    /// A deadline of one transport.
    Transport(TransportTimer, TransportKey),
}

/// The deadlines that every transport has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportTimer {
    /// The client may have fallen silent, or lost its consent (RFC 7675).
    Consent,
    /// The client gets receiver reports about its streams.
    ReceiverReport,
    /// The client is asked for packets that are missing.
    Nack,
    /// The path to send on may have to move.
    Path,
    /// The client learns which of its packets arrived, and when.
    Feedback,
    /// The estimate of the bandwidth to the client changes, or a probe is due.
    Bandwidth,
}

impl TransportTimer {
    /// Every kind, in the order of the variants.
    const ALL: [Self; 6] =
        [Self::Consent, Self::ReceiverReport, Self::Nack, Self::Path, Self::Feedback, Self::Bandwidth];
    const COUNT: usize = Self::ALL.len();
}

/// The place of a timer that is not armed.
const UNARMED: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: f64,
    timer: Timer,
}

/// A binary heap of deadlines, the earliest first, in which every timer knows its place.
///
/// Each timer has at most one entry, so the memory is bounded by the number of transports.  It is reserved when a
/// transport is added: arming never allocates.  Every packet puts the deadline of silence off, but leaves the entry
/// where it is.  The timer then fires too early, and its handler arms it again for the new deadline.
#[derive(Debug)]
pub struct Timers {
    heap: Vec<Entry>,
    flush: u32,
    transports: SecondaryMap<TransportKey, [u32; TransportTimer::COUNT]>,
}

impl Default for Timers {
    fn default() -> Self {
        Self { heap: Vec::with_capacity(1), flush: UNARMED, transports: SecondaryMap::new() }
    }
}

impl Timers {
    /// Make room for the timers of a transport.
    pub fn add_transport(&mut self, transport: TransportKey) {
        self.transports.insert(transport, [UNARMED; TransportTimer::COUNT]);
        let most = 1 + TransportTimer::COUNT * self.transports.len();
        self.heap.reserve(most.saturating_sub(self.heap.len()));
    }

    /// Disarm every timer of a transport and forget it.
    pub fn remove_transport(&mut self, transport: TransportKey) {
        TransportTimer::ALL.iter().for_each(|&kind| self.disarm(Timer::Transport(kind, transport)));
        self.transports.remove(transport);
    }

    /// Let the timer fire at `at` (seconds) at the latest.  An earlier deadline stays.
    ///
    /// Does nothing for a transport that was removed.
    #[inline]
    pub fn arm(&mut self, timer: Timer, at: f64) {
        let Some(place) = self.place(timer) else { return };
        if *place == UNARMED {
            self.heap.push(Entry { at, timer });
            self.rise(self.heap.len() - 1);
        } else {
            let place = *place as usize;
            if at < self.heap[place].at {
                self.heap[place].at = at;
                self.rise(place);
            }
        }
    }

    /// Remove the deadline of this timer, if it has one.
    pub fn disarm(&mut self, timer: Timer) {
        let Some(place) = self.place(timer) else { return };
        let place = std::mem::replace(place, UNARMED) as usize;
        if place >= self.heap.len() {
            return;
        }
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            // The entry that came here from the end may belong above or below.
            self.rise(place);
            self.sink(place);
        }
    }

    /// The time at which this timer fires, in seconds.
    pub fn deadline(&self, timer: Timer) -> Option<f64> {
        let place = match timer {
            Timer::Flush => self.flush,
            Timer::Transport(kind, transport) => self.transports.get(transport)?[kind as usize],
        };
        self.heap.get(place as usize).map(|entry| entry.at)
    }

    /// The earliest deadline, in seconds.
    pub fn next_due(&self) -> Option<f64> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Disarm the timer with the earliest deadline and give it, if it is due at `now` (seconds).
    pub fn pop_due(&mut self, now: f64) -> Option<Timer> {
        let Entry { at, timer } = *self.heap.first()?;
        if now < at {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }

    /// The stored place of this timer's entry in the heap.  `None` for a transport that was removed.
    #[inline]
    fn place(&mut self, timer: Timer) -> Option<&mut u32> {
        match timer {
            Timer::Flush => Some(&mut self.flush),
            Timer::Transport(kind, transport) => Some(&mut self.transports.get_mut(transport)?[kind as usize]),
        }
    }

    /// Store the place of this entry where [`Self::place`] finds it by its timer.
    fn record_place(&mut self, at: usize) {
        let timer = self.heap[at].timer;
        if let Some(place) = self.place(timer) {
            *place = at as u32;
        }
    }

    /// Move an entry up while it is earlier than the one above it.
    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let above = (at - 1) / 2;
            if self.heap[above].at <= self.heap[at].at {
                break;
            }
            self.heap.swap(above, at);
            self.record_place(at);
            at = above;
        }
        self.record_place(at);
    }

    /// Move an entry down while one below it is earlier.
    fn sink(&mut self, mut at: usize) {
        loop {
            let below = 2 * at + 1..self.heap.len().min(2 * at + 3);
            let Some(earliest) = below.min_by(|&one, &other| self.heap[one].at.total_cmp(&self.heap[other].at)) else {
                break;
            };
            if self.heap[at].at <= self.heap[earliest].at {
                break;
            }
            self.heap.swap(at, earliest);
            self.record_place(at);
            at = earliest;
        }
        self.record_place(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use slotmap::SlotMap;

    fn with_transports(count: usize) -> (Timers, Vec<Timer>) {
        let mut keys: SlotMap<TransportKey, ()> = SlotMap::with_key();
        let mut timers = Timers::default();
        let mut all = vec![Timer::Flush];
        for _ in 0..count {
            let key = keys.insert(());
            timers.add_transport(key);
            all.extend(TransportTimer::ALL.map(|kind| Timer::Transport(kind, key)));
        }
        (timers, all)
    }

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let (mut timers, all) = with_transports(3);
        for (&timer, at) in all.iter().zip([3.0, 1.0, 4.0, 2.0]) {
            timers.arm(timer, at);
        }
        assert_eq!(timers.next_due(), Some(1.0));
        let fired: Vec<Timer> = std::iter::from_fn(|| timers.pop_due(3.0)).collect();
        assert_eq!(fired, [all[1], all[3], all[0]]);
        assert_eq!(timers.next_due(), Some(4.0));
    }

    #[test]
    fn arming_brings_a_deadline_forward_and_never_puts_it_off() {
        let (mut timers, all) = with_transports(1);
        for at in [5.0, 7.0, 4.0, 9.0] {
            timers.arm(all[1], at);
        }
        assert_eq!(timers.deadline(all[1]), Some(4.0));
        assert_eq!((timers.pop_due(4.0), timers.pop_due(99.0)), (Some(all[1]), None));
        assert_eq!(timers.deadline(all[1]), None);
    }

    #[test]
    fn a_removed_transport_has_no_timer() {
        let (mut timers, all) = with_transports(2);
        all.iter().for_each(|&timer| timers.arm(timer, 1.0));
        let Timer::Transport(_, key) = all[1] else { unreachable!() };
        timers.remove_transport(key);
        timers.arm(all[1], 0.5);
        let mut fired: Vec<Timer> = std::iter::from_fn(|| timers.pop_due(1.0)).collect();
        fired.sort_by_key(|timer| all.iter().position(|one| one == timer));
        assert_eq!(fired, [&all[..1], &all[1 + TransportTimer::COUNT..]].concat());
    }

    #[test]
    fn arming_allocates_nothing() {
        let (mut timers, all) = with_transports(100);
        let reserved = timers.heap.capacity();
        for round in 0..5 {
            all.iter().for_each(|&timer| timers.arm(timer, 100.0 - f64::from(round)));
        }
        assert_eq!((timers.heap.len(), timers.heap.capacity()), (1 + 100 * TransportTimer::COUNT, reserved));
    }

    proptest! {
        /// The queue behaves as a plain map from each timer to its deadline.
        #[test]
        fn the_queue_agrees_with_a_plain_list(steps in prop::collection::vec((0..3u8, any::<prop::sample::Index>(), 0..50u32), 1..200)) {
            let (mut timers, all) = with_transports(5);
            let mut plain = vec![None::<f64>; all.len()];
            for (step, which, at) in steps {
                let (which, at) = (which.index(all.len()), f64::from(at));
                match step {
                    0 => {
                        timers.arm(all[which], at);
                        plain[which] = Some(plain[which].map_or(at, |before| before.min(at)));
                    }
                    1 => {
                        timers.disarm(all[which]);
                        plain[which] = None;
                    }
                    _ => while let Some(timer) = timers.pop_due(at) {
                        let which = all.iter().position(|&one| one == timer).unwrap();
                        prop_assert!(plain[which].take().is_some_and(|due| due <= at));
                    }
                }
                prop_assert_eq!(timers.next_due(), plain.iter().flatten().copied().min_by(f64::total_cmp));
                for (&timer, &deadline) in all.iter().zip(&plain) {
                    prop_assert_eq!(timers.deadline(timer), deadline);
                }
            }
        }
    }
}
