//! The list alone, under virtual time.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A list, and the highest number so far.
struct Stream {
    list: MissingPackets,
    highest: i64,
    received: u64,
}

impl Stream {
    /// A stream of which the packet before `first` came.
    fn before(first: i64) -> Self {
        Self { list: MissingPackets::default(), highest: first - 1, received: 0 }
    }

    fn receive(&mut self, numbers: impl IntoIterator<Item = i64>, now: f64) {
        for number in numbers {
            self.list.on_packet(number, self.highest, true, now);
            self.highest = self.highest.max(number);
            self.received += 1;
        }
    }

    fn due(&mut self, now: f64) -> Vec<u16> {
        let mut numbers = Vec::new();
        let progress = Progress { received: self.received, highest: self.highest };
        self.list.take_due(progress, now, usize::MAX, &mut numbers);
        numbers
    }

    /// Whether a failure is reported now, and whether the network is too narrow.
    fn take_failure(&mut self, now: f64) -> Option<bool> {
        self.list.failure_is_due(now).then(|| self.list.on_failure_reported(now))
    }
}

#[test]
fn a_gap_is_asked_for_after_the_patience() {
    let mut stream = Stream::before(10);
    stream.receive([10, 13], 1.0);
    assert_eq!(stream.list.next_due(), Some(1.0 + PATIENCE));
    assert_eq!(stream.due(1.009), []);
    assert_eq!(stream.due(1.0 + PATIENCE), [11, 12]);
    assert_eq!((stream.list.counts.requested, stream.list.counts.given_up), (2, 0));
}

#[test]
fn a_network_that_reorders_far_raises_the_patience_for_a_while() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12], 1.0);
    stream.receive([11], 1.016);
    stream.receive([14], 2.0);
    let due = stream.list.next_due().unwrap();
    assert!((2.020..2.024).contains(&due), "{due}");
    assert_eq!(stream.due(due), [13]);
    stream.receive([13, 15, 17], 3.0);
    assert_eq!(stream.list.next_due(), Some(3.0 + MOST_PATIENCE), "a packet came a second late");
    stream.receive([16], 3.0);
    stream.receive([18, 20], 33.0);
    assert_eq!(stream.list.next_due(), Some(33.0 + PATIENCE));
}

#[test]
fn an_answer_takes_about_a_round_trip() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12], 1.0);
    assert!(!stream.list.can_be_answer(11, None, 1.001), "not asked for");
    assert_eq!(stream.due(1.01), [11]);
    let answers = |list: &MissingPackets, trip| [1.01, 1.03, 1.05].map(|now| list.can_be_answer(11, trip, now));
    assert_eq!(answers(&stream.list, Some(0.04)), [false, false, true]);
    assert_eq!(answers(&stream.list, None), [true; 3], "nothing tells");
    assert!(!stream.list.can_be_answer(13, None, 9.0));
    stream.list.round_trip.add(0.02, 1.02);
    assert_eq!(answers(&stream.list, Some(0.04)), [false, true, true], "as earlier answers have shown");
    assert_eq!(stream.due(1.12), [11]);
    assert!(stream.list.can_be_answer(11, Some(0.04), 1.121), "it may answer the first request");
}

#[test]
fn packets_before_those_that_overtook_them_are_asked_for_first() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12], 1.0);
    stream.list.on_overtaken_packet(7, 10, 1.001);
    assert_eq!(stream.due(1.05), [8, 9, 11]);
    stream.receive([8], 1.06);
    assert_eq!(stream.due(1.2), [9, 11]);
}

#[test]
fn a_packet_that_comes_in_time_was_never_lost() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12, 12, 11, 11, 13], 1.0);
    assert_eq!((stream.list.next_due(), stream.list.is_quiet()), (None, true));
    assert_eq!((stream.list.counts.requested, stream.list.counts.repaired, stream.list.counts.given_up), (0, 0, 0));
}

