//! The encoding of a packet, and the rollover counter of its SSRC, across producers and SSRC changes.

use super::*;
use crate::core::{Event, MAX_QUIET_SOURCES, MAX_SOURCES, Refused};

const MID: u8 = 1;

/// A sender of video with the MID `0`, and a receiver.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    produce(&mut core, 10, "0", VIDEO);
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    (core, sender, receiver)
}

fn produce(core: &mut Core, producer: Id, mid: &str, ssrc: u32) {
    let encodings = vec![EncodingSpec { ssrc: Some(ssrc), ..EncodingSpec::default() }];
    core.add_producer(1, producer, ProducerSpec { mid: Some(mid.into()), mid_id: Some(MID), encodings, ..video() })
        .unwrap();
}

fn with_mid(ssrc: u32, number: u16, mid: u8) -> Vec<u8> {
    let mut packet = vec![0x90, 96 | 0x80];
    packet.extend(number.to_be_bytes());
    packet.extend(u32::from(number).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xBE, 0xDE, 0, 1, MID << 4, mid, 0, 0]);
    packet.extend(VP8_KEY);
    packet
}

fn arrive(core: &mut Core, sender: &mut Client, packet: Vec<u8>, now: f64) {
    let mut sealed = sender.seal_whole(packet);
    core.receive(&mut sealed, path(1), now);
}

fn arrived(core: &mut Core) -> usize {
    leaving(core, f64::MAX).len()
}

#[test]
fn the_mid_moves_a_stream_to_another_ssrc_than_the_announced_one() {
    let (mut core, mut sender, _) = call();
    arrive(&mut core, &mut sender, with_mid(VIDEO, 0, b'0'), 1.0);
    for number in 0..10 {
        arrive(&mut core, &mut sender, with_mid(0x9999, number, b'0'), 1.0);
    }
    assert_eq!(arrived(&mut core), 11);
    let learned = core.take_events(99);
    assert!(
        learned.iter().any(|event| matches!(event, Event::EncodingLearned { producer: 10, encoding: 0, ssrc: 0x9999 }))
    );
    // A late packet with the SSRC before does not move the stream back.
    arrive(&mut core, &mut sender, with_mid(VIDEO, 1, b'0'), 1.5);
    assert_eq!((dropped(&core), arrived(&mut core)), (vec![(DropReason::UnknownStream, 1)], 0));
    arrive(&mut core, &mut sender, with_mid(0x9999, 10, b'0'), 1.5);
    assert_eq!(arrived(&mut core), 1);
}

#[test]
fn an_unknown_ssrc_without_a_known_mid_moves_nothing() {
    let (mut core, mut sender, _) = call();
    sender.send(&mut core, 0x9999, 96, 0, VP8_KEY);
    arrive(&mut core, &mut sender, with_mid(0x9998, 0, b'7'), 1.0);
    assert_eq!((dropped(&core), arrived(&mut core)), (vec![(DropReason::UnknownStream, 2)], 0));
    // An announced SSRC counts, whatever the MID.
    arrive(&mut core, &mut sender, with_mid(VIDEO, 0, b'7'), 1.0);
    assert_eq!(arrived(&mut core), 1);
}

#[test]
fn a_forged_packet_moves_nothing() {
    let (mut core, _, _) = call();
    core.receive(&mut [with_mid(0x9999, 0, b'0'), vec![0; 16]].concat(), path(1), 1.0);
    assert_eq!(dropped(&core), [(DropReason::Unauthentic, 1)]);
    assert!(!core.has_events());
}

#[test]
fn an_ssrc_of_another_producer_moves_to_the_producer_of_its_mid() {
    let (mut core, mut sender, _) = call();
    produce(&mut core, 11, "1", 3333);
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    arrive(&mut core, &mut sender, with_mid(VIDEO, 0, b'1'), 1.0);
    assert_eq!(leaving(&mut core, 9.0).len(), 1);
    assert_eq!((core.consumer_stats(20).unwrap().packets, core.consumer_stats(21).unwrap().packets), (0, 1));
    arrive(&mut core, &mut sender, with_mid(4444, 0, b'0'), 1.0);
    arrived(&mut core);
    assert_eq!((core.consumer_stats(20).unwrap().packets, core.consumer_stats(21).unwrap().packets), (1, 1));
}

