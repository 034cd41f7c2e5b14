//! Voices: how loud they are, and producers that are muted because others are louder.

use super::*;
use crate::core::Event;

const LEVEL_ID: u8 = 3;
const FULL: u8 = 0; // 0 dBov, an amplitude of 1
const TENTH: u8 = 20; // -20 dBov

/// A speaker whose packets carry audio levels, and a listener.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let speaker = Client::connect(&mut core, 1, PROFILES[0]);
    let listener = Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, ProducerSpec { audio_level_id: Some(LEVEL_ID), ..audio() }).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    (core, speaker, listener)
}

/// Let a packet with this audio level arrive.  Gives the packets that leave.
fn speak(core: &mut Core, speaker: &mut Client, number: u8, level: u8) -> Vec<(Path, Vec<u8>)> {
    let mut packet = vec![0x90, 111, 0, number, 0, 0, number, 0];
    packet.extend(AUDIO.to_be_bytes());
    packet.extend([0xBE, 0xDE, 0, 1, LEVEL_ID << 4, level, 0, 0]);
    packet.extend(b"voice");
    core.receive(&mut speaker.seal_whole(packet), path(1), 1.0);
    leaving(core, 1.0)
}

#[test]
fn a_muted_producer_is_not_forwarded_but_its_levels_count() {
    let (mut core, mut speaker, mut listener) = call();
    let first = speak(&mut core, &mut speaker, 1, FULL);
    core.set_producer_muted(10, true).unwrap();
    assert_eq!(speak(&mut core, &mut speaker, 2, TENTH), []);
    assert!(!core.producers[core.producers.key(10).unwrap()].is_awaited(0));
    let [(2, amplitude), (0, 0.0)] = core.voice_levels(&[10, 99])[..] else { panic!() };
    assert!((amplitude - 1.1).abs() < 1e-9);
    assert_eq!(dropped(&core), [(DropReason::ProducerMuted, 1)]);
    core.set_producer_muted(10, false).unwrap();
    let last = speak(&mut core, &mut speaker, 3, FULL);
    let numbers = [first, last].map(|sent| listener.open(&sent[0].1).unwrap().0.sequence_number);
    assert_eq!(numbers[1], numbers[0] + 1, "the listener misses no number");
}

#[test]
fn muting_is_not_reported() {
    let (mut core, mut speaker, _) = call();
    let begun = Event::LayersChanged { consumer: 20, encoding: Some(0), temporal: None, spatial: None };
    let mut number = 0;
    let mut events = |core: &mut Core| {
        number += 1;
        speak(core, &mut speaker, number, FULL);
        core.take_events(usize::MAX)
    };
    assert_eq!(events(&mut core), [begun]);
    for muted in [true, true, false, false, true, false] {
        core.set_producer_muted(10, muted).unwrap();
        assert_eq!(events(&mut core), []);
    }
}

#[test]
fn a_consumer_of_a_muted_producer_begins_when_it_is_heard() {
    let (mut core, mut speaker, _) = call();
    core.set_producer_muted(10, true).unwrap();
    Client::connect(&mut core, 3, PROFILES[0]);
    core.add_consumer(3, 30, 10, &consumer(7000), 1).unwrap();
    assert_eq!(speak(&mut core, &mut speaker, 1, FULL), []);
    core.set_producer_muted(10, false).unwrap();
    assert_eq!(speak(&mut core, &mut speaker, 2, FULL).len(), 2);
}

#[test]
fn a_producer_is_forwarded_only_while_it_is_neither_muted_nor_paused() {
    let (mut core, mut speaker, _) = call();
    let mut number = 0;
    for (muted, paused, copies) in [(true, true, 0), (false, true, 0), (true, false, 0), (false, false, 1)] {
        core.set_producer_muted(10, muted).unwrap();
        core.set_producer_paused(10, paused).unwrap();
        number += 1;
        assert_eq!(speak(&mut core, &mut speaker, number, FULL).len(), copies);
    }
    assert!(core.set_producer_muted(11, true).is_err());
}