#[test]
fn numbers_wrap_around_without_a_loss() {
    let mut stream = Stream::before(65_534);
    stream.receive([65_534, 65_535, 65_536, 65_539], 1.0);
    assert_eq!(stream.due(1.5), [1, 2]);
    let mut stream = Stream::before(65_534);
    stream.receive([65_534, 65_537], 1.0);
    assert_eq!(stream.due(1.5), [65_535, 0]);
}

#[test]
fn a_packet_is_asked_for_less_and_less_often_and_then_given_up() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12], 0.0);
    let mut asked = Vec::new();
    while let Some(due) = stream.list.next_due() {
        assert!(stream.due(due).len() < 2);
        asked.push(due);
    }
    let given_up = asked.pop().unwrap();
    assert_eq!(asked.len(), usize::from(MAX_TRIES));
    let waits: Vec<f64> = asked.windows(2).map(|pair| (1000.0 * (pair[1] - pair[0])).round()).collect();
    assert_eq!(waits, [105.0, 130.0, 161.0, 200.0, 249.0]);
    assert!(given_up < 1.5);
    assert_eq!((stream.list.counts.requested, stream.list.counts.given_up, stream.list.missing.capacity()), (1, 1, 0));
    assert!(stream.take_failure(9.0).is_none(), "one packet that is given up asks for nothing");
}

#[test]
fn no_packet_is_asked_for_when_it_is_a_second_old() {
    let mut stream = Stream::before(10);
    for second in 0..4 {
        stream.receive([10 + 2 * second], second as f64);
        stream.list.round_trip.add(0.4, second as f64);
    }
    let mut tries = 0;
    while let Some(due) = stream.list.next_due() {
        tries += stream.due(due).iter().filter(|&&number| number == 15).count();
    }
    assert_eq!(tries, 3, "at 10, 420 and 830 ms");
}

#[test]
fn the_round_trip_is_measured_on_packets_that_were_asked_for_once() {
    let mut stream = Stream::before(10);
    stream.receive([10, 13], 0.0);
    assert_eq!(stream.due(0.010), [11, 12]);
    stream.list.on_repaired(11, 0.060);
    let round_trip = stream.list.round_trip();
    assert!((round_trip.unwrap() - 0.050).abs() < 1e-9);
    assert_eq!(stream.due(0.130), [12]);
    stream.list.on_repaired(12, 0.131);
    assert_eq!((stream.list.round_trip(), stream.list.counts.repaired), (round_trip, 2));
    stream.receive([15], 1.0);
    stream.due(1.010);
    assert!((stream.list.next_due().unwrap() - 1.065).abs() < 1e-9, "50 ms and the margin");
    stream.list.on_repaired(99, 1.0);
    assert_eq!((stream.list.counts.repaired, stream.list.round_trip()), (3, round_trip), "nobody asked for that one");
}

#[test]
fn waits_stay_within_their_bounds() {
    assert!((wait(0.0, 0) - (SHORTEST_WAIT + MARGIN)).abs() < 1e-9);
    assert!((wait(9.0, 5) - (LONGEST_WAIT + MARGIN)).abs() < 1e-9);
}

#[test]
fn a_key_frame_makes_the_packets_before_it_unnecessary() {
    let mut stream = Stream::before(10);
    stream.receive([10, 12, 14, 16], 0.0);
    stream.list.on_key_frame(14);
    assert_eq!((stream.due(0.5), stream.list.counts.given_up), (vec![15], 2));
}

