//! The log of arrivals against what really arrived, and its bounds.

use std::collections::HashMap;

use super::*;
use crate::core::wire::rtcp::{RtcpPacket, read_untrusted};
use proptest::prelude::*;

const SSRCS: (u32, u32) = (99, 7);

/// A packet of feedback: its number, and the arrival times by sequence number in ticks.
type Feedback = (u8, Vec<(u16, Option<i64>)>);

/// The feedback of one round.  Checks its bounds.
fn round(log: &mut ArrivalLog, now: f64) -> Vec<Feedback> {
    let packets = log.take_feedback(SSRCS, now);
    assert!(packets.len() <= MOST_PACKETS);
    let read = |packet: Vec<u8>| {
        assert!(packet.len() <= 1100, "{}", packet.len());
        let Some(Ok(RtcpPacket::TransportFeedback(feedback))) = read_untrusted(&packet).next() else { panic!() };
        assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), SSRCS);
        (feedback.number, feedback.arrivals().collect())
    };
    packets.into_iter().map(read).collect()
}

/// A log in which these numbers arrived, one each 10 ms from second 10 on.
fn log_of(numbers: &[u16]) -> ArrivalLog {
    let mut log = ArrivalLog::new(numbers[0], 10.0);
    for (number, step) in numbers.iter().zip(0..) {
        log.record(*number, 1, 10.0 + 0.01 * f64::from(step));
    }
    log
}

fn ticks(seconds: f64) -> Option<i64> {
    Some((seconds * TICKS) as i64)
}

#[test]
fn feedback_has_the_time_of_each_arrival_and_the_gaps_between_them() {
    let mut log = log_of(&[65_534, 65_535, 2]);
    let expected = vec![(65_534, ticks(10.0)), (65_535, ticks(10.01)), (0, None), (1, None), (2, ticks(10.02))];
    assert_eq!(round(&mut log, 10.1), [(0, expected)]);
    assert_eq!(round(&mut log, 10.2), []);
    log.record(4, 1, 10.25);
    assert_eq!(round(&mut log, 10.3), [(1, vec![(3, None), (4, ticks(10.25))])]);
}

#[test]
fn feedback_is_due_after_100_ms_and_after_50_ms_while_many_arrivals_wait() {
    let mut log = ArrivalLog::new(0, 10.0);
    assert_eq!(log.next_due(), None);
    assert_eq!(log.record(0, 1, 10.0), Some(10.1));
    for number in 1..MANY as u16 - 1 {
        assert_eq!(log.record(number, 1, 10.01), None);
    }
    assert_eq!(log.next_due(), Some(10.1));
    assert_eq!(log.record(MANY as u16 - 1, 1, 10.01), Some(10.05));
    assert_eq!(log.record(MANY as u16, 1, 10.01), None);
    round(&mut log, 10.05);
    assert_eq!(log.next_due(), None);
    assert_eq!(log.record(100, 1, 10.06), Some(10.05 + INTERVAL));
    round(&mut log, 10.15);
    assert_eq!(log.record(101, 1, 20.0), Some(20.05), "the rest of the frame comes with it");
}

#[test]
fn only_the_first_arrival_of_a_number_counts() {
    let mut log = log_of(&[5, 6]);
    assert_eq!(log.record(6, 1, 10.02), None);
    assert_eq!(round(&mut log, 10.1)[0].1, [(5, ticks(10.0)), (6, ticks(10.01))]);
    assert_eq!((log.record(5, 1, 10.11), log.next_due()), (None, None));
    assert_eq!(round(&mut log, 10.2), []);
}

#[test]
fn a_late_arrival_is_reported_with_all_behind_it() {
    let mut log = log_of(&[5, 7, 8]);
    assert_eq!(round(&mut log, 10.1)[0].1.len(), 4);
    log.record(6, 1, 10.45);
    assert_eq!(round(&mut log, 10.5)[0].1, [(6, ticks(10.45)), (7, ticks(10.01)), (8, ticks(10.02))]);
    // Packets from before the first one may come late, too.
    let mut log = log_of(&[5, 4]);
    assert_eq!(round(&mut log, 10.1)[0].1, [(4, ticks(10.01)), (5, ticks(10.0))]);
}

#[test]
fn an_arrival_is_too_late_half_a_second_after_those_behind_it() {
    let mut log = log_of(&[5, 7, 8]);
    round(&mut log, 10.1);
    round(&mut log, 10.6);
    assert_eq!((log.record(6, 1, 10.6), log.next_due()), (None, None));
    log.record(9, 1, 10.7);
    assert_eq!(round(&mut log, 10.8)[0].1, [(9, ticks(10.7))]);
}

#[test]
fn a_sender_that_counts_anew_gets_feedback_again() {
    let mut log = log_of(&[40_000]);
    round(&mut log, 10.1);
    round(&mut log, 10.7);
    for number in 35_000..35_000 + STRAYS as u16 + 2 {
        log.record(number, 1, 10.8);
    }
    let reported = round(&mut log, 10.9).into_iter().flat_map(|(_, numbers)| numbers);
    let arrived: Vec<u16> = reported.filter(|(_, at)| at.is_some()).map(|(number, _)| number).collect();
    assert_eq!(arrived, [35_019, 35_020, 35_021]);
}

#[test]
fn strays_between_newer_numbers_change_nothing() {
    let mut log = log_of(&[40_000]);
    round(&mut log, 10.1);
    for step in 0..100 {
        log.record(40_001 + step, 1, 10.2);
        log.record(30_000 + step, 1, 10.2);
    }
    let [(_, reported)] = &round(&mut log, 10.3)[..] else { panic!() };
    assert_eq!((reported.len(), reported[0].0), (100, 40_001));
}

