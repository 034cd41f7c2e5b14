//! Floods of datagrams that are no media: they cost their sender, and nobody else.

use super::*;
use crate::core::interface::event::MAX_WAITING_DTLS;
use crate::core::{Event, MAX_EVENTS};

const FLOOD: usize = 20_000;

/// Three clients: the first one sends a camera to the second.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    Client::connect(&mut core, 3, PROFILES[0]);
    core.add_producer(1, 10, video()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    core.take_events(usize::MAX);
    (core, sender, receiver)
}

fn picture_loss() -> Vec<u8> {
    [b"\x81\xce\x00\x02".as_slice(), &1u32.to_be_bytes(), &7000u32.to_be_bytes()].concat()
}

fn dtls_of(events: &[Event], id: Id) -> usize {
    events.iter().filter(|event| matches!(event, Event::DtlsArrived { transport, .. } if *transport == id)).count()
}

#[test]
fn forged_requests_wake_nobody_and_are_sent_nothing() {
    let (mut core, ..) = call();
    let before = core.totals();
    let forged = Credentials::new(&username(1), "a guess");
    for number in 0..FLOOD as u64 {
        let mut request = forged.request(true);
        core.receive(&mut request, path(100 + number % 1000), 1.0);
        core.receive(&mut Credentials::new("nobody", "a guess").request(true), path(1), 1.0);
    }
    assert!(!core.has_events());
    assert_eq!((leaving(&mut core, 1.0), core.next_due()), (vec![], None));
    assert_eq!((core.totals().paths, core.totals().packets_out), (before.paths, before.packets_out));
    let flood = FLOOD as u64;
    assert_eq!(dropped(&core), [(DropReason::UnknownUsername, flood), (DropReason::WrongPassword, flood)]);
    // The client's own requests are answered at once.
    core.receive(&mut credentials(1).request(true), path(1), 1.0);
    assert_eq!(leaving(&mut core, 1.0).len(), 1);
}

#[test]
fn a_client_gets_so_many_answers_to_its_requests() {
    let (mut core, ..) = call();
    let mut answered = 0;
    for number in 0..5000 {
        let now = 10.0 + f64::from(number) / 1000.0;
        core.receive(&mut credentials(1).request(true), path(1), now);
        answered += leaving(&mut core, now).len();
    }
    assert_eq!((answered, dropped(&core)), (699, vec![(DropReason::TooManyBindings, 4301)]));
    core.receive(&mut credentials(2).request(true), path(2), 15.0);
    assert_eq!(leaving(&mut core, 15.0).len(), 1);
}

#[test]
fn a_flood_of_dtls_with_the_address_of_one_client_leaves_room_for_the_others() {
    let (mut core, ..) = call();
    for number in 0..FLOOD {
        core.receive(&mut [22; 40], path(1), 10.0);
        if number % 1000 == 0 {
            core.receive(&mut [22; 30], path(2), 10.0);
        }
    }
    let events = core.take_events(usize::MAX);
    assert_eq!((dtls_of(&events, 1), dtls_of(&events, 2)), (MAX_WAITING_DTLS, FLOOD / 1000));
    assert_eq!(dropped(&core), [(DropReason::TooMuchDtls, (FLOOD - MAX_WAITING_DTLS) as u64)]);
}

#[test]
fn a_slow_path_that_keeps_up_still_reads_only_so_much_dtls_of_one_client() {
    let (mut core, ..) = call();
    let mut read = 0;
    for number in 0..FLOOD {
        core.receive(&mut [22; 40], path(1), 10.0 + number as f64 / FLOOD as f64);
        read += dtls_of(&core.take_events(usize::MAX), 1);
    }
    assert_eq!(read, 64 + 31);
}

#[test]
fn the_queue_for_the_slow_path_is_bounded_however_many_clients_flood_it() {
    let (mut core, ..) = call();
    let last = (MAX_EVENTS / MAX_WAITING_DTLS) as Id + 1;
    (4..=last).for_each(|number| drop(Client::connect(&mut core, number, PROFILES[0])));
    for number in 1..=last {
        (0..50).for_each(|_| core.receive(&mut [22; 40], path(number), 10.0));
    }
    assert!(dropped(&core).iter().any(|(reason, _)| *reason == DropReason::EventsFull));
    assert_eq!(core.take_events(usize::MAX).len(), MAX_EVENTS);
}