#[test]
fn too_many_missing_packets_and_jumps_fail_the_repair_once_a_second() {
    let mut stream = Stream::before(0);
    stream.receive([0, 251], 0.0);
    assert!(stream.take_failure(0.0).is_none());
    stream.receive([253], 0.0);
    assert_eq!((stream.list.next_due(), stream.list.counts.given_up), (None, 251));
    assert!(stream.take_failure(0.0).is_some() && stream.take_failure(5.0).is_none());
    stream.receive([255, 255 + MAX_JUMP + 2], 5.5);
    assert_eq!((stream.list.next_due(), stream.list.counts.given_up), (None, 252));
    assert!(stream.take_failure(5.5).is_some());
    stream.receive([2000], 5.6);
    assert!(!stream.list.is_quiet() && stream.take_failure(6.4).is_none() && stream.take_failure(6.5).is_some());
    stream.receive([3000], 6.6);
    stream.list.on_key_frame(3000);
    assert!(stream.take_failure(9.0).is_none(), "a key frame came meanwhile");
}

#[test]
fn packets_that_nobody_wants_are_not_missed() {
    let mut list = MissingPackets::default();
    list.on_packet(20, 10, false, 0.0);
    assert!(list.is_quiet());
    list.on_packet(22, 20, true, 0.0);
    list.give_up_all();
    assert_eq!((list.next_due(), list.counts.given_up), (None, 1));
}

#[test]
fn what_does_not_fit_one_packet_stays_due() {
    let mut stream = Stream::before(0);
    stream.receive([0, 20, 40], 0.0);
    let mut numbers = Vec::new();
    stream.list.take_due(Progress { received: 3, highest: 40 }, 0.5, 2, &mut numbers);
    // The second pair begins at 18 and reaches to 34.
    assert_eq!(numbers, (1..20).chain(21..35).collect::<Vec<u16>>());
    assert_eq!(stream.list.next_due(), Some(PATIENCE));
    assert_eq!(stream.due(0.5).len(), 2 * 19 - 33);
}

#[test]
fn a_sender_whose_network_carries_a_part_of_its_packets_is_not_asked_for_the_others() {
    let mut stream = Stream::before(0);
    let (mut asked, mut failures) = (0, Vec::new());
    // Of 200 packets a second every seventh comes, and none of the answers.
    for number in (0..1400).step_by(7) {
        let now = number as f64 * 0.005;
        stream.receive([number], now);
        asked += stream.due(now).len();
        failures.extend(stream.take_failure(now));
    }
    assert!(asked <= 200 + BUDGET as usize, "{asked}");
    assert_eq!(failures, [true; 7], "once a second");
    // Many packets in a row are an interruption.
    let mut stream = Stream::before(0);
    stream.receive([0, 100, 102], 1.0);
    assert!(stream.due(1.5).is_empty());
    assert_eq!(stream.take_failure(1.5), Some(false));
    // Half of them come: each lost packet is asked for, and comes.
    let mut stream = Stream::before(0);
    for number in (0..1400).step_by(2) {
        stream.receive([number], number as f64 * 0.005);
        for missing in stream.due(number as f64 * 0.005) {
            stream.list.on_repaired(i64::from(missing), number as f64 * 0.005);
        }
    }
    assert_eq!((stream.list.counts.repaired, stream.list.counts.given_up), (698, 0));
}

/// Packets that come 2 ms apart, each after its delay in ms (`None`: never), some of them twice.
#[test]
fn a_report_says_narrow_only_about_its_own_failure() {
    let failed = || {
        let mut stream = Stream::before(0);
        for number in (0..1400).step_by(7) {
            stream.receive([number], number as f64 * 0.005);
            stream.due(number as f64 * 0.005);
            if stream.list.failed {
                break;
            }
        }
        assert!(stream.list.narrow);
        stream
    };
    let mut stream = failed();
    assert_eq!(stream.take_failure(10.0), Some(true));
    stream.receive([5000], 20.0);
    assert_eq!(stream.take_failure(20.0), Some(false), "a jump");
    let mut stream = failed();
    stream.list.on_key_frame(stream.highest + 1);
    stream.receive([5000], 20.0);
    assert_eq!(stream.take_failure(20.0), Some(false), "a key frame came in between");
}

