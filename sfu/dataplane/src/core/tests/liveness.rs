//! Signs of life, and the events about clients that give none.

use super::*;
use crate::core::interface::event::MAX_WAITING_DTLS;
use crate::core::{Event, MAX_EVENTS};

const SILENT_AFTER: f64 = 7.0;
const LOST_AFTER: f64 = 30.0;
const DTLS: u8 = 22; // the first byte of a handshake record

/// A watched client with audio and video, last heard at second 1.
fn watched() -> (Core, Client) {
    let mut core = Core::new(0.0);
    let client = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, audio()).unwrap();
    core.add_producer(1, 11, video()).unwrap();
    core.watch(1, 1.0, SILENT_AFTER, LOST_AFTER).unwrap();
    (core, client)
}

fn report(client: &mut Client) -> Vec<u8> {
    let mut report = [b"\x80\xc9\x00\x01".as_slice(), &AUDIO.to_be_bytes()].concat();
    client.srtp.seal_rtcp(&mut report).unwrap();
    report
}

/// When the client counts as silent if this datagram came at second 5.
fn silent_after(datagram: impl FnOnce(&mut Core, &mut Client) -> Vec<u8>) -> f64 {
    let (mut core, mut client) = watched();
    let mut datagram = datagram(&mut core, &mut client);
    core.receive(&mut datagram, path(1), 5.0);
    next_liveness_event(&mut core).0
}

/// The next event about liveness, and when it comes.
fn next_liveness_event(core: &mut Core) -> (f64, Event) {
    loop {
        let due = core.next_due().expect("a client is watched");
        core.pass_time(due);
        if let Some(event) = liveness_events(core).pop() {
            return (due, event);
        }
    }
}

fn liveness_events(core: &mut Core) -> Vec<Event> {
    let of_liveness = |event: &Event| {
        matches!(event, Event::FellSilent { .. } | Event::ConsentExpired { .. } | Event::CameBack { .. })
    };
    core.take_events(usize::MAX).into_iter().filter(of_liveness).collect()
}

#[test]
fn media_reports_and_bindings_are_signs_of_life() {
    assert_eq!(silent_after(|_, client| client.seal(AUDIO, 111, 1, b"voice")), 5.0 + SILENT_AFTER);
    assert_eq!(silent_after(|_, client| client.seal(AUDIO, 9, 1, b"of a payload type that nobody knows")), 12.0);
    assert_eq!(silent_after(|_, client| report(client)), 12.0);
    assert_eq!(silent_after(|_, _| credentials(1).request(false)), 12.0);
    assert_eq!(silent_after(|_, _| credentials(1).indication()), 12.0);
}

#[test]
fn a_forged_or_replayed_datagram_is_no_sign_of_life() {
    let nothing = 1.0 + SILENT_AFTER;
    let forged = |mut datagram: Vec<u8>| {
        *datagram.last_mut().unwrap() ^= 1;
        datagram
    };
    assert_eq!(silent_after(|_, client| forged(client.seal(AUDIO, 111, 1, b"voice"))), nothing);
    assert_eq!(silent_after(|_, client| forged(report(client))), nothing);
    assert_eq!(silent_after(|_, _| Credentials::new(&username(1), "another password").request(false)), nothing);
    let repeated = |core: &mut Core, datagram: Vec<u8>| {
        core.receive(&mut datagram.clone(), path(1), 2.0);
        datagram
    };
    assert_eq!(silent_after(|core, client| repeated(core, client.seal(AUDIO, 111, 1, b"voice"))), 2.0 + SILENT_AFTER);
    assert_eq!(silent_after(|core, client| repeated(core, report(client))), 2.0 + SILENT_AFTER);
}

#[test]
fn an_indication_without_integrity_puts_off_silence_but_not_the_loss_of_consent() {
    let hint = b"\x00\x11\x00\x00\x21\x12\xa4\x42twelve bytes";
    assert_eq!(silent_after(|_, _| hint.to_vec()), 5.0 + SILENT_AFTER);
    let (mut core, _) = watched();
    for second in 2..40 {
        core.receive(&mut hint.to_vec(), path(1), f64::from(second));
        core.pass_time(f64::from(second));
    }
    assert_eq!(core.take_events(usize::MAX), [Event::ConsentExpired { transport: 1, last_at: 1.0 }]);
    assert_eq!(core.heard_at(1, false), Ok(Some(1.0)));
    let mut from_elsewhere = hint.to_vec();
    core.receive(&mut from_elsewhere, path(9), 40.0);
    assert_eq!((core.take_events(usize::MAX), dropped(&core)), (vec![], vec![(DropReason::UnexpectedStun, 1)]));
}

