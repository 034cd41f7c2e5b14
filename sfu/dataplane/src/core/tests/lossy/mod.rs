//! Calls over networks that lose, reorder and repeat datagrams, under virtual time.

mod call;
mod link;
mod publisher;
mod receiver;

use call::{CONSUMER, Call, Hops, PRODUCER, Plan, share_within};
use link::Faults;

const HOP: f64 = 0.05; // seconds one way: a hop has a round trip of 100 ms
const CLEAN: Faults = Faults { delay: HOP, ..Faults::NONE };
const LOSSY: Faults = Faults { loss: 0.05, ..CLEAN };

fn plan(up: Faults, down: Faults, seed: u64) -> Plan {
    Plan { hops: Hops { up, down }, video: true, seconds: 60.0, first_sequence: 65_000, seed }
}

/// The lateness of packets in calls with several seeds, without their first two seconds.
fn lateness(up: Faults, down: Faults, video: bool) -> Vec<f64> {
    let calls = (1..=3).map(|seed| {
        let mut call = Call::new(Plan { video, ..plan(up, down, seed) }, 1);
        call.run();
        // Where bursts lose a packet again and again, it is given up, and a key frame follows.
        if video && up.burst.max(down.burst) == 1.0 {
            call.receiver.assert_decodes();
        }
        call.lateness(0.5, 59.0)
    });
    calls.flatten().collect()
}

#[test]
fn nothing_is_asked_for_on_a_clean_network() {
    let mut call = Call::new(plan(CLEAN, CLEAN, 1), 1);
    call.run();
    let [encoding] = &call.producer_stats().encodings[..] else { panic!() };
    assert_eq!((encoding.requested, encoding.repaired, encoding.given_up, encoding.lost), (0, 0, 0, 0));
    let stats = call.consumer_stats();
    assert_eq!((stats.requested, stats.resent, stats.not_resent), (0, 0, 0));
    assert_eq!(share_within(&call.lateness(0.3, 60.0), 0.003), 1.0);
    call.receiver.assert_decodes();
}

#[test]
fn losses_of_a_publisher_are_repaired_within_250_ms() {
    assert!(share_within(&lateness(LOSSY, CLEAN, true), 0.25) >= 0.999);
}

#[test]
fn hardly_any_packet_is_sent_again_in_vain() {
    for video in [true, false] {
        let mut call = Call::new(Plan { video, ..plan(LOSSY, CLEAN, 2) }, 1);
        call.run();
        // One in twenty is lost, and some requests and answers are lost too.
        let again = call.publisher.resent as f64 / call.publisher.sent_at.len() as f64;
        assert!(again < 0.058, "{again}");
    }
}

#[test]
fn losses_to_a_receiver_are_repaired_within_250_ms() {
    assert!(share_within(&lateness(CLEAN, LOSSY, true), 0.25) >= 0.999);
}

#[test]
fn losses_on_both_hops_are_repaired_within_400_ms() {
    assert!(share_within(&lateness(LOSSY, LOSSY, true), 0.4) >= 0.999);
}

#[test]
fn losses_of_a_microphone_are_repaired_within_300_ms() {
    assert!(share_within(&lateness(LOSSY, CLEAN, false), 0.3) >= 0.999);
}

#[test]
fn most_losses_of_audio_are_hidden_from_a_receiver_without_redundant_audio() {
    let calls = [1, 2, 3].map(|seed| {
        let mut call = Call::new(Plan { video: false, ..plan(CLEAN, LOSSY, seed) }, 1);
        call.run();
        let stats = call.consumer_stats();
        assert!(stats.resent * 10 > stats.packets * 8, "{stats:?}");
        assert!(call.receiver.duplicates > 0);
        // The second copy comes with the next packet, 20 ms later.
        call.lateness(5.0, 59.0)
    });
    assert!(share_within(&calls.concat(), 0.021) >= 0.995);
}

#[test]
fn bursts_of_losses_are_repaired() {
    let bursts = Faults { burst: 8.0, ..LOSSY };
    assert!(share_within(&lateness(bursts, bursts, true), 1.0) >= 0.999);
}

#[test]
fn reordered_and_repeated_packets_are_no_losses() {
    let unruly = Faults { jitter: 0.008, duplicates: 0.05, ..CLEAN };
    let mut call = Call::new(plan(unruly, Faults::NONE, 1), 1);
    call.run();
    let [encoding] = &call.producer_stats().encodings[..] else { panic!() };
    assert_eq!((encoding.requested, encoding.repaired, encoding.given_up), (0, 0, 0));
    assert!(encoding.lost <= 0, "packets from before the first one count as duplicates: {}", encoding.lost);
    assert!(!call.receiver.in_order_of_arrival.is_sorted(), "packets are forwarded as they come");
    assert_eq!(share_within(&call.lateness(0.3, 60.0), 0.011), 1.0);
    call.receiver.assert_decodes();
}

#[test]
fn a_receiver_that_never_asks_still_gets_what_the_publisher_repairs() {
    let mut call = Call::new(plan(LOSSY, CLEAN, 3), 1);
    call.receiver.asks = false;
    call.run();
    assert!(share_within(&call.lateness(0.5, 59.0), 0.25) >= 0.999);
    assert_eq!(call.consumer_stats().resent, 0);
}

#[test]
fn statistics_agree_with_what_was_lost() {
    let mut call = Call::new(plan(LOSSY, LOSSY, 4), 1);
    call.run();
    let [encoding] = &call.producer_stats().encodings[..] else { panic!() };
    assert_eq!(encoding.given_up, 0);
    assert!(encoding.repaired > 300 && encoding.repaired <= encoding.requested, "{encoding:?}");
    // Receiver reports to the publisher tell of the losses that were repaired, too.
    assert_eq!(encoding.lost as u64, encoding.repaired, "{encoding:?}");
    assert!(encoding.round_trip.is_some_and(|round_trip| (0.099..0.13).contains(&round_trip)), "{encoding:?}");
    let stats = call.consumer_stats();
    assert!(stats.resent > 300 && stats.resent + stats.not_resent == stats.requested, "{stats:?}");
    assert!(call.receiver.retransmissions <= stats.resent && call.publisher.resent >= encoding.repaired);
}

#[test]
fn a_stream_decodes_through_switches_of_layers_and_pauses() {
    for seed in 1..=6 {
        let mut call = Call::new(Plan { seconds: 40.0, ..plan(LOSSY, LOSSY, seed) }, 2);
        for step in 0..36u32 {
            call.run_until(f64::from(step) + 1.0);
            match (u64::from(step) * 7 + seed) % 6 {
                0 => call.core.set_layers(CONSUMER, Some(0), None, None).unwrap(),
                1 => call.core.set_layers(CONSUMER, Some(1), Some((step % 3) as u8), None).unwrap(),
                2 => call.core.set_consumer_paused(CONSUMER, true).unwrap(),
                3 => call.core.set_consumer_paused(CONSUMER, false).unwrap(),
                4 => call.core.set_layers(CONSUMER, Some(1), None, None).unwrap(),
                _ => {
                    call.core.set_producer_paused(PRODUCER, true).unwrap();
                    call.run_until(f64::from(step) + 1.3);
                    call.core.set_producer_paused(PRODUCER, false).unwrap();
                }
            }
        }
        call.core.set_consumer_paused(CONSUMER, false).unwrap();
        call.run();
        call.receiver.assert_decodes();
        assert!(call.receiver.arrived.len() > 1000, "{}", call.receiver.arrived.len());
    }
}
