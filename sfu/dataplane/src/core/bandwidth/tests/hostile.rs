//! Feedback that is wrong, absurd or forged.

use super::super::{BandwidthEstimator, Crossing, PacketKind, Why};
use crate::core::tests::fuzz::Dice;
use crate::core::wire::rtcp::{RtcpPacket, TransportFeedback, read_untrusted};

const STEP: f64 = 0.02; // seconds between two packets
const PACKET: usize = 1000;

fn tell(estimator: &mut BandwidthEstimator, packet: &[u8], now: f64) {
    for read in read_untrusted(packet).flatten() {
        if let RtcpPacket::TransportFeedback(feedback) = read {
            estimator.on_feedback(&feedback, now);
        }
    }
}

fn feedback(base: u16, arrivals: &[Option<i64>]) -> Vec<u8> {
    let mut packet = Vec::new();
    TransportFeedback::write((1, 2), 0, base, arrivals, &mut packet);
    packet
}

/// A steady stream whose packets arrive after 20 ms, with something else in each feedback interval.
fn steady(mut disturb: impl FnMut(&mut BandwidthEstimator, u16, f64)) -> (f64, f64, f64, Vec<Crossing>) {
    let mut estimator = BandwidthEstimator::new(0.0);
    let mut crossings = Vec::new();
    for interval in 0..300u32 {
        let began = f64::from(interval) * 5.0 * STEP;
        let times: Vec<f64> = (0..5).map(|packet| began + f64::from(packet) * STEP).collect();
        let numbers: Vec<u16> = times.iter().map(|at| estimator.record(PACKET, PacketKind::Media, *at)).collect();
        let now = began + 5.0 * STEP + 0.04;
        disturb(&mut estimator, numbers[4], now);
        let ticks: Vec<_> = times.iter().map(|at| Some(((at + 0.02) / 250e-6) as i64)).collect();
        tell(&mut estimator, &feedback(numbers[0], &ticks), now);
        crossings.extend(estimator.take_crossing(now));
    }
    (estimator.estimate(), estimator.acked().unwrap(), estimator.loss(), crossings)
}

#[test]
fn feedback_about_packets_that_were_never_sent_changes_nothing() {
    let honest = steady(|_, _, _| {});
    let forged = steady(|estimator, newest, now| {
        for (distance, ticks) in [(1, 0), (100, 1 << 30), (5000, -5), (30_000, 1 << 24)] {
            let arrivals = vec![Some(ticks); 200];
            tell(estimator, &feedback(newest.wrapping_add(distance), &arrivals), now);
        }
    });
    assert_eq!(honest, forged);
}

#[test]
fn feedback_with_too_many_statuses_is_refused() {
    let honest = steady(|_, _, _| {});
    let huge = steady(|estimator, newest, now| {
        let mut arrivals = vec![None; 5000];
        arrivals[4999] = Some(7);
        tell(estimator, &feedback(newest.wrapping_sub(4998), &arrivals), now);
    });
    assert_eq!(honest, huge);
}

#[test]
fn the_same_feedback_again_changes_nothing() {
    let honest = steady(|_, _, _| {});
    let mut before: Option<Vec<u8>> = None;
    let repeated = steady(|estimator, newest, now| {
        if let Some(packet) = &before {
            tell(estimator, packet, now);
        }
        let sent = now - 0.04 - 5.0 * STEP;
        let ticks: Vec<_> =
            (0..5).map(|packet| Some(((sent + f64::from(packet) * STEP + 0.02) / 250e-6) as i64)).collect();
        before = Some(feedback(newest.wrapping_sub(4), &ticks));
    });
    assert_eq!(honest, repeated);
}

/// A random call of any method.
fn act(estimator: &mut BandwidthEstimator, dice: &mut Dice, newest: &mut u16, now: f64) {
    let rate = |dice: &mut Dice| 10f64.powf(10.0 * dice.share());
    match dice.below(10) {
        0..4 => *newest = estimator.record(dice.below(1 << 16), PacketKind::Media, now),
        4 => {
            let arrivals: Vec<Option<i64>> = (0..1 + dice.below(300))
                .map(|_| dice.chance(0.7).then(|| (dice.below(1 << 14) as i64 - (1 << 13)) << dice.below(3)))
                .collect();
            let base = newest.wrapping_sub(dice.below(400) as u16);
            tell(estimator, &feedback(base, &arrivals), now);
        }
        5 => {
            // A header, and anything in it.
            let words = 4 + dice.below(60);
            let mut packet = vec![0x8F, 205, 0, words as u8];
            packet.extend((0..4 * words).map(|_| dice.below(256) as u8));
            packet[12..14].copy_from_slice(&newest.wrapping_sub(20).to_be_bytes());
            tell(estimator, &packet, now);
        }
        6 => {
            let next = dice.chance(0.7).then(|| rate(dice));
            estimator.aim(if dice.chance(0.2) { 0.0 } else { rate(dice) }, next, rate(dice), now);
        }
        7 => estimator.mark_unsent(newest.wrapping_sub(dice.below(50) as u16), dice.below(60)),
        8 if dice.chance(0.1) => estimator.change_path(now),
        _ => {
            estimator.on_timer(now);
            for _ in 0..3 {
                if let Some(bytes) = estimator.probe(now) {
                    *newest = estimator.record(bytes, PacketKind::Probe, now);
                }
            }
        }
    }
}