#[test]
fn endless_ssrc_changes_are_followed_up_to_a_limit() {
    let (mut core, mut sender, _) = call();
    for number in 0..150 {
        arrive(&mut core, &mut sender, with_mid(5000 + number, 0, b'0'), 1.0);
    }
    assert_eq!(dropped(&core), [(DropReason::UnknownStream, 50)]);
}

#[test]
fn two_producers_of_a_transport_cannot_share_a_mid() {
    let (mut core, _, _) = call();
    let same = ProducerSpec { mid: Some("0".into()), ..audio() };
    assert_eq!(core.add_producer(1, 11, same), Err(Refused::Invalid("another producer has this MID")));
    core.remove_producer(10);
    produce(&mut core, 11, "0", VIDEO);
}

#[test]
fn a_stream_is_followed_over_its_rollover_before_any_producer_takes_it() {
    for profile in PROFILES {
        let mut core = Core::new(0.0);
        let mut sender = Client::connect(&mut core, 1, profile);
        Client::connect(&mut core, 2, profile);
        for number in 0..20u16 {
            sender.send(&mut core, VIDEO, 96, 65_530u16.wrapping_add(number), VP8_KEY);
        }
        assert_eq!(dropped(&core), [(DropReason::UnknownStream, 20)]);
        core.add_producer(1, 10, video()).unwrap();
        core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
        (14..74).for_each(|number| sender.send(&mut core, VIDEO, 96, number, VP8_KEY));
        assert_eq!(arrived(&mut core), 60, "{profile:?}");
    }
}

#[test]
fn a_stream_whose_packets_before_the_rollover_were_lost_is_opened_behind_it() {
    for profile in PROFILES {
        let mut core = Core::new(0.0);
        let mut sender = Client::connect(&mut core, 1, profile);
        Client::connect(&mut core, 2, profile);
        core.add_producer(1, 10, video()).unwrap();
        core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
        for number in 0..10u16 {
            sender.seal(VIDEO, 96, 65_530u16.wrapping_add(number), VP8_KEY);
        }
        (4..64).for_each(|number| sender.send(&mut core, VIDEO, 96, number, VP8_KEY));
        assert_eq!((arrived(&mut core), dropped(&core)), (60, vec![]), "{profile:?}");
        // Once a packet has authenticated, only one index is tried.
        let mut forged = sender.seal(VIDEO, 96, 64, VP8_KEY);
        *forged.last_mut().unwrap() ^= 1;
        core.receive(&mut forged, path(1), 1.0);
        assert_eq!(dropped(&core), [(DropReason::Unauthentic, 1)]);
    }
}

#[test]
fn a_producer_that_is_made_again_continues_with_the_rollover_counter_of_its_stream() {
    let (mut core, mut sender, _) = call();
    let mut old = sender.seal(VIDEO, 96, 100, VP8_KEY);
    core.receive(&mut old.clone(), path(1), 1.0);
    core.remove_producer(10);
    for number in 101..66_101u32 {
        sender.send(&mut core, VIDEO, 96, number as u16, VP8_KEY);
    }
    arrived(&mut core);
    produce(&mut core, 11, "0", VIDEO);
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    (66_101..66_151u32).for_each(|number| sender.send(&mut core, VIDEO, 96, number as u16, VP8_KEY));
    assert_eq!(arrived(&mut core), 50);
    core.receive(&mut old, path(1), 1.0);
    assert_eq!(arrived(&mut core), 0);
}

#[test]
fn a_replay_is_refused_after_its_producer_was_made_again() {
    let (mut core, mut sender, _) = call();
    let old = sender.seal(VIDEO, 96, 5, VP8_KEY);
    core.receive(&mut old.clone(), path(1), 1.0);
    core.remove_producer(10);
    produce(&mut core, 11, "0", VIDEO);
    core.receive(&mut old.clone(), path(1), 1.0);
    assert_eq!(dropped(&core), [(DropReason::Replayed, 1)]);
}

/// Let the sender send one packet with each of so many new SSRCs.
fn send_with_new_ssrcs(core: &mut Core, sender: &mut Client, count: usize) {
    (0..count as u32).for_each(|number| sender.send(core, 10_000 + number, 96, 0, VP8_KEY));
}