#[test]
fn a_flood_of_rtcp_with_the_address_of_one_client_is_not_decrypted() {
    let (mut core, _, mut receiver) = call();
    for _ in 0..FLOOD {
        core.receive(&mut [b"\x80\xc9\x00\x01\x00\x00\x00\x01".as_slice(), &[7; 20]].concat(), path(1), 10.0);
    }
    let flood = FLOOD as u64;
    assert_eq!(dropped(&core), [(DropReason::Unauthentic, 2000), (DropReason::TooMuchRtcp, flood - 2000)]);
    // The reports of another client are read.
    receiver.send_rtcp(&mut core, picture_loss(), 10.0);
    assert_eq!(core.take_events(usize::MAX), [Event::KeyFrameRequested { consumer: 20 }]);
}

#[test]
fn a_client_may_send_rtcp_at_any_honest_rate() {
    let (mut core, _, mut receiver) = call();
    for number in 0..5000 {
        receiver.send_rtcp(&mut core, picture_loss(), 10.0 + f64::from(number) / 1900.0);
    }
    assert_eq!(dropped(&core), []);
    // All requests for key frames together make one event, until the slow path has taken it.
    assert_eq!(core.take_events(usize::MAX).len(), 1);
}

/// Let the client send audio at this rate.  Gives how many packets went on, and whether its transport had to close.
fn flood_with_media(core: &mut Core, client: &mut Client, rate: f64, seconds: f64) -> (u64, bool) {
    let before = core.producer_stats(11).unwrap().encodings[0].packets;
    let mut closes = false;
    for number in 0..(rate * seconds) as usize {
        let mut packet = client.seal(AUDIO, 111, number as u16, &[7; 60]);
        core.receive(&mut packet, path(1), 10.0 + number as f64 / rate);
        closes |= core.take_events(usize::MAX).contains(&Event::LimitsExceeded { transport: 1 });
    }
    (core.producer_stats(11).unwrap().encodings[0].packets - before, closes)
}

#[test]
fn a_client_that_sends_far_more_than_it_may_loses_its_transport() {
    for (rate, seconds, expected) in [(900.0, 20.0, 18_000), (4000.0, 4.0, 5000), (4000.0, 12.0, 13_000)] {
        let (mut core, mut sender, _) = call();
        core.set_media_limits(1000.0, 1e9);
        core.add_producer(1, 11, audio()).unwrap();
        let (went_on, closes) = flood_with_media(&mut core, &mut sender, rate, seconds);
        assert!((expected..expected + 600).contains(&went_on), "{went_on} of {expected}");
        assert_eq!(closes, seconds == 12.0, "{rate} for {seconds} s");
    }
}

#[test]
fn forged_media_costs_the_client_its_packets_and_never_its_transport() {
    let (mut core, ..) = call();
    core.set_media_limits(1000.0, 1e9);
    for number in 0..20 * FLOOD {
        core.receive(&mut [b"\x80\x6f".as_slice(), &[7; 60]].concat(), path(1), 10.0 + number as f64 * 1e-4);
    }
    assert_eq!(
        (core.take_events(usize::MAX), core.totals().drops.iter().map(|(_, count)| count).sum()),
        (vec![], 400_000)
    );
    let [(DropReason::Unauthentic, opened), (DropReason::TooMuchMedia, _)] = dropped(&core)[..] else { panic!() };
    assert!((40_000..47_000).contains(&opened), "{opened}");
    // The others have budgets of their own.
    core.receive(&mut credentials(2).request(true), path(2), 50.0);
    assert_eq!(leaving(&mut core, 50.0).len(), 1);
}

#[test]
fn a_client_that_goes_on_flooding_requests_loses_its_transport_and_one_whose_requests_are_repeated_does_not() {
    for (repeated, closes) in [(false, true), (true, false)] {
        let (mut core, ..) = call();
        let recorded = credentials(1).request(true);
        for number in 0..2 * FLOOD {
            let mut request = if repeated { recorded.clone() } else { credentials(1).request(true) };
            core.receive(&mut request, path(1), 10.0 + number as f64 * 1e-4);
        }
        assert_eq!(core.take_events(usize::MAX).contains(&Event::LimitsExceeded { transport: 1 }), closes);
    }
}
