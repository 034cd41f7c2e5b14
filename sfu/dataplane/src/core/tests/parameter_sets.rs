//! Decoders that begin at an H.264 key frame, with different units before its slices.

use super::*;
use crate::core::Event;
use crate::core::rtcp::Nack;

const SPS: &[u8] = b"\x67\x42\xe0\x1f\x8c\x8d\x40";
const PPS: &[u8] = b"\x68\xce\x3c\x80";
const AUD: &[u8] = b"\x09\x10";
const SEI: &[u8] = b"\x06\x05\x01";
const IDR: &[u8] = b"\x65\x88\x84";
const SLICE: &[u8] = b"\x41\x9a\x21";

fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    let spec = ProducerSpec { codec: "video/h264".into(), payload_types: [(105, 105)].into(), ..video() };
    core.add_producer(1, 10, spec).unwrap();
    (core, sender, receiver)
}

fn join(core: &mut Core, consumer: Id) {
    let format = ConsumerFormat { payload_types: [105].into(), ..format() };
    let spec = ConsumerSpec::new(&format, 7000 + consumer as u32);
    core.add_consumer(2, consumer, 10, &spec, 1).unwrap();
}

fn send(core: &mut Core, sender: &mut Client, first: u16, timestamp: u32, units: &[&[u8]]) {
    for (number, unit) in (first..).zip(units) {
        let marker = if unit[0] & 0x1F < 6 { 0x80 } else { 0 };
        let mut packet = vec![0x80, 105 | marker];
        packet.extend(number.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(VIDEO.to_be_bytes());
        packet.extend(*unit);
        let mut sealed = sender.seal_whole(packet);
        core.receive(&mut sealed, path(1), 1.0);
    }
}

/// The payloads that the receiver got, each with its timestamp; their sequence numbers have no gap.
fn got(core: &mut Core, receiver: &mut Client) -> Vec<(u32, Vec<u8>)> {
    let opened: Vec<_> = leaving(core, 9.0).iter().map(|(_, datagram)| receiver.open(datagram).unwrap()).collect();
    assert!(opened.windows(2).all(|pair| pair[1].0.sequence_number == pair[0].0.sequence_number + 1));
    opened.into_iter().map(|(header, payload)| (header.timestamp, payload)).collect()
}

#[test]
fn an_idr_picture_is_a_key_frame_with_any_units_before_its_slice() {
    for before in [&[AUD][..], &[SEI], &[PPS], &[AUD, SEI], &[AUD, PPS, SEI], &[]] {
        let (mut core, mut sender, mut receiver) = call();
        join(&mut core, 20);
        send(&mut core, &mut sender, 0, 1000, &[before, &[IDR]].concat());
        send(&mut core, &mut sender, 50, 2000, &[SLICE]);
        let opened = leaving(&mut core, 9.0);
        let units: Vec<_> = opened.iter().map(|(_, datagram)| receiver.open(datagram).unwrap().1).collect();
        assert!(units.ends_with(&[IDR.to_vec(), SLICE.to_vec()]), "{before:x?}");
        assert_eq!(core.producer_stats(10).unwrap().encodings[0].key_frames, 1);
    }
}

#[test]
fn the_second_slice_of_an_idr_picture_does_not_begin_a_key_frame() {
    let (mut core, mut sender, mut receiver) = call();
    send(&mut core, &mut sender, 0, 1000, &[AUD, IDR]);
    join(&mut core, 20);
    send(&mut core, &mut sender, 2, 1000, &[IDR]);
    assert_eq!(got(&mut core, &mut receiver), []);
}

#[test]
fn a_receiver_that_begins_at_a_bare_idr_picture_gets_the_newest_parameter_sets_first() {
    let (mut core, mut sender, mut receiver) = call();
    send(&mut core, &mut sender, 0, 1000, &[SPS, PPS, IDR]);
    send(&mut core, &mut sender, 3, 2000, &[SLICE]);
    join(&mut core, 20);
    send(&mut core, &mut sender, 4, 3000, &[AUD, IDR]);
    send(&mut core, &mut sender, 6, 4000, &[SLICE]);
    let expected = [(3000, SPS), (3000, PPS), (3000, IDR), (4000, SLICE)].map(|(at, unit)| (at, unit.to_vec()));
    assert_eq!(got(&mut core, &mut receiver), expected);
    // A receiver that had them already does not get them again.
    send(&mut core, &mut sender, 7, 5000, &[AUD, IDR]);
    assert_eq!(got(&mut core, &mut receiver).len(), 2);
}

#[test]
fn parameter_sets_that_come_with_the_picture_are_sent_once() {
    let (mut core, mut sender, mut receiver) = call();
    join(&mut core, 20);
    send(&mut core, &mut sender, 0, 1000, &[SPS, PPS, IDR]);
    assert_eq!(got(&mut core, &mut receiver).len(), 3);
}

#[test]
fn a_late_packet_from_before_the_picture_does_not_take_the_number_of_a_parameter_set() {
    let (mut core, mut sender, mut receiver) = call();
    send(&mut core, &mut sender, 0, 1000, &[SPS, PPS, IDR]);
    join(&mut core, 20);
    send(&mut core, &mut sender, 5, 3000, &[IDR]);
    send(&mut core, &mut sender, 4, 2000, &[SLICE]);
    send(&mut core, &mut sender, 6, 4000, &[SLICE]);
    assert_eq!(got(&mut core, &mut receiver).len(), 4);
    assert_eq!(dropped(&core), []);
}

#[test]
fn a_receiver_that_begins_at_a_sequence_parameter_set_alone_gets_the_earlier_picture_parameter_sets() {
    for (before, picture) in [(&[][..], &[PPS, SPS, IDR][..]), (&[PPS], &[SPS, IDR])] {
        let (mut core, mut sender, mut receiver) = call();
        join(&mut core, 20);
        send(&mut core, &mut sender, 0, 500, before);
        send(&mut core, &mut sender, before.len() as u16, 1000, picture);
        let expected = [SPS, PPS, SPS, IDR].map(|unit| (1000, unit.to_vec()));
        assert_eq!(got(&mut core, &mut receiver), expected);
    }
}

/// Let a consumer that resends begin at a bare key frame, for which the core sends parameter sets as packets 1 and 2.
fn begin_bare(core: &mut Core, sender: &mut Client, receiver: &mut Client) {
    let format = ConsumerFormat { payload_types: [105].into(), rtx_payload_types: [(105, 106)].into(), ..format() };
    let spec = ConsumerSpec { rtx_ssrc: Some(8000), ..ConsumerSpec::new(&format, 7020) };
    send(core, sender, 0, 1000, &[SPS, PPS, IDR]);
    core.add_consumer(2, 20, 10, &spec, 1).unwrap();
    send(core, sender, 6, 2000, &[IDR]);
    send(core, sender, 7, 3000, &[SLICE]);
    assert_eq!(got(core, receiver).len(), 4);
}

/// The retransmissions of these packets of the consumer: each original number, timestamp and payload.
fn again(core: &mut Core, receiver: &mut Client, numbers: &[u16], now: f64) -> Vec<(u16, u32, Vec<u8>)> {
    let mut compound = Vec::new();
    Nack::write(1, 7020, numbers, &mut compound);
    receiver.send_rtcp(core, compound, now);
    let opened = leaving(core, now).into_iter().map(|(_, datagram)| receiver.open(&datagram).unwrap());
    opened
        .map(|(header, payload)| {
            assert_eq!((header.ssrc, header.payload_type), (8000, 106));
            (u16::from_be_bytes([payload[0], payload[1]]), header.timestamp, payload[2..].to_vec())
        })
        .collect()
}

#[test]
fn parameter_sets_that_the_core_sent_by_itself_are_sent_again() {
    let (mut core, mut sender, mut receiver) = call();
    begin_bare(&mut core, &mut sender, &mut receiver);
    let expected = [(1, 2000, SPS), (2, 2000, PPS), (3, 2000, IDR), (4, 3000, SLICE)];
    let expected = expected.map(|(number, timestamp, unit)| (number, timestamp, unit.to_vec()));
    assert_eq!(again(&mut core, &mut receiver, &[1, 2, 3, 4], 1.1), expected);
    // A packet of the publisher with the number of a parameter set still changes nothing.
    send(&mut core, &mut sender, 5, 1500, &[SLICE]);
    assert_eq!(again(&mut core, &mut receiver, &[2], 1.2), expected[1..2]);
    assert_eq!(dropped(&core), []);
}

#[test]
fn parameter_sets_from_before_a_new_beginning_are_not_sent_again() {
    let (mut core, mut sender, mut receiver) = call();
    begin_bare(&mut core, &mut sender, &mut receiver);
    core.set_consumer_paused(20, true).unwrap();
    core.set_consumer_paused(20, false).unwrap();
    send(&mut core, &mut sender, 8, 4000, &[SPS, PPS, IDR]);
    leaving(&mut core, 1.0);
    assert_eq!(again(&mut core, &mut receiver, &[1, 2], 1.1), []);
    assert_eq!(dropped(&core), [(DropReason::ResendNotStored, 2)]);
}

const NEWER: &[u8] = b"\x67\x42\xe0\x1f\x99\x99\x99";

/// A consumer begins at a key frame whose new sequence parameter set is lost, and comes again as packet 3.
fn repair_sets(core: &mut Core, sender: &mut Client, spec: &ConsumerSpec<'_>) {
    send(core, sender, 0, 1000, &[SPS, PPS, IDR]);
    core.add_consumer(2, 20, 10, spec, 1).unwrap();
    send(core, sender, 4, 2000, &[PPS, IDR]);
    send(core, sender, 6, 3000, &[SLICE]);
    core.take_events(usize::MAX);
    send(core, sender, 3, 2000, &[NEWER]);
}

#[test]
fn a_receiver_that_began_without_a_repaired_parameter_set_begins_anew_with_it() {
    let (mut core, mut sender, mut receiver) = call();
    let format = ConsumerFormat { payload_types: [105].into(), rtx_payload_types: [(105, 106)].into(), ..format() };
    let spec = ConsumerSpec { rtx_ssrc: Some(8000), ..ConsumerSpec::new(&format, 7020) };
    repair_sets(&mut core, &mut sender, &spec);
    let units: Vec<_> = got(&mut core, &mut receiver).into_iter().map(|(_, unit)| unit).collect();
    assert_eq!(units, [SPS, PPS, IDR, SLICE, NEWER, PPS, NEWER, PPS, IDR, SLICE]);
    let layers = Event::LayersChanged { consumer: 20, encoding: Some(0), temporal: None, spatial: None };
    assert_eq!(core.take_events(usize::MAX), [layers], "no key frame is missing");
    // The same set once more changes nothing.
    send(&mut core, &mut sender, 7, 4000, &[SLICE]);
    assert_eq!(got(&mut core, &mut receiver).len(), 1);
}

#[test]
fn a_receiver_without_retransmissions_waits_for_a_key_frame_with_the_repaired_parameter_set() {
    let (mut core, mut sender, mut receiver) = call();
    let format = ConsumerFormat { payload_types: [105].into(), ..format() };
    repair_sets(&mut core, &mut sender, &ConsumerSpec::new(&format, 7020));
    assert_eq!(got(&mut core, &mut receiver).len(), 4);
    assert_eq!(core.take_events(usize::MAX), [Event::RepairFailed { producer: 10, encoding: 0, narrow: false }]);
    send(&mut core, &mut sender, 7, 4000, &[SLICE]);
    send(&mut core, &mut sender, 8, 5000, &[IDR]);
    let units: Vec<_> = got(&mut core, &mut receiver).into_iter().map(|(_, unit)| unit).collect();
    assert_eq!(units, [NEWER, PPS, IDR]);
}

#[test]
fn parameter_sets_that_change_without_end_let_few_consumers_begin_anew() {
    let (mut core, mut sender, _) = call();
    let format = ConsumerFormat { payload_types: [105].into(), rtx_payload_types: [(105, 106)].into(), ..format() };
    let spec = ConsumerSpec { rtx_ssrc: Some(8000), ..ConsumerSpec::new(&format, 7020) };
    core.add_consumer(2, 20, 10, &spec, 1).unwrap();
    send(&mut core, &mut sender, 0, 500, &[SPS]);
    send(&mut core, &mut sender, 100, 1000, &[PPS, IDR]);
    leaving(&mut core, 1.0);
    let mut sent = 0;
    for number in 1..100u16 {
        send(&mut core, &mut sender, number, 1000, &[&[NEWER, &[number as u8]].concat()]);
        sent += leaving(&mut core, 1.0).len();
    }
    assert!(sent <= 4 * 5 + 99, "{sent}");
}

#[test]
fn a_parameter_set_that_comes_late_does_not_replace_a_newer_one() {
    let (mut core, mut sender, mut receiver) = call();
    send(&mut core, &mut sender, 0, 500, &[SLICE]);
    send(&mut core, &mut sender, 2, 1000, &[PPS, IDR]);
    send(&mut core, &mut sender, 4, 2000, &[NEWER, PPS, IDR]);
    send(&mut core, &mut sender, 1, 1000, &[SPS]);
    join(&mut core, 20);
    send(&mut core, &mut sender, 7, 3000, &[IDR]);
    let got: Vec<_> = got(&mut core, &mut receiver).into_iter().map(|(_, unit)| unit).collect();
    assert_eq!(got, [NEWER, PPS, IDR]);
}