#[test]
fn what_may_wait_in_the_clients_queue_is_not_asked_for_again() {
    let mut stream = Stream::before(0);
    stream.receive([0, 9], 1.0);
    assert_eq!(stream.due(1.01), (1..9).collect::<Vec<u16>>());
    stream.receive(10..30, 1.05);
    assert_eq!(stream.due(1.12), [], "no answer overtakes another one");
    assert_eq!(stream.due(1.01 + QUEUED_WAIT), (1..9).collect::<Vec<u16>>());
    // The answer to a later request shows that those to the earlier ones are lost.
    let mut stream = Stream::before(0);
    stream.receive([0, 9], 1.0);
    stream.due(1.01);
    stream.receive((10..30).chain([38]), 1.05);
    assert_eq!(stream.due(1.06), (30..38).collect::<Vec<u16>>());
    stream.list.on_repaired(37, 1.1);
    assert_eq!(stream.due(1.12), (1..9).collect::<Vec<u16>>());
}

fn arrivals() -> impl Strategy<Value = Vec<(Option<u32>, bool)>> {
    let delay = prop_oneof![8 => Just(Some(0)), 1 => (0..40u32).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((delay, prop::bool::weighted(0.1)), 1..300)
}

proptest! {
    /// The client answers each request after 30 ms, unless the answer is lost.
    #[test]
    fn losses_are_asked_for_and_nothing_else(arrivals in arrivals(), lost_answers in prop::collection::vec(any::<bool>(), 64), first in 0..70_000i64) {
        let mut stream = Stream::before(first);
        // What arrives in each ms: a number, and whether it is an answer.
        let mut timeline: BTreeMap<u32, Vec<(i64, bool)>> = BTreeMap::new();
        for (index, &(delay, twice)) in arrivals.iter().enumerate() {
            for again in 0..=u32::from(twice) {
                let at = 2 * index as u32 + delay.unwrap_or(0) + again;
                if delay.is_some() {
                    timeline.entry(at).or_default().push((first + index as i64, false));
                }
            }
        }
        stream.receive([first], 0.0);
        let (mut came, mut asked) = (BTreeSet::from([first]), BTreeMap::<i64, Vec<f64>>::new());
        let (mut answers, mut late) = (0, 0);
        for ms in 0..3000u32 {
            let now = f64::from(ms) / 1000.0;
            for (number, answer) in timeline.remove(&ms).unwrap_or_default() {
                let new = came.insert(number);
                if answer {
                    if new { stream.list.on_repaired(number, now) }
                } else {
                    late += u64::from(new && asked.contains_key(&number));
                    stream.receive([number], now);
                }
            }
            let before: Vec<i64> = stream.list.missing.iter().map(|one| one.number).collect();
            for number in stream.due(now) {
                let number = *before.iter().find(|one| **one as u16 == number).unwrap();
                prop_assert!(!came.contains(&number) && number < stream.highest);
                asked.entry(number).or_default().push(now);
                answers += 1;
                if !lost_answers[answers % 64] {
                    timeline.entry(ms + 30).or_default().push((number, true));
                }
            }
            prop_assert!(stream.list.missing.len() <= MAX_MISSING);
        }
        prop_assert!(stream.list.is_quiet() && stream.list.missing.capacity() == 0);
        for tries in asked.values() {
            prop_assert!(tries.len() <= usize::from(MAX_TRIES));
            prop_assert!(tries.windows(2).all(|pair| pair[1] - pair[0] > SHORTEST_WAIT));
        }
        // Everything that never came by itself was asked for, as long as packets came behind it.
        for (number, _) in (first..stream.highest).zip(&arrivals).filter(|(_, (delay, _))| delay.is_none()) {
            prop_assert!(number == first || asked.contains_key(&number));
        }
        let list = &stream.list;
        prop_assert_eq!(list.counts.requested, asked.len() as u64);
        prop_assert_eq!(list.counts.requested, list.counts.repaired + list.counts.given_up + late);
    }
}
