//! Sequence numbers for one receiver: no gap for packets that we leave out, the same gap for packets that were lost.

use std::collections::VecDeque;

const MAX_DROPOUT: i64 = 3000; // as RFC 3550 appendix A.1: a sender that skips more numbers began anew
const MAX_STRETCHES: usize = 256; // late packets of older stretches get no number

/// Incoming numbers from `start` to before `end` go out with `offset` added.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: i64,
    end: i64,
    offset: i64,
}

/// Maps incoming numbers of one source to outgoing ones.  Both are extended, so that they never wrap.
///
/// While nothing is left out, both differ by a constant offset.  Each number that is left out lowers the offset by one
/// for all that follow.  So the past is a list of stretches, each with its offset, and a late packet finds its stretch
/// there.  A number maps to the same outgoing number every time, or never to any.
#[derive(Clone, Debug, Default)]
pub struct SequenceTranslator {
    /// The first outgoing number; `None` takes the first incoming one.
    first: Option<i64>,
    begun: bool,
    /// The past, the oldest first.
    stretches: VecDeque<Stretch>,
    /// One more than the highest incoming number so far.
    next_in: i64,
    /// The first incoming number of the current stretch.
    stretch_start: i64,
    /// The number to add to the incoming numbers of the current stretch.
    offset: i64,
}

impl SequenceTranslator {
    /// `first` is the first outgoing number; `None` takes the first incoming one.  [`Self::begin`] must follow.
    pub fn new(first: Option<i64>) -> Self {
        Self { first, ..Self::default() }
    }

    /// Begin with a new source, or with the same after a break: `number` comes next.  Everything before is too late.
    pub fn begin(&mut self, number: i64) {
        self.offset =
            if self.begun { self.next_in + self.offset - number } else { self.first.map_or(0, |first| first - number) };
        self.begun = true;
        self.stretches.clear();
        self.next_in = number;
        self.stretch_start = number;
    }

    /// The outgoing number of a packet that is sent.  `None` for one that comes too late or was left out.
    pub fn take(&mut self, number: i64) -> Option<i64> {
        if number >= self.next_in {
            if number - self.next_in >= MAX_DROPOUT {
                self.begin(number);
            }
            self.next_in = number + 1;
            return Some(number + self.offset);
        }
        self.taken(number)
    }

    /// The outgoing number of a packet that is not newer than the newest: the same as [`Self::take`] gives.
    pub fn taken(&self, number: i64) -> Option<i64> {
        if number >= self.stretch_start {
            return (number < self.next_in).then_some(number + self.offset);
        }
        let stretch = self.stretches.iter().rev().find(|stretch| number >= stretch.start)?;
        (number < stretch.end).then_some(number + stretch.offset)
    }

    /// Whether the last [`Self::begin`] was behind this number, so that it never goes out.
    pub fn begun_behind(&self, number: i64) -> bool {
        number < self.stretches.front().map_or(self.stretch_start, |oldest| oldest.start)
    }

    /// The incoming number that went out as `out`: the inverse of [`Self::take`].
    ///
    /// `None` for a number that was not given out, or that was given out before the last [`Self::begin`].
    pub fn incoming(&self, out: i64) -> Option<i64> {
        let number = out - self.offset;
        if number >= self.stretch_start {
            return (self.begun && number < self.next_in).then_some(number);
        }
        // Outgoing numbers have no gap, so the first number that goes out of each stretch is sorted too.
        let behind = self.stretches.partition_point(|stretch| stretch.start + stretch.offset <= out);
        let stretch = self.stretches.get(behind.checked_sub(1)?)?;
        let number = out - stretch.offset;
        (number < stretch.end).then_some(number)
    }

