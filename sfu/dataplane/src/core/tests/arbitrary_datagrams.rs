//! Whatever arrives, nothing panics and no other client is disturbed.

use super::*;
use proptest::prelude::*;

/// A datagram, and the changes to it: some bytes, its length, and where it comes from.
#[derive(Clone, Debug)]
struct Mutation {
    start: u8,
    noise: Vec<u8>,
    changes: Vec<(usize, u8)>,
    length: usize,
    origin: Id,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let changes = prop::collection::vec((0..120usize, any::<u8>()), 0..5);
    let noise = prop::collection::vec(any::<u8>(), 0..120);
    (0..6u8, noise, changes, prop_oneof![4 => Just(usize::MAX), 1 => 0..120usize], 1..5u64)
        .prop_map(|(start, noise, changes, length, origin)| Mutation { start, noise, changes, length, origin })
}

fn datagram(client: &mut Client, number: u16, mutation: &Mutation) -> Vec<u8> {
    let mut datagram = match mutation.start {
        0 => client.seal(VIDEO, 96, number, &mutation.noise),
        1 => client.seal(VIDEO, 96 | 0x80, number, VP8_KEY),
        2 => {
            let mut report = [&b"\x81\xc9\x00\x07"[..], &VIDEO.to_be_bytes(), &mutation.noise].concat();
            client.srtp.seal_rtcp(&mut report).unwrap();
            report
        }
        3 => [&b"\x90\x60"[..], &mutation.noise].concat(),
        4 => client.seal(VIDEO + 1, 97, number, &[&number.wrapping_sub(3).to_be_bytes()[..], &mutation.noise].concat()),
        _ => mutation.noise.clone(),
    };
    for &(place, value) in &mutation.changes {
        if let Some(byte) = datagram.get_mut(place) {
            *byte = value;
        }
    }
    datagram.truncate(mutation.length);
    datagram
}

proptest! {
    #[test]
    fn mutated_datagrams_disturb_nobody(
        mutations in prop::collection::vec(mutation(), 1..20),
        codec in prop::sample::select(vec!["video/vp8", "video/vp9", "video/h264", "video/av1"]),
        profile in prop::sample::select(PROFILES.to_vec()),
    ) {
        let mut core = Core::new(0.0);
        let mut mutant = Client::connect(&mut core, 1, profile);
        let mut other = Client::connect(&mut core, 2, profile);
        let mut listener = Client::connect(&mut core, 3, profile);
        let encodings = vec![EncodingSpec { ssrc: Some(VIDEO), rtx_ssrc: Some(VIDEO + 1), ..EncodingSpec::default() }];
        let again = ProducerSpec { nack: true, rtx_payload_types: [(97, 96)].into(), encodings, ..video() };
        core.add_producer(1, 10, ProducerSpec { codec: codec.into(), mid: Some("0".into()), mid_id: Some(1), ..again }).unwrap();
        core.add_producer(2, 11, audio()).unwrap();
        core.add_consumer(3, 20, 10, &consumer(7000), 1).unwrap();
        core.add_consumer(3, 21, 11, &consumer(7001), 1).unwrap();
        for (number, mutation) in mutations.iter().enumerate() {
            let mut datagram = datagram(&mut mutant, number as u16, mutation);
            core.receive(&mut datagram, path(mutation.origin), 1.0);
            core.set_layers(20, Some(0), Some(number as u8 % 3), None).unwrap();
            for (_, sealed) in leaving(&mut core, 1.0) {
                prop_assert!(listener.open(&sealed).is_ok());
            }
            other.send(&mut core, AUDIO, 111, number as u16, b"voice");
            let sent = leaving(&mut core, 1.0);
            prop_assert_eq!(sent.len(), 1);
            prop_assert_eq!(listener.open(&sent[0].1).unwrap().0.sequence_number, number as u16 + 1);
            core.take_events(usize::MAX);
        }
        let totals = core.totals();
        prop_assert_eq!(totals.packets_in, 2 * mutations.len() as u64);
        prop_assert!(totals.drops.iter().map(|(_, count)| count).sum::<u64>() <= mutations.len() as u64);
    }
}
