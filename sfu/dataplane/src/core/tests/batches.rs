//! The packets of a frame leave together, and in time.

use super::*;
use crate::core::wire::rtp::FIXED_HEADER_SIZE;

const HOLD: f64 = 0.001;
const LARGEST: usize = 1500 - 20 - 8; // bytes of a datagram on a path of 1,500
const TAG: usize = 16;

/// A sender of audio and video, and a receiver of both.
fn call() -> (Core, Client, Client) {
    let mut core = Core::new(HOLD);
    let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, video()).unwrap();
    core.add_producer(1, 11, audio()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    (core, sender, receiver)
}

fn sends(core: &mut Core, now: f64) -> Vec<usize> {
    let mut sends = Vec::new();
    core.flush(now, 64, |_, bytes, segment| {
        sends.push(bytes.len().div_ceil(segment));
        Ok(())
    });
    sends
}

#[test]
fn the_packets_of_a_frame_leave_in_one_send_when_the_last_one_has_come() {
    let (mut core, mut sender, _) = call();
    for number in 0..4 {
        sender.send(&mut core, VIDEO, 96, number, VP8_KEY);
    }
    assert_eq!(sends(&mut core, 1.0), []);
    sender.send(&mut core, VIDEO, 96 | 0x80, 4, VP8_KEY);
    assert_eq!(sends(&mut core, 1.0), [5]);
    assert_eq!(core.next_due(), None);
    assert_eq!((core.totals().packets_out, core.consumer_stats(20).unwrap().packets), (5, 5));
}

#[test]
fn a_frame_without_its_last_packet_waits_no_longer_than_the_limit() {
    let (mut core, mut sender, _) = call();
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    sender.send(&mut core, VIDEO, 96, 1, VP8_KEY);
    assert_eq!(core.next_due(), Some(1.0 + HOLD));
    assert_eq!(sends(&mut core, 1.0 + HOLD / 2.0), []);
    assert_eq!(sends(&mut core, 1.0 + HOLD), [2]);
}

#[test]
fn audio_leaves_at_once_with_everything_that_waits_for_the_same_receiver() {
    let (mut core, mut sender, mut receiver) = call();
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    sender.send(&mut core, AUDIO, 111, 0, b"voice");
    let payloads: Vec<Vec<u8>> =
        leaving(&mut core, 1.0).iter().map(|(_, datagram)| receiver.open(datagram).unwrap().1).collect();
    assert_eq!(payloads, [VP8_KEY, b"voice"]);
}

#[test]
fn a_failed_send_is_counted_as_a_drop_for_each_segment() {
    let (mut core, mut sender, _) = call();
    for number in 0..3 {
        sender.send(&mut core, VIDEO, 96, number, VP8_KEY);
    }
    core.flush(2.0, 64, |_, _, _| Err(DropReason::SendWouldBlock));
    assert_eq!(dropped(&core), [(DropReason::SendWouldBlock, 3)]);
    assert_eq!((core.totals().packets_out, core.consumer_stats(20).unwrap().packets), (0, 0));
}

#[test]
fn a_batch_leaves_on_the_send_path_of_that_moment() {
    let (mut core, mut sender, _) = call();
    sender.send(&mut core, VIDEO, 96, 0, VP8_KEY);
    core.receive(&mut credentials(2).request(true), path(99), 1.0);
    let sent = leaving(&mut core, 2.0);
    let to: Vec<Path> = sent.iter().map(|(path, _)| *path).collect();
    assert_eq!(to, [path(99); 3], "the answer, a check and the frame");
}

#[test]
fn packets_that_differ_by_some_bytes_are_padded_and_leave_in_one_send() {
    let (mut core, mut sender, mut receiver) = call();
    let payload = |size: usize| [VP8_KEY, &vec![9; size]].concat();
    let sizes = [1100, 1100, 1101, 1101, 700];
    for (number, size) in (0..).zip(sizes) {
        let marker = if number == 4 { 0x80 } else { 0 };
        sender.send(&mut core, VIDEO, 96 | marker, number, &payload(size));
    }
    let mut sent = Vec::new();
    core.flush(1.0, 64, |_, bytes, segment| {
        sent.push(bytes.chunks(segment).map(<[u8]>::to_vec).collect::<Vec<_>>());
        Ok(())
    });
    assert_eq!(sent.len(), 1);
    for ((datagram, size), added) in sent[0].iter().zip(sizes).zip([1, 1, 0, 0, 0]) {
        let (_, opened) = receiver.open(datagram).unwrap();
        assert_eq!((datagram[0] & 0x20 != 0, opened.len()), (added > 0, VP8_KEY.len() + size + added));
        assert!(opened.starts_with(&payload(size)));
        assert!(opened.ends_with(&[1][..added]));
    }
    let stats = core.consumer_stats(20).unwrap();
    let payloads = sizes.iter().map(|size| VP8_KEY.len() + size).sum::<usize>() as u64;
    assert_eq!((stats.packets, stats.octets, stats.bytes), (5, payloads, payloads + 5 * 12 + 2));
}