    /// The packet is not sent and gets no number.
    ///
    /// If later packets were sent already, a number was kept for this one.  That number is given back: the caller must
    /// send something under it, or the receiver sees a gap.
    pub fn leave_out(&mut self, number: i64) -> Option<i64> {
        if number < self.next_in {
            return self.take(number);
        }
        if number - self.next_in >= MAX_DROPOUT {
            self.begin(number);
        }
        if self.begun && number > self.stretch_start {
            if self.stretches.len() == MAX_STRETCHES {
                self.stretches.pop_front();
            }
            self.stretches.push_back(Stretch { start: self.stretch_start, end: number, offset: self.offset });
        }
        self.offset -= 1;
        self.next_in = number + 1;
        self.stretch_start = number + 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn translator(begin: i64, first: i64) -> SequenceTranslator {
        let mut numbers = SequenceTranslator::new(Some(first));
        numbers.begin(begin);
        numbers
    }

    fn taken(numbers: &mut SequenceTranslator, incoming: &[i64]) -> Vec<Option<i64>> {
        incoming.iter().map(|&number| numbers.take(number)).collect()
    }

    #[test]
    fn numbers_start_at_the_first_or_stay_as_they_are() {
        assert_eq!(taken(&mut translator(10, 100), &[10, 11, 12]), [Some(100), Some(101), Some(102)]);
        let mut unchanged = SequenceTranslator::new(None);
        unchanged.begin(10);
        assert_eq!(unchanged.take(10), Some(10));
    }

    #[test]
    fn a_lost_packet_leaves_its_gap_and_may_still_come() {
        assert_eq!(taken(&mut translator(10, 100), &[10, 13, 11]), [Some(100), Some(103), Some(101)]);
    }

    #[test]
    fn a_packet_that_is_left_out_leaves_no_gap_and_never_gets_a_number() {
        let mut numbers = translator(10, 100);
        numbers.take(10);
        numbers.leave_out(11);
        numbers.leave_out(12);
        assert_eq!(taken(&mut numbers, &[13, 11]), [Some(101), None]);
    }

    #[test]
    fn a_late_packet_gets_the_number_that_was_kept_for_it() {
        let mut numbers = translator(10, 100);
        numbers.take(10);
        numbers.leave_out(12);
        assert_eq!(taken(&mut numbers, &[13, 11]), [Some(102), Some(101)]);
    }

    #[test]
    fn a_late_packet_that_is_left_out_gives_its_kept_number_back() {
        let mut numbers = translator(10, 100);
        taken(&mut numbers, &[10, 12]);
        assert_eq!(numbers.leave_out(11), Some(101));
        assert_eq!(numbers.leave_out(13), None);
        assert_eq!(numbers.leave_out(15), None);
        assert_eq!(numbers.leave_out(14), Some(103));
        assert_eq!(numbers.take(16), Some(104));
        assert_eq!(numbers.leave_out(13), None);
        assert_eq!(numbers.leave_out(9), None);
    }

    #[test]
    fn a_new_beginning_continues_without_a_gap_and_forgets_the_past() {
        let mut numbers = translator(10, 100);
        taken(&mut numbers, &[10, 12]);
        numbers.begin(7);
        assert_eq!(taken(&mut numbers, &[7, 6]), [Some(103), None]);
        numbers.leave_out(9);
        assert_eq!([6, 7, 9, 10].map(|number| numbers.begun_behind(number)), [true, false, false, false]);
    }

    #[test]
    fn a_jump_of_thousands_is_a_new_beginning() {
        let mut numbers = translator(10, 100);
        numbers.take(10);
        assert_eq!(numbers.take(11 + 3000), Some(101));
        numbers.leave_out(3012 + 3000);
        assert_eq!(numbers.take(6013), Some(102));
    }

    #[test]
    fn an_outgoing_number_leads_back_to_its_packet_until_a_new_beginning() {
        let mut numbers = translator(10, 100);
        assert_eq!(numbers.incoming(100), None, "nothing went out yet");
        taken(&mut numbers, &[10, 13]);
        numbers.leave_out(14);
        taken(&mut numbers, &[15]);
        let back: Vec<_> = (99..106).map(|out| numbers.incoming(out)).collect();
        assert_eq!(back, [None, Some(10), Some(11), Some(12), Some(13), Some(15), None]);
        numbers.begin(7);
        numbers.take(7);
        assert_eq!((numbers.incoming(104), numbers.incoming(105)), (None, Some(7)));
    }

    #[test]
    fn the_past_is_bounded() {
        let mut numbers = translator(0, 100);
        for number in (0..2000).step_by(2) {
            numbers.take(number);
            numbers.leave_out(number + 1);
        }
        assert_eq!(taken(&mut numbers, &[0, 1998]), [None, Some(100 + 999)]);
    }

    proptest! {
        /// Packets may come late, twice or never.  A packet's number is its place among those that were not left out in
        /// time.
        #[test]
        fn every_number_is_unique_and_keeps_the_order(arrivals in prop::collection::vec((0..60i64, any::<bool>()), 1..80)) {
            let mut numbers = translator(0, 100);
            let mut highest = -1;
            let mut left_out = BTreeSet::new();
            let mut got = BTreeMap::new();
            for (number, take) in arrivals {
                if take {
                    let out = numbers.take(number);
                    prop_assert_eq!(out.is_none(), left_out.contains(&number));
                    if let Some(out) = out {
                        prop_assert_eq!(*got.entry(number).or_insert(out), out);
                    }
                } else {
                    numbers.leave_out(number);
                    if number > highest {
                        left_out.insert(number);
                    }
                }
                highest = highest.max(number);
            }
            for (&number, &out) in &got {
                prop_assert_eq!(numbers.incoming(out), Some(number));
                prop_assert_eq!(out, 100 + number - left_out.range(..number).count() as i64);
            }
        }

        /// The inverse agrees with a plain map of all numbers that [`SequenceTranslator::take`] would give, over gaps,
        /// left-out packets, new beginnings and more stretches than are kept.
        #[test]
        fn the_inverse_agrees_with_a_plain_map(steps in prop::collection::vec((0..12u8, -5..4000i64), 0..900)) {
            let mut numbers = translator(1000, 100);
            let mut next = 1000;
            let mut begun_at = 1000;
            for (step, far) in steps {
                let number = match step {
                    0 if far % 50 == 0 => { numbers.begin(far); begun_at = far; next = far; continue }
                    1 if far % 50 == 1 => next + far,
                    2 => next - 1 - far.rem_euclid(20),
                    3 => next + far.rem_euclid(5),
                    _ => next,
                };
                if number - next >= MAX_DROPOUT {
                    begun_at = number;
                }
                next = next.max(number + 1);
                if step % 2 == 0 { numbers.leave_out(number); } else { numbers.take(number); }
            }
            // Taking a number below `next` changes nothing, so a copy can be asked for each of them.
            let mut asked = numbers.clone();
            let mut plain = BTreeMap::new();
            for number in begun_at..next {
                if let Some(out) = asked.take(number) {
                    prop_assert_eq!(plain.insert(out, number), None);
                }
            }
            let low = plain.keys().next().copied().unwrap_or(100) - 30;
            let high = plain.keys().next_back().copied().unwrap_or(100) + 30;
            for out in low..high {
                prop_assert_eq!(numbers.incoming(out), plain.get(&out).copied());
            }
        }
    }
}