#[test]
fn after_a_long_gap_a_few_missing_numbers_are_reported() {
    let mut log = log_of(&[0]);
    round(&mut log, 10.1);
    log.record(3000, 1, 10.2);
    log.record(3001, 1, 10.2);
    let feedback = round(&mut log, 10.3);
    assert_eq!(feedback.len(), 2);
    assert_eq!((feedback[0].1.len(), feedback[0].1[469]), (470, (3000, ticks(10.2))));
    assert_eq!(feedback[1].1, [(3001, ticks(10.2))]);
}

#[test]
fn a_pause_that_no_delta_can_hold_divides_the_feedback() {
    let mut log = ArrivalLog::new(0, 10.0);
    for (number, at) in [(0, 10.0), (1, 10.1), (2, 19.0)] {
        log.record(number, 1, at);
    }
    let feedback = round(&mut log, 19.0);
    assert_eq!(feedback.iter().map(|(count, numbers)| (*count, numbers.len())).collect::<Vec<_>>(), [(0, 2), (1, 1)]);
    assert_eq!(feedback[1].1, [(2, ticks(19.0))]);
}

#[test]
fn a_flood_gets_bounded_feedback_and_bounded_memory() {
    let mut log = ArrivalLog::new(0, 10.0);
    let (mut packets, mut bytes, mut due) = (0, 0, f64::INFINITY);
    for step in 0..100_000u32 {
        let now = 10.0 + f64::from(step) / 100_000.0;
        // Every other packet is late, which makes the largest deltas.
        let number = if step % 2 == 0 { step } else { step.saturating_sub(200) };
        due = log.record(number as u16, 1, now).map_or(due, |at| due.min(at));
        if now >= due {
            let feedback = log.take_feedback(SSRCS, now);
            packets += feedback.len();
            bytes += feedback.iter().map(Vec::len).sum::<usize>();
            assert!(feedback.iter().all(|packet| packet.len() <= 1100));
            due = log.next_due().unwrap_or(f64::INFINITY);
        }
    }
    assert!((20..=80).contains(&packets) && bytes <= 88_000, "{packets} packets, {bytes} bytes");
    assert_eq!(log.ring.len(), MOST_ROOM);
}

#[test]
fn a_steady_stream_needs_little_memory() {
    for (rate, room) in [(50, 64), (300, 256)] {
        let mut log = ArrivalLog::new(0, 10.0);
        for step in 0..10_000u32 {
            let now = 10.0 + f64::from(step) / f64::from(rate);
            log.record(step as u16, 1, now);
            if log.next_due().is_some_and(|due| due <= now) {
                round(&mut log, now);
            }
        }
        assert_eq!(log.ring.len(), room);
    }
}

proptest! {
    /// Whatever numbers come: feedback is bounded, and tells the time of the first arrival or of none.
    #[test]
    fn no_arrival_is_made_up(
        first in any::<u16>(),
        steps in prop::collection::vec((-40_000i32..40_000, 0..4u32, 0..60u32), 1..400),
    ) {
        let mut log = ArrivalLog::new(first, 10.0);
        let (mut number, mut now) = (first, 10.0);
        let mut arrived: HashMap<u16, Vec<Option<i64>>> = HashMap::new();
        for (jump, near, pause) in steps {
            number = number.wrapping_add(if near > 0 { (jump % 4) as u16 } else { jump as u16 });
            now += f64::from(pause) / 1000.0;
            log.record(number, 1, now);
            arrived.entry(number).or_default().push(ticks(now));
            if log.next_due().is_some_and(|due| due <= now) {
                for (number, at) in round(&mut log, now).into_iter().flat_map(|(_, numbers)| numbers) {
                    prop_assert!(at.is_none() || arrived[&number].contains(&at));
                }
            }
        }
        prop_assert!(log.ring.len() <= MOST_ROOM && log.next >= log.lowest);
    }

    /// On a network that loses and reorders, the last word about each number is the truth.
    #[test]
    fn every_arrival_is_reported_with_its_time(
        first in any::<u16>(),
        delays in prop::collection::vec(prop::option::weighted(0.8, 0..300u32), 1..300),
        gap in 1..30u32,
    ) {
        let mut arrivals: Vec<(f64, u16)> = delays.iter().zip(0u32..).filter_map(|(delay, step)| {
            // The first packets are overtaken by a few others at most.
            let delay = (*delay)? % (30 * gap);
            Some((10.0 + f64::from(step * gap + delay) / 1000.0, first.wrapping_add(step as u16)))
        }).collect();
        arrivals.sort_by(|one, other| one.0.total_cmp(&other.0));
        prop_assume!(!arrivals.is_empty());
        let mut log = ArrivalLog::new(arrivals[0].1, 10.0);
        let (mut told, mut due) = (HashMap::new(), f64::INFINITY);
        for &(at, number) in arrivals.iter().chain(&[(99.0, first.wrapping_add(300))]) {
            while due <= at {
                let now = due;
                told.extend(round(&mut log, now).into_iter().flat_map(|(_, numbers)| numbers));
                due = log.next_due().unwrap_or(f64::INFINITY);
            }
            due = log.record(number, 1, at).map_or(due, |changed| due.min(changed));
        }
        for &(at, number) in &arrivals {
            prop_assert_eq!(told.get(&number).copied().flatten(), ticks(at), "{}", number);
        }
    }
}
