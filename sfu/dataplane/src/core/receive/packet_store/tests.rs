//! The packet store against plain lists, and its memory.

use super::*;
use crate::core::wire::rtp::parse_header_untrusted;
use proptest::prelude::*;

const PLENTY: usize = usize::MAX / 2;

/// The bytes of a packet: they tell its number, and how often it came.
fn plain(extended: i64, size: usize, time: u8) -> Vec<u8> {
    let mut plain = vec![0x80, 96];
    plain.extend((extended as u16).to_be_bytes());
    plain.resize(12, time);
    plain.resize(size.max(12), extended as u8);
    plain
}

fn push(store: &mut PacketStore, extended: i64, plain: &[u8], now: f64, room: usize) {
    let header = parse_header_untrusted(plain, &mut Vec::new()).unwrap();
    let packet = Packet {
        plain,
        payload: &plain[12..],
        padding: &[],
        header,
        elements: &[],
        extended,
        newest: true,
        payload_type: 96,
        left_out: false,
        frame: None,
        picture: 7 * extended,
        serial: 1,
        now,
    };
    store.push(&packet, room);
}

/// Packets of 1,000 bytes, `rate` a second, up to second `until`.
fn flow(store: &mut PacketStore, rate: i64, seconds: Range<i64>) {
    for number in seconds.start * rate..seconds.end * rate {
        push(store, number, &plain(number, 1000, 0), number as f64 / rate as f64, PLENTY);
    }
}

#[test]
fn a_packet_comes_out_as_it_went_in() {
    let mut store = PacketStore::default();
    for number in [70_000, 70_001, 70_003, 70_002] {
        push(&mut store, number, &plain(number, 100, 3), 1.0, PLENTY);
    }
    let stored = store.get(70_002).unwrap();
    assert_eq!((stored.plain, stored.picture, stored.at), (&plain(70_002, 100, 3)[..], 490_014, 1.0));
    assert!(store.get(70_004).is_none() && store.get(70_002 - 65_536).is_none());
    assert_eq!((store.packets(), store.bytes()), (4, 400));
}

#[test]
fn the_memory_follows_the_need() {
    let mut store = PacketStore::default();
    store.retention.on_round_trip(0.0, 0.0);
    flow(&mut store, 125, 0..10);
    // Packets of 45 ms, at 125 kB a second.
    assert!((5..=7).contains(&store.packets()), "{}", store.packets());
    assert!(store.reserved() < 11_000, "{}", store.reserved());
    store.retention.on_request(10.0);
    flow(&mut store, 125, 10..15);
    assert!((125..=127).contains(&store.packets()));
    assert!((125_000..160_000).contains(&store.reserved()), "{}", store.reserved());
    flow(&mut store, 125, 15..30);
    assert!(store.reserved() < 11_000 && store.entries.capacity() <= 16, "{}", store.reserved());
    assert_eq!(store.slots.len(), FEWEST_SLOTS);
}

#[test]
fn a_camera_with_near_receivers_takes_little_memory() {
    let mut store = PacketStore::default();
    store.retention.on_round_trip(0.005, 0.0);
    for frame in 0..300 {
        for part in 0..5 {
            let number = 5 * frame + part;
            push(&mut store, number, &plain(number, 1000, 0), frame as f64 / 30.0, PLENTY);
        }
    }
    // 1.2 Mbit/s: the newest picture and the one before it.
    assert!((10..=12).contains(&store.packets()), "{}", store.packets());
    assert!(store.reserved() <= 13 * 1024, "{}", store.reserved());
}

#[test]
fn a_steady_stream_allocates_nothing() {
    let mut store = PacketStore::default();
    flow(&mut store, 125, 0..10);
    let (ring, entries, slots) = (store.ring.as_ptr(), store.entries.capacity(), store.slots.as_ptr());
    flow(&mut store, 125, 10..60);
    assert_eq!((store.ring.as_ptr(), store.entries.capacity(), store.slots.as_ptr()), (ring, entries, slots));
}

#[test]
fn the_bounds_hold_at_every_rate() {
    let mut store = PacketStore::default();
    store.retention.on_request(0.0);
    flow(&mut store, 5000, 0..2);
    assert_eq!(store.packets(), MAX_PACKETS);
    assert!(store.get(9999).is_some() && store.get(9999 - 511).is_some() && store.get(9999 - 512).is_none());
    for number in 10_000..13_000 {
        push(&mut store, number, &plain(number, 65_000, 0), 2.0, PLENTY);
        assert!(store.reserved() <= MAX_BYTES);
    }
    assert!((11..=12).contains(&store.packets()));
}

#[test]
fn a_store_that_may_not_grow_drops_its_oldest() {
    let mut store = PacketStore::default();
    push(&mut store, 0, &plain(0, 1000, 0), 0.0, 0);
    assert_eq!((store.packets(), store.reserved()), (0, 0));
    for number in 0..10 {
        let room = 3500 - store.reserved();
        push(&mut store, number, &plain(number, 1000, 0), 0.0, room);
    }
    assert_eq!(store.reserved(), 3500);
    assert!(store.get(9).is_some() && (1..=3).contains(&store.packets()));
}

proptest! {
    /// Against a plain list of all packets: whatever is found is right, and the newest packets are always found.
    #[test]
    fn the_store_agrees_with_a_plain_list(
        steps in prop::collection::vec((0..20u8, 0..400i64, 12..3000usize, 0..40u32), 1..400),
        large in any::<bool>(),
    ) {
        let mut store = PacketStore::default();
        let mut plain_list: Vec<(i64, Vec<u8>, f64)> = Vec::new();
        let (mut next, mut now, mut latest) = (65_000, 0.0, f64::NEG_INFINITY);
        for (place, (step, far, size, pause)) in steps.into_iter().enumerate() {
            match step {
                0 => next += far,
                1 => now += f64::from(pause) * 0.1,
                2 => store.retention.on_request(now),
                3 => store.retention.on_round_trip(f64::from(pause) * 0.01, now),
                _ => now += f64::from(pause) * 0.0002,
            }
            let late = next - far;
            let new = plain_list.iter().rev().take(MAX_PACKETS).all(|(number, ..)| *number != late);
            let extended = if step == 4 && late < next && new { late } else { next };
            next = next.max(extended + 1);
            let bytes = plain(extended, if large { 20 * size } else { size }, place as u8);
            push(&mut store, extended, &bytes, now, PLENTY);
            plain_list.push((extended, bytes, now));
            let kept = &plain_list[plain_list.len() - store.packets()..];
            prop_assert_eq!(store.bytes(), kept.iter().map(|(_, bytes, _)| bytes.len()).sum::<usize>());
            prop_assert!(store.bytes() <= store.reserved() && store.reserved() <= MAX_BYTES);
            let since = store.retention.keep_since(now);
            latest = since.max(latest);
            if let Some((_, bytes, at)) = plain_list.iter().rev().nth(store.packets()) {
                prop_assert!(*at < latest || store.packets() == MAX_PACKETS || store.bytes() + 2 * bytes.len().max(60_000) > MAX_BYTES);
            }
            for (place, (number, bytes, at)) in kept.iter().enumerate() {
                prop_assert!(*at >= since);
                // Only a packet with the same slot that came later hides it.
                if let Some(found) = store.get(*number) {
                    prop_assert_eq!((found.plain, found.at), (&bytes[..], *at));
                } else {
                    let hides = |(other, ..): &(i64, _, _)| (other - number) % MAX_PACKETS as i64 == 0;
                    prop_assert!(kept[place + 1..].iter().any(hides));
                }
            }
        }
    }
}