#[test]
fn an_old_packet_is_refused_however_many_ssrcs_came_after_it() {
    for others in [MAX_SOURCES - 2, MAX_SOURCES, MAX_SOURCES + MAX_QUIET_SOURCES + 9] {
        let (mut core, mut sender, _) = call();
        let old: Vec<_> = (5..8).map(|number| sender.seal(VIDEO, 96, number, VP8_KEY)).collect();
        let mut report = [b"\x80\xc9\x00\x01".as_slice(), &VIDEO.to_be_bytes()].concat();
        sender.srtp.seal_rtcp(&mut report).unwrap();
        for packet in old.iter().chain([&report]) {
            core.receive(&mut packet.clone(), path(1), 1.0);
        }
        core.remove_producer(10);
        send_with_new_ssrcs(&mut core, &mut sender, others);
        produce(&mut core, 11, "0", VIDEO);
        core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
        arrived(&mut core);
        for packet in old.iter().chain([&report]) {
            core.receive(&mut packet.clone(), path(1), 1.0);
        }
        let replayed =
            dropped(&core).iter().find(|(reason, _)| *reason == DropReason::Replayed).map(|(_, count)| *count);
        assert_eq!((replayed, arrived(&mut core)), (Some(4), 0), "{others}");
        // The stream goes on, although its window was dropped.
        (8..28).for_each(|number| sender.send(&mut core, VIDEO, 96, number, VP8_KEY));
        assert_eq!(arrived(&mut core), 20, "{others}");
    }
}

#[test]
fn a_stream_goes_on_behind_its_rollover_after_many_other_ssrcs() {
    let (mut core, mut sender, _) = call();
    (0..66_000u32).for_each(|number| sender.send(&mut core, VIDEO, 96, number as u16, VP8_KEY));
    core.remove_producer(10);
    send_with_new_ssrcs(&mut core, &mut sender, MAX_SOURCES + 9);
    produce(&mut core, 11, "0", VIDEO);
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    arrived(&mut core);
    (66_000..66_049u32).for_each(|number| sender.send(&mut core, VIDEO, 96, number as u16, VP8_KEY));
    assert_eq!(arrived(&mut core), 49);
}

#[test]
fn beyond_the_limits_new_ssrcs_are_refused_and_known_ones_go_on() {
    let (mut core, mut sender, _) = call();
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    let remembered = MAX_SOURCES + MAX_QUIET_SOURCES;
    send_with_new_ssrcs(&mut core, &mut sender, remembered - 1);
    assert_eq!(dropped(&core), [(DropReason::UnknownStream, remembered as u64 - 1)]);
    sender.send(&mut core, 3333, 96, 0, VP8_KEY);
    let mut report = [b"\x80\xc9\x00\x01".as_slice(), &3334u32.to_be_bytes()].concat();
    sender.srtp.seal_rtcp(&mut report).unwrap();
    core.receive(&mut report, path(1), 1.0);
    assert_eq!(dropped(&core)[0], (DropReason::TooManySources, 2));
    for number in 1..9 {
        sender.send(&mut core, VIDEO, 96, number, VP8_KEY);
        sender.send(&mut core, 10_000 + u32::from(number), 96, 1, VP8_KEY);
    }
    assert_eq!(arrived(&mut core), 9);
    assert_eq!(dropped(&core), [(DropReason::TooManySources, 2), (DropReason::UnknownStream, remembered as u64 + 7)]);
}

#[test]
fn forged_packets_use_up_no_memory_for_ssrcs() {
    let (mut core, mut sender, _) = call();
    for number in 0..2 * (MAX_SOURCES + MAX_QUIET_SOURCES) as u32 {
        let mut forged = sender.seal(20_000 + number, 96, 0, VP8_KEY);
        *forged.last_mut().unwrap() ^= 1;
        core.receive(&mut forged, path(1), 1.0);
    }
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    assert_eq!(arrived(&mut core), 1);
}

#[test]
fn an_ssrc_that_alternates_between_two_mids_is_followed_up_to_a_limit() {
    let (mut core, mut sender, _) = call();
    produce(&mut core, 11, "1", 3333);
    let mut moves = 0;
    for number in 0..2000u16 {
        let mid = if number % 2 == 0 { b'0' } else { b'1' };
        arrive(&mut core, &mut sender, with_mid(VIDEO, number, mid), 1.0 + f64::from(number) / 100.0);
        moves += core.take_events(99).iter().filter(|event| matches!(event, Event::EncodingLearned { .. })).count();
    }
    assert!((20..=42).contains(&moves), "{moves} moves in 20 s");
}
