//! Packets that are left out leave no gap in the sequence numbers, in whatever order they come.

use super::*;

/// A sender of VP8 and a receiver that takes its temporal layers up to `temporal`.
fn call(temporal: Option<u8>) -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, video()).unwrap();
    core.add_consumer(2, 20, 10, &ConsumerSpec { temporal, ..consumer(7000) }, 1).unwrap();
    (core, sender, receiver)
}

/// A packet of padding alone.
fn padding(number: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0xA0, 96];
    packet.extend(number.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(VIDEO.to_be_bytes());
    packet.extend([0, 0, 0, 4]);
    packet
}

/// The sequence number of each packet that leaves, with the size of its payload without padding.
fn numbers(core: &mut Core, receiver: &mut Client) -> Vec<(u16, usize)> {
    let sent = leaving(core, f64::MAX);
    let opened = sent.iter().map(|(_, datagram)| receiver.open(datagram).unwrap());
    let mut numbers: Vec<_> = opened
        .map(|(header, payload)| {
            let padding = if header.padding { usize::from(*payload.last().unwrap()) } else { 0 };
            (header.sequence_number, payload.len() - padding)
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

fn assert_no_gap(numbers: &[(u16, usize)]) {
    for pair in numbers.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "{numbers:?}");
    }
}

#[test]
fn reordered_padding_leaves_no_gap() {
    let (mut core, mut sender, mut receiver) = call(None);
    for frame in 0..30u16 {
        let first = 6 * frame;
        (first..first + 3).for_each(|number| sender.send(&mut core, VIDEO, 96, number, VP8_KEY));
        for number in [first + 3, first + 5, first + 4] {
            let mut sealed = sender.seal_whole(padding(number, u32::from(first)));
            core.receive(&mut sealed, path(1), 1.0);
        }
    }
    let numbers = numbers(&mut core, &mut receiver);
    assert_no_gap(&numbers);
    assert_eq!(numbers.iter().filter(|(_, size)| *size > 0).count(), 90);
    assert_eq!(numbers.len(), 120, "one packet of each frame fills the number that was kept for it");
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!((stats.packets, stats.octets), (120, 90 * VP8_KEY.len() as u64));
}

#[test]
fn a_late_packet_of_an_unknown_payload_type_leaves_no_gap() {
    let (mut core, mut sender, mut receiver) = call(None);
    for (number, payload_type) in [(0, 96), (2, 96), (1, 97), (4, 97), (3, 97), (5, 96)] {
        sender.send(&mut core, VIDEO, payload_type, number, VP8_KEY);
    }
    let numbers = numbers(&mut core, &mut receiver);
    assert_no_gap(&numbers);
    assert_eq!(numbers.len(), 5);
    assert_eq!(dropped(&core), [(DropReason::UnknownPayloadType, 3)]);
}

#[test]
fn a_late_packet_of_an_unwanted_layer_leaves_no_gap() {
    let (mut core, mut sender, mut receiver) = call(Some(0));
    let layer = |temporal: u8, key: u8| [0x90, 0x20, temporal << 6, 1 - key, 9];
    for (number, temporal) in [(0, 0), (2, 0), (1, 2), (4, 2), (3, 1), (5, 0)] {
        sender.send(&mut core, VIDEO, 96, number, &layer(temporal, u8::from(number == 0)));
    }
    let numbers = numbers(&mut core, &mut receiver);
    assert_no_gap(&numbers);
    assert_eq!(numbers.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [5, 0, 5, 0, 5]);
}

#[test]
fn a_layer_that_begins_at_a_late_packet_leaves_no_gap_for_the_rest_of_its_picture() {
    let (mut core, mut sender, mut receiver) = call(Some(0));
    let packet = |temporal: u8, picture: u8, first: u8| {
        [0x80 | first << 4, 0xA0, picture, temporal << 6 | 0x20, u8::from(picture > 1), 9]
    };
    sender.send(&mut core, VIDEO, 96, 0, &packet(0, 1, 1));
    sender.send(&mut core, VIDEO, 96, 1, &packet(0, 2, 1));
    core.set_layers(20, Some(0), Some(1), None).unwrap();
    sender.send(&mut core, VIDEO, 96, 3, &packet(1, 3, 0));
    sender.send(&mut core, VIDEO, 96, 2, &packet(1, 3, 1));
    sender.send(&mut core, VIDEO, 96, 4, &packet(0, 4, 1));
    let numbers = numbers(&mut core, &mut receiver);
    assert_no_gap(&numbers);
    assert_eq!(numbers.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [6, 6, 0, 6]);
}