#[test]
fn padding_follows_the_payload_under_every_profile_and_header() {
    for profile in PROFILES {
        let mut core = Core::new(HOLD);
        let mut sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
        let mut receiver = Client::connect(&mut core, 2, profile);
        core.add_producer(1, 10, video()).unwrap();
        let spec = ConsumerSpec { format: &with_mid(4), mid: Some("mid"), ..consumer(7000) };
        core.add_consumer(2, 20, 10, &spec, 1).unwrap();
        for (number, (sources, added)) in (0..).zip([(0, 0), (2, 0), (1, 1), (0, 0)]) {
            let mut packet = vec![0x80 | sources, 96, 0, number, 0, 0, 0, 0];
            packet.extend(VIDEO.to_be_bytes());
            packet.extend(vec![7; 4 * usize::from(sources)]);
            packet.extend([VP8_KEY, &vec![9; 900 + added]].concat());
            core.receive(&mut sender.seal_whole(packet), path(1), 1.0);
        }
        let sent = leaving(&mut core, 2.0);
        let opened: Vec<(Header, Vec<u8>)> =
            sent.iter().map(|(_, datagram)| receiver.open(datagram).unwrap()).collect();
        for ((header, payload), (sources, added, padding)) in
            opened.iter().zip([(0, 0, 8), (2, 0, 0), (1, 1, 3), (0, 0, 0)])
        {
            assert_eq!((header.csrcs_end, header.padding), (12 + 4 * sources, padding > 0));
            let plain = [VP8_KEY, &vec![9; 900 + added]].concat();
            assert_eq!((payload.len(), payload.starts_with(&plain)), (plain.len() + padding, true));
            assert!(padding == 0 || payload.ends_with(&[0, padding as u8]));
        }
    }
}

#[test]
fn a_padded_packet_gets_no_more_padding() {
    let (mut core, mut sender, mut receiver) = call();
    for (number, payload) in (0..).zip([[VP8_KEY, &[9; 700], &[2, 2]].concat(), [VP8_KEY, &[9; 705]].concat()]) {
        let mut packet = vec![if number == 0 { 0xA0 } else { 0x80 }, 96, 0, number, 0, 0, 0, 0];
        packet.extend(VIDEO.to_be_bytes());
        packet.extend(payload);
        let mut packet = sender.seal_whole(packet);
        core.receive(&mut packet, path(1), 1.0);
    }
    let sent = leaving(&mut core, 2.0);
    assert_eq!(sent.len(), 2);
    assert!(receiver.open(&sent[0].1).unwrap().1.ends_with(&[9, 2, 2]));
    assert_eq!(core.consumer_stats(20).unwrap().octets, 2 * VP8_KEY.len() as u64 + 700 + 705);
}

#[test]
fn an_oversized_packet_is_dropped_and_the_rest_of_its_batch_leaves() {
    let (mut core, mut sender, mut receiver) = call();
    let largest = LARGEST - TAG - FIXED_HEADER_SIZE;
    for (number, size) in (0..).zip([largest, largest + 1, 50]) {
        sender.send(&mut core, VIDEO, 96, number, &[VP8_KEY, &vec![9; size - VP8_KEY.len()]].concat());
    }
    assert_eq!(dropped(&core), [(DropReason::Oversized, 1)]);
    let sent = leaving(&mut core, 2.0);
    let sizes: Vec<usize> = sent.iter().map(|(_, datagram)| receiver.open(datagram).unwrap().1.len()).collect();
    assert_eq!(sizes, [largest, 50]);
}

#[test]
fn a_large_key_frame_leaves_in_several_sends_and_its_memory_is_freed() {
    let (mut core, mut sender, _) = call();
    let largest = LARGEST - TAG - FIXED_HEADER_SIZE;
    for number in 0..60 {
        let size = if number == 0 { largest } else { largest - 20 };
        sender.send(&mut core, VIDEO, 96, number, &[VP8_KEY, &vec![9; size - VP8_KEY.len()]].concat());
    }
    let mut sends = Vec::new();
    core.flush(2.0, 64, |_, bytes, segment| {
        sends.push((bytes.len(), segment));
        Ok(())
    });
    let (padded, plain) = (LARGEST, LARGEST - 20);
    assert_eq!(sends, [(43 * padded + plain, padded), (16 * plain, plain)]);
    let receiver = core.transports.key(2).unwrap();
    assert!(core.transports[receiver].batch.bytes.capacity() <= 32 * 1024);
}
