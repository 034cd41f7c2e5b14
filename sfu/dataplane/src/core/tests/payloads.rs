//! Payloads: padding, primary blocks of redundant audio, and the size that a path carries.

use std::net::Ipv6Addr;

use super::*;

const LARGEST: usize = 1500 - 20 - 8; // bytes of a datagram on a path of 1,500
const TAG: usize = 16;

fn h264() -> ProducerSpec {
    ProducerSpec { codec: "video/h264".into(), payload_types: [(105, 105)].into(), ..video() }
}

fn call(spec: ProducerSpec, receive: &ConsumerSpec<'_>) -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, Profile::AeadAes128Gcm);
    let receiver = Client::connect(&mut core, 2, Profile::AeadAes128Gcm);
    core.add_producer(1, 10, spec).unwrap();
    core.add_consumer(2, 20, 10, receive, 1).unwrap();
    (core, sender, receiver)
}

/// A receiver of this payload type alone.
fn only(payload_type: u8) -> ConsumerFormat {
    ConsumerFormat { payload_types: [payload_type].into(), ..format() }
}

fn takes(payload_type: u8) -> ConsumerSpec<'static> {
    ConsumerSpec::new(Box::leak(Box::new(only(payload_type))), 7000)
}

fn opened(core: &mut Core, receiver: &mut Client) -> Vec<(Header, Vec<u8>)> {
    leaving(core, f64::MAX).iter().map(|(_, datagram)| receiver.open(datagram).unwrap()).collect()
}

fn padded(ssrc: u32, payload_type: u8, number: u16, payload: &[u8], padding: u8) -> Vec<u8> {
    let mut packet = vec![0x80 | if padding > 0 { 0x20 } else { 0 }, payload_type];
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet.extend(vec![0; usize::from(padding).saturating_sub(1)]);
    packet.extend((padding > 0).then_some(padding));
    packet
}

#[test]
fn parameter_sets_with_padding_behind_them_are_a_key_frame() {
    let sets = b"\x78\x00\x07\x67\x42\xe0\x1f\x8c\x8d\x40\x00\x04\x68\xce\x3c\x80";
    for padding in 0..=15 {
        let (mut core, mut sender, mut receiver) = call(h264(), &takes(105));
        let packets = [&sets[..], b"\x7c\x85idr", b"\x7c\x45idr", b"\x41slice"];
        for (number, payload) in (0..).zip(packets) {
            let padding = if number == 0 { padding } else { 0 };
            let mut sealed = sender.seal_whole(padded(VIDEO, 105, number, payload, padding));
            core.receive(&mut sealed, path(1), 1.0);
        }
        let payloads: Vec<_> = opened(&mut core, &mut receiver).into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(payloads.len(), 4, "{padding} octets");
        assert!(payloads.iter().zip(packets).all(|(arrived, sent)| arrived.starts_with(sent)));
        assert_eq!(core.producer_stats(10).unwrap().encodings[0].key_frames, 1);
    }
}

#[test]
fn padding_is_not_read_as_payload_and_is_forwarded() {
    for (codec, payload) in [("audio/opus", &b"voice"[..]), ("video/vp8", VP8_KEY), ("video/vp9", b"\x08key")] {
        let spec = ProducerSpec { codec: codec.into(), payload_types: [(96, 101)].into(), ..video() };
        let (mut core, mut sender, mut receiver) = call(spec, &takes(101));
        let mut sealed = sender.seal_whole(padded(VIDEO, 96, 0, payload, 200));
        core.receive(&mut sealed, path(1), 1.0);
        let [(header, forwarded)] = &opened(&mut core, &mut receiver)[..] else { panic!("{codec}") };
        assert_eq!((header.padding, forwarded.len()), (true, payload.len() + 200), "{codec}");
        assert!(forwarded.starts_with(payload) && forwarded.ends_with(&[0, 200]), "{codec}");
        assert_eq!(core.consumer_stats(20).unwrap().octets, payload.len() as u64);
    }
}

#[test]
fn a_packet_that_its_padding_makes_too_large_is_forwarded_without_it() {
    let (mut core, mut sender, mut receiver) = call(video(), &takes(101));
    let format = ConsumerFormat { mid_id: Some(1), ..only(101) };
    let spec = ConsumerSpec { mid: Some("0"), ..ConsumerSpec::new(&format, 7001) };
    core.add_consumer(2, 21, 10, &spec, 1).unwrap();
    let payload = [VP8_KEY, &[9; 1350]].concat();
    let mut sealed = sender.seal_whole(padded(VIDEO, 96, 0, &payload, (1456 - 12 - payload.len()) as u8));
    core.receive(&mut sealed, path(1), 1.0);
    let [(whole, _), (without, forwarded)] = &opened(&mut core, &mut receiver)[..] else { panic!() };
    assert_eq!((whole.padding, without.padding, forwarded), (true, false, &payload));
}