#[test]
fn whatever_happens_the_figures_stay_figures() {
    for seed in 0..30 {
        let mut dice = Dice::new(seed);
        let mut now = 1000.0 * dice.share();
        let mut estimator = BandwidthEstimator::new(now);
        let mut newest = 0;
        let mut taken_at = f64::NEG_INFINITY;
        for _ in 0..2000 {
            now += if dice.chance(0.01) { 100.0 * dice.share() } else { 0.03 * dice.share() };
            act(&mut estimator, &mut dice, &mut newest, now);
            let (estimate, loss) = (estimator.estimate(), estimator.loss());
            assert!((50_000.0..=1e12).contains(&estimate), "seed {seed}: {estimate}");
            assert!((0.0..=1.0).contains(&loss), "seed {seed}: {loss}");
            assert!((0.0..=5.0).contains(&estimator.round_trip()));
            assert!(estimator.acked().is_none_or(|acked| acked.is_finite() && acked >= 0.0));
            assert!(!estimator.next_due().is_nan());
            if estimator.take_crossing(now).is_some() {
                assert!(now - taken_at >= 0.5);
                taken_at = now;
            }
        }
    }
}

#[test]
fn a_transport_that_wants_nothing_has_no_timer() {
    let mut estimator = BandwidthEstimator::new(0.0);
    estimator.record(100, PacketKind::Media, 0.0);
    assert_eq!(estimator.next_due(), f64::INFINITY);
    estimator.aim(0.0, Some(1e6), 1e6, 1.0);
    assert!(estimator.next_due() < 2.0);
    estimator.aim(0.0, None, 0.0, 1.5);
    assert_eq!((estimator.next_due(), estimator.probe(9.0)), (f64::INFINITY, None));
}

/// A stream of packets 20 ms apart from one time to another, and feedback each 0.1 s.  `arrives` says which of them do.
fn play(estimator: &mut BandwidthEstimator, from: f64, to: f64, size: usize, arrives: impl Fn(u16) -> bool) {
    let mut began = from;
    while began < to - 1e-6 {
        let times: Vec<f64> = (0..5).map(|packet| began + f64::from(packet) * STEP).collect();
        let numbers: Vec<u16> = times.iter().map(|at| estimator.record(size, PacketKind::Media, *at)).collect();
        let ticks: Vec<_> = numbers
            .iter()
            .zip(&times)
            .map(|(number, at)| arrives(*number).then_some(((at + 0.02) / 250e-6) as i64))
            .collect();
        began += 5.0 * STEP;
        tell(estimator, &feedback(numbers[0], &ticks), began + 0.04);
    }
}

#[test]
fn packets_on_another_path_say_nothing_about_this_one() {
    let mut estimator = BandwidthEstimator::new(0.0);
    play(&mut estimator, 0.0, 5.0, PACKET, |_| true);
    let first = estimator.record(PACKET, PacketKind::Media, 5.0);
    estimator.change_path(5.01);
    // A packet that left on the old path arrives, and the new path is longer.
    tell(&mut estimator, &feedback(first, &[Some((5.02 / 250e-6) as i64)]), 5.1);
    for step in 0..10u32 {
        let now = 5.1 + f64::from(step) * 0.1;
        let number = estimator.record(PACKET, PacketKind::Media, now);
        tell(&mut estimator, &feedback(number, &[Some(((now + 0.08) / 250e-6) as i64)]), now + 0.16);
        assert!(!estimator.is_queued());
    }
}

#[test]
fn feedback_that_was_lost_is_noticed_after_a_long_time_without_any() {
    let mut estimator = BandwidthEstimator::new(0.0);
    play(&mut estimator, 0.0, 1.0, PACKET, |_| true);
    (0..40_000u32).for_each(|step| _ = estimator.record(PACKET, PacketKind::Media, 1.0 + f64::from(step) * 1e-3));
    play(&mut estimator, 42.0, 43.0, PACKET, |_| true);
    let acked = estimator.acked().unwrap();
    (0..10).for_each(|step| _ = estimator.record(PACKET, PacketKind::Media, 43.0 + f64::from(step) * STEP));
    play(&mut estimator, 43.2, 43.5, PACKET, |_| true);
    let after = estimator.acked().unwrap();
    assert!((after / acked - 1.0).abs() < 0.1, "{acked} {after}");
}

#[test]
fn a_hold_that_fails_does_not_take_away_what_is_in_use() {
    let mut estimator = BandwidthEstimator::new(0.0);
    play(&mut estimator, 0.0, 3.0, 1250, |_| true); // 500 kbit/s
    estimator.aim(0.5e6, Some(0.6e6), 0.6e6, 3.0);
    let mut crossings = Vec::new();
    let mut lost = 0;
    for interval in 0..100u32 {
        // The picture stands, so the media take less than usual.
        let began = 3.0 + f64::from(interval) * 0.1;
        let mut sent = Vec::new();
        for step in 0..20 {
            let now = began + f64::from(step) * 0.005;
            if step % 4 == 0 {
                sent.push((estimator.record(500, PacketKind::Media, now), now, true));
            }
            estimator.on_timer(now);
            if let Some(bytes) = estimator.probe(now) {
                sent.push((estimator.record(bytes, PacketKind::Probe, now), now, interval % 2 == 0));
            }
        }
        let ticks: Vec<_> =
            sent.iter().map(|(_, at, arrives)| arrives.then_some(((at + 0.02) / 250e-6) as i64)).collect();
        lost += ticks.iter().filter(|arrival| arrival.is_none()).count();
        tell(&mut estimator, &feedback(sent[0].0, &ticks), began + 0.12);
        crossings.extend(estimator.take_crossing(began + 0.12));
    }
    assert!(lost > 0);
    assert!(crossings.iter().all(|crossing| crossing.why != Why::BelowUsed), "{crossings:?}");
}