#[test]
fn a_silent_client_is_lost_later_and_back_at_the_first_authentic_sign() {
    let (mut core, mut client) = watched();
    assert_eq!(next_liveness_event(&mut core), (8.0, Event::FellSilent { transport: 1, last_at: 1.0 }));
    let mut voice = client.seal(AUDIO, 111, 1, b"voice");
    core.receive(&mut voice.clone(), path(1), 20.0);
    assert_eq!(liveness_events(&mut core), [Event::CameBack { transport: 1 }]);
    core.receive(&mut voice, path(1), 21.0);
    assert_eq!(next_liveness_event(&mut core), (27.0, Event::FellSilent { transport: 1, last_at: 20.0 }));
    assert_eq!(next_liveness_event(&mut core), (50.0, Event::ConsentExpired { transport: 1, last_at: 20.0 }));
    assert_eq!(core.next_due(), None);
}

#[test]
fn a_silence_that_is_over_before_it_was_reported_is_not_reported() {
    let (mut core, mut client) = watched();
    core.pass_time(8.0);
    client.send(&mut core, AUDIO, 111, 1, b"voice");
    assert_eq!(liveness_events(&mut core), []);
    core.pass_time(8.0);
    assert_eq!(liveness_events(&mut core), [Event::FellSilent { transport: 1, last_at: 1.0 }]);
    core.receive(&mut credentials(1).request(false), path(1), 9.0);
    core.pass_time(16.0);
    assert_eq!(liveness_events(&mut core), []); // it came back and fell silent again, which the slow path knows already
    core.receive(&mut credentials(1).request(false), path(1), 16.0);
    assert_eq!(liveness_events(&mut core), [Event::CameBack { transport: 1 }]);
    core.pass_time(23.0);
    core.pass_time(46.0);
    assert_eq!(liveness_events(&mut core), [Event::ConsentExpired { transport: 1, last_at: 16.0 }]);
}

#[test]
fn silence_is_reported_in_the_order_of_the_datagrams() {
    let (mut core, _) = watched();
    core.receive(&mut [DTLS; 20], path(1), 7.9);
    core.pass_time(8.0);
    core.receive(&mut [DTLS; 20], path(1), 8.1);
    assert!(matches!(core.take_events(1)[..], [Event::DtlsArrived { .. }]));
    assert!(matches!(core.take_events(1)[..], [Event::FellSilent { .. }]));
    assert!(core.has_events());
}

#[test]
fn media_is_distinguished_from_bindings() {
    let (mut core, mut client) = watched();
    core.receive(&mut credentials(1).request(false), path(1), 5.0);
    assert_eq!((core.heard_at(1, false), core.heard_at(1, true)), (Ok(Some(5.0)), Ok(None)));
    core.receive(&mut report(&mut client), path(1), 6.0);
    core.receive(&mut credentials(1).request(false), path(1), 7.0);
    assert_eq!((core.heard_at(1, false), core.heard_at(1, true)), (Ok(Some(7.0)), Ok(Some(6.0))));
}

#[test]
fn a_video_encoding_that_flows_after_a_break_is_reported_once_and_audio_never() {
    let (mut core, mut client) = watched();
    let mut flows = |number: u16, at: f64| {
        core.receive(&mut client.seal(VIDEO, 96, number, VP8_KEY), path(1), at);
        core.receive(&mut client.seal(AUDIO, 111, number, b"voice"), path(1), at);
        core.take_events(usize::MAX)
    };
    let flowing = [Event::EncodingFlows { producer: 11, encoding: 0 }];
    assert_eq!(flows(1, 5.0), flowing);
    assert_eq!(flows(2, 7.0), []);
    assert_eq!(flows(3, 9.1), flowing);
}

#[test]
fn silence_is_reported_even_in_an_endless_flood() {
    let (mut core, _) = watched();
    let many = 3..3 + (MAX_EVENTS / MAX_WAITING_DTLS) as Id;
    many.clone().for_each(|number| drop(Client::connect(&mut core, number, PROFILES[0])));
    let flood = many.clone().cycle().take(MAX_EVENTS);
    flood.for_each(|number| core.receive(&mut [DTLS; 20], path(number), 9.0));
    core.pass_time(9.0);
    let reported_after = (1..999).find(|_| {
        many.clone().for_each(|number| core.receive(&mut [DTLS; 20], path(number), 9.0));
        core.take_events(32).iter().any(|event| matches!(event, Event::FellSilent { transport: 1, .. }))
    });
    assert_eq!(reported_after, Some(MAX_EVENTS / 32 + 1), "behind what came before");
}