#[test]
fn a_redundant_packet_is_forwarded_as_its_primary_block() {
    let spec = ProducerSpec { red_payload_types: [63].into(), ..audio() };
    let (mut core, mut sender, mut receiver) = call(spec, &takes(100));
    sender.send(&mut core, AUDIO, 63, 0, b"\x6ffirst");
    sender.send(&mut core, AUDIO, 63, 1, b"\xef\x0f\x00\x05\x6ffirstsecond");
    sender.send(&mut core, AUDIO, 111, 2, b"third");
    let got = opened(&mut core, &mut receiver);
    assert_eq!(got.iter().map(|(_, payload)| &payload[..]).collect::<Vec<_>>(), [&b"first"[..], b"second", b"third"]);
    assert!(got.iter().all(|(header, _)| header.payload_type == 100));
}

#[test]
fn a_malformed_redundant_packet_costs_only_itself() {
    let spec = ProducerSpec { red_payload_types: [63].into(), ..audio() };
    let (mut core, mut sender, mut receiver) = call(spec, &takes(100));
    sender.send(&mut core, AUDIO, 111, 0, b"voice");
    sender.send(&mut core, AUDIO, 63, 1, b"\xef\x0f\x03\xff\x6fvoice");
    sender.send(&mut core, AUDIO, 63, 2, b"\x3f\x6fnested");
    sender.send(&mut core, AUDIO, 63, 3, b"\x00pcmu");
    sender.send(&mut core, AUDIO, 63, 4, b"\x6f");
    sender.send(&mut core, AUDIO, 111, 5, b"voice");
    let numbers: Vec<u16> = opened(&mut core, &mut receiver).iter().map(|(header, _)| header.sequence_number).collect();
    assert_eq!(numbers, [1, 2]);
    let expected = [(DropReason::MalformedRtp, 1), (DropReason::UnknownPayloadType, 2), (DropReason::PaddingOnly, 1)];
    assert_eq!(dropped(&core), expected);
}

#[test]
fn a_packet_gets_our_mid_as_long_as_it_fits_1500_bytes() {
    let format = ConsumerFormat { mid_id: Some(1), ..only(101) };
    let with_mid = ConsumerSpec { mid: Some("0"), ..ConsumerSpec::new(&format, 7000) };
    for (size, size_of_mid) in [(1349, 8), (1448, 8), (1449, 0), (1456, 0)] {
        let (mut core, mut sender, mut receiver) = call(video(), &with_mid);
        sender.send(&mut core, VIDEO, 96, 0, &[VP8_KEY, &vec![9; size - 12 - VP8_KEY.len()]].concat());
        let sent = leaving(&mut core, 9.0);
        assert_eq!(sent[0].1.len(), size + size_of_mid + TAG);
        assert_eq!(receiver.open(&sent[0].1).unwrap().1.len(), size - 12);
        assert!(sent[0].1.len() <= LARGEST);
    }
}

#[test]
fn an_oversized_packet_is_counted() {
    let (mut core, mut sender, _) = call(video(), &takes(101));
    sender.send(&mut core, VIDEO, 96, 0, &[VP8_KEY, &vec![9; 1457 - 12 - VP8_KEY.len()]].concat());
    assert_eq!((leaving(&mut core, 9.0).len(), dropped(&core)), (0, vec![(DropReason::Oversized, 1)]));
}

#[test]
fn an_ipv6_path_carries_twenty_bytes_less() {
    for (size, arrives) in [(1436, 1), (1437, 0)] {
        let (mut core, mut sender, _) = call(video(), &takes(101));
        let remote = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1002);
        core.receive(&mut credentials(2).request(true), Path { remote, local: 1 }, 1.0);
        assert_eq!(leaving(&mut core, 9.0).len(), 2, "the answer and a check");
        sender.send(&mut core, VIDEO, 96, 0, &[VP8_KEY, &vec![9; size - 12 - VP8_KEY.len()]].concat());
        assert_eq!(leaving(&mut core, 9.0).len(), arrives, "{size}");
    }
}

#[test]
fn a_malformed_extension_does_not_cost_the_packet() {
    for block in [&b"\xbe\xde\x00\x01\x10\x30\x5f\x01"[..], b"\x10\x00\x00\x02\x01\x01\x30\x05\x07a\x00\x00"] {
        let spec = ProducerSpec {
            mid: Some("0".into()),
            mid_id: Some(1),
            encodings: vec![EncodingSpec::default()],
            ..video()
        };
        let (mut core, mut sender, mut receiver) = call(spec, &takes(101));
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5];
        packet.extend(block);
        packet.extend(VP8_KEY);
        core.receive(&mut sender.seal_whole(packet), path(1), 1.0);
        assert_eq!(opened(&mut core, &mut receiver).len(), 1, "{block:x?}");
    }
}
