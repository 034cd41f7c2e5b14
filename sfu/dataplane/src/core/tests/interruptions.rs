//! A network that carries nothing for some seconds, and then works again.

use super::*;
use crate::core::Event;
use crate::core::rtcp::Nack;

const MEDIA: u32 = 7000;

/// A publisher of video whose packets 0 to 99 took 3 s, and a receiver that can ask for packets again.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    let spec = ProducerSpec { nack: true, rtx_payload_types: [(97, 96)].into(), ..video() };
    core.add_producer(1, 10, spec).unwrap();
    let format = ConsumerFormat { rtx_payload_types: [(101, 102)].into(), ..format() };
    let spec = ConsumerSpec { rtx_ssrc: Some(8000), ..ConsumerSpec::new(&format, MEDIA) };
    core.add_consumer(2, 20, 10, &spec, 0).unwrap();
    for number in 0..100 {
        send(&mut core, &mut sender, number, f64::from(number) * 0.03);
    }
    core.take_events(usize::MAX);
    (core, sender, receiver)
}

fn send(core: &mut Core, sender: &mut Client, number: u16, now: f64) {
    let payload = if number == 0 { VP8_KEY } else { b"\x10\x01frame" };
    core.receive(&mut sender.seal(VIDEO, 96 | 0x80, number, payload), path(1), now);
    leaving(core, now);
}

fn nack(core: &mut Core, receiver: &mut Client, numbers: std::ops::Range<u16>, now: f64) {
    let mut compound = Vec::new();
    Nack::write(1, MEDIA, &numbers.collect::<Vec<_>>(), &mut compound);
    receiver.srtp.seal_rtcp(&mut compound).unwrap();
    core.receive(&mut compound, path(2), now);
}

/// The events about pictures since the last call.
fn events(core: &mut Core) -> Vec<Event> {
    let events = core.take_events(usize::MAX).into_iter();
    events.filter(|event| matches!(event, Event::RepairFailed { .. } | Event::KeyFrameRequested { .. })).collect()
}

#[test]
fn packets_that_were_lost_in_a_long_interruption_are_not_asked_for() {
    let (mut core, mut sender, _) = call();
    send(&mut core, &mut sender, 200, 6.0);
    assert_eq!(events(&mut core), [Event::RepairFailed { producer: 10, encoding: 0, narrow: false }]);
    core.pass_time(6.1);
    assert_eq!(leaving(&mut core, 6.1), []);
    assert_eq!((core.totals().requested_of_senders, core.totals().given_up), (0, 100));
}

#[test]
fn a_client_that_takes_no_requests_for_packets_is_asked_for_a_picture() {
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, video()).unwrap();
    send(&mut core, &mut sender, 0, 0.0);
    send(&mut core, &mut sender, 50, 2.0);
    assert_eq!(events(&mut core), [], "nobody watches");
    core.add_consumer(2, 20, 10, &consumer(MEDIA), 0).unwrap();
    send(&mut core, &mut sender, 100, 4.0);
    assert_eq!(events(&mut core), [Event::RepairFailed { producer: 10, encoding: 0, narrow: false }]);
}

#[test]
fn packets_that_were_lost_in_a_short_interruption_or_a_long_pause_are_asked_for() {
    for (number, now) in [(130, 3.9), (103, 20.0)] {
        let (mut core, mut sender, _) = call();
        send(&mut core, &mut sender, number, now);
        assert_eq!(events(&mut core), []);
        core.pass_time(now + 0.1);
        assert_eq!(core.totals().requested_of_senders, u64::from(number) - 100);
    }
}

#[test]
fn a_pause_in_which_nothing_was_lost_needs_no_picture() {
    let (mut core, mut sender, _) = call();
    send(&mut core, &mut sender, 100, 60.0);
    assert_eq!(events(&mut core), []);
}

#[test]
fn a_receiver_that_asks_for_seconds_of_old_packets_gets_a_key_frame() {
    let (mut core, _, mut receiver) = call();
    nack(&mut core, &mut receiver, 10..90, 3.0);
    assert_eq!(events(&mut core), [Event::KeyFrameRequested { consumer: 20 }]);
    // It asks again: the key frame is on its way, so nothing is looked up.
    nack(&mut core, &mut receiver, 10..90, 3.1);
    assert_eq!(events(&mut core), []);
}

#[test]
fn a_receiver_that_asks_for_a_few_old_packets_decides_by_itself() {
    let (mut core, _, mut receiver) = call();
    nack(&mut core, &mut receiver, 10..25, 3.0);
    nack(&mut core, &mut receiver, 95..100, 3.0);
    assert_eq!(events(&mut core), []);
}
