//! Millions of mutated datagrams for a whole core: `make fuzz`.

use super::*;
use crate::core::rtcp::{Nack, TransportFeedback};
use crate::core::wire::payload::{RedundantBlock, write_red};

const DATAGRAMS_PER_LIFE: u64 = 1000; // a life is the time of one core
const H264: u32 = 12; // the producer of it

/// A random generator with a seed (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True for this share of the calls, from 0 to 1.
    pub fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }
}

/// Three clients that send every kind of stream to each other.
fn world(dice: &mut Dice) -> (Core, Vec<Client>) {
    let mut core = Core::new(0.0);
    let mut clients: Vec<_> =
        PROFILES.into_iter().zip(1..).map(|(profile, number)| Client::connect(&mut core, number, profile)).collect();
    for (number, codec) in (10..).zip(["video/vp8", "video/vp9", "video/h264", "video/av1", "audio/opus"]) {
        let learnt = vec![EncodingSpec { rid: Some("l".into()), ..EncodingSpec::default() }, EncodingSpec::default()];
        let encodings = vec![
            EncodingSpec {
                ssrc: Some(10 * number as u32),
                rtx_ssrc: Some(10 * number as u32 + 5),
                ..EncodingSpec::default()
            },
            EncodingSpec { rid: Some("h".into()), ..EncodingSpec::default() },
        ];
        let spec = ProducerSpec {
            codec: codec.into(),
            payload_types: [(96, 101), (97, 100)].into(),
            extension_ids: [(1, 1), (2, 14), (3, 15), (4, 2)].into(),
            mid: Some(number.to_string()),
            mid_id: Some(1),
            rid_id: Some(2),
            repaired_rid_id: Some(5),
            wide_id: if dice.below(4) > 0 { Some(6) } else { None },
            rtx_payload_types: if dice.below(4) == 0 { [].into() } else { [(98, 96), (99, 97)].into() },
            nack: dice.below(8) > 0,
            red_payload_types: if dice.below(4) == 0 { [97].into() } else { [].into() },
            audio_level_id: Some(3),
            encodings: if dice.below(8) == 0 { learnt } else { encodings },
            ..video()
        };
        if core.add_producer(1 + number % 3, number, spec).is_err() {
            continue;
        }
        for transport in 1..4 {
            let format = ConsumerFormat {
                extension_ids: [1, 2, 14, 15].into(),
                rtx_payload_types: if dice.below(4) > 0 { [(101, 102), (100, 104)].into() } else { [].into() },
                mid_id: Some([3, 20][dice.below(2)]),
                red_payload_types: if dice.below(2) == 0 { [(100, 98), (101, 98)].into() } else { [].into() },
                wide_id: [None, Some(6), Some(21)][dice.below(3)],
                ..format()
            };
            let rtx_ssrc = Some(1000 + number as u32);
            let spec = ConsumerSpec { mid: Some("x"), rtx_ssrc, ..ConsumerSpec::new(&format, number as u32) };
            core.add_consumer(transport, 100 * number + transport, number, &spec, 1).unwrap();
        }
    }
    for transport in 1..4 {
        core.watch(transport, 0.0, 0.05, 0.2).unwrap();
        core.start_reports(transport, 0.01, 0.02).unwrap();
    }
    clients.rotate_left(dice.below(3));
    (core, clients)
}

/// A plain packet of one of the client's streams, sometimes with a MID and sometimes with a mutated header.
fn packet(dice: &mut Dice, transport: Id, number: u16) -> Vec<u8> {
    let mine: Vec<u32> = (10..15).filter(|producer| 1 + producer % 3 == transport as u32).collect();
    let producer = mine[dice.below(mine.len())];
    let mut packet = vec![0x80, 96 | (dice.next() as u8 & 0x81)];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) / 3 * 3000).to_be_bytes());
    let again = dice.below(5) == 0;
    let ssrc = 10 * producer + if again { 5 } else { 0 } + dice.below(2) as u32;
    packet.extend(ssrc.to_be_bytes());
    if dice.below(4) == 0 {
        packet[0] |= 0x10;
        let rid: &[u8] = if again { b"\x50h\x30\x05\x00" } else { b"\x20h\x30\x05\x00" };
        packet.extend([b"\xbe\xde\x00\x03\x11".as_slice(), producer.to_string().as_bytes(), rid].concat());
        let [high, low] = number.wrapping_sub((dice.below(3) as u16).wrapping_mul(dice.next() as u16)).to_be_bytes();
        packet.extend([0x61, high, low, 0]);
    }
    if again {
        packet[1] += 2;
        packet.extend(number.wrapping_sub(dice.below(60) as u16).to_be_bytes());
    }
    packet.extend(payload(dice, producer, number));
    flip(dice, &mut packet, 6);
    packet
}

/// A payload that often makes sense to the producer's codec, or holds redundant blocks (RFC 2198).
fn payload(dice: &mut Dice, producer: u32, number: u16) -> Vec<u8> {
    let rest = dice.bytes(40);
    if dice.below(6) == 0 {
        let block = |offset| RedundantBlock { payload_type: 96, offset, payload: b"earlier" };
        let blocks = [6000, 3000].map(block);
        let mut payload = Vec::new();
        write_red(&blocks[dice.below(2)..], 96, &rest, &mut payload);
        return payload;
    }
    if producer == H264 && dice.below(4) > 0 {
        let number_of_set = [0x80, 0x40][dice.below(2)];
        let units: [&[u8]; 4] = [&[0x67, 0x42, 0xE0, 0x1F, number_of_set], &[0x68, number_of_set], &[0x65], &[0x41]];
        return [units[dice.below(4)], &rest[..rest.len().min(dice.below(3))]].concat();
    }
    let marks = [0x90, 0xE0, 0x80 | (number >> 8) as u8, number as u8, number as u8 / 4, dice.next() as u8];
    [&marks[..], &[dice.next() as u8 & 1], &rest].concat()
}

/// Flip a bit with a chance of one in `seldom`, and perhaps more.
fn flip(dice: &mut Dice, datagram: &mut [u8], seldom: usize) {
    while !datagram.is_empty() && dice.below(seldom) == 0 {
        datagram[dice.below(datagram.len())] ^= 1 << dice.below(8);
    }
}

/// Packets that the client misses, of a stream that flows to it.
fn nack(dice: &mut Dice, core: &Core, client: &mut Client) -> Vec<u8> {
    let stats = |producer: u32| core.consumer_stats(100 * Id::from(producer) + client.transport);
    let flows = |producer: &u32| stats(*producer).is_ok_and(|stats| stats.encoding.is_some());
    let flowing: Vec<u32> = (10..15).filter(flows).collect();
    let producer = if flowing.is_empty() { 10 } else { flowing[dice.below(flowing.len())] };
    let newest = stats(producer).map_or(0, |stats| stats.packets as u16 + 1);
    let numbers: Vec<u16> = (0..1 + dice.below(8)).map(|step| newest.wrapping_sub(step as u16)).rev().collect();
    let mut compound = Vec::new();
    Nack::write(1, producer, &numbers, &mut compound);
    flip(dice, &mut compound, 4);
    client.srtp.seal_rtcp(&mut compound).unwrap();
    compound
}

/// Transport-wide feedback, much of it about packets that were sent.
fn feedback(dice: &mut Dice, client: &mut Client) -> Vec<u8> {
    let arrivals: Vec<_> =
        (0..1 + dice.below(40)).map(|_| (dice.below(4) > 0).then(|| dice.below(99) as i64)).collect();
    let mut compound = Vec::new();
    TransportFeedback::write((1, 2), dice.next() as u8, dice.below(900) as u16, &arrivals, &mut compound);
    flip(dice, &mut compound, 4);
    client.srtp.seal_rtcp(&mut compound).unwrap();
    compound
}

fn datagram(dice: &mut Dice, client: &mut Client, number: u16) -> Vec<u8> {
    let plain = packet(dice, client.transport, number);
    let mut datagram = match dice.below(8) {
        0..6 => client.seal_whole(plain),
        6 => {
            let head = [0x80 | dice.below(32) as u8, 199 + dice.below(9) as u8, 0, dice.below(16) as u8];
            let mut report = [&head[..], &plain[8..12], &dice.bytes(60)].concat();
            client.srtp.seal_rtcp(&mut report).unwrap();
            report
        }
        _ if dice.below(2) == 0 => credentials(1 + dice.below(3) as Id).request(dice.below(2) == 0),
        _ => dice.bytes(90),
    };
    flip(dice, &mut datagram, 6);
    if dice.below(20) == 0 {
        datagram.truncate(dice.below(datagram.len() + 1));
    }
    datagram
}

/// The memory of the packet stores is counted exactly.
fn check_stores(core: &Core) {
    let encodings = core.producers.values().flat_map(|producer| &producer.encodings);
    let stores = encodings.filter_map(|encoding| encoding.store.as_ref());
    assert_eq!(core.store_memory, stores.map(|store| store.reserved()).sum::<usize>());
}

/// A request of any client from any address, the answer to a check that left, or the end of a stream.
fn move_about(dice: &mut Dice, core: &mut Core, checks: &mut Vec<(Path, Vec<u8>)>, now: f64) {
    let anywhere = path(1 + dice.below(30) as Id);
    if let Some((to, check)) = checks.pop().filter(|_| dice.below(3) > 0) {
        let mut answer = [b"\x01\x11\x00\x00\x21\x12\xa4\x42", &check[8..20]].concat();
        core.receive(&mut answer, if dice.below(9) > 0 { to } else { anywhere }, now);
    }
    match dice.below(8) {
        0 => core.stream_closed(anywhere, now),
        _ => core.receive(&mut credentials(1 + dice.below(3) as Id).request(dice.below(2) == 0), anywhere, now),
    }
}

/// Each path belongs to the transport that knows it, and each transport sends on one of its own.
fn check_paths(core: &Core) {
    let known: usize = core.transports.values().map(|transport| transport.paths.all().count()).sum();
    assert_eq!(known, core.by_path.len());
    for (path, &key) in &core.by_path {
        assert!(core.transports[key].paths.all().any(|known| known == *path));
    }
    for transport in core.transports.values() {
        let sends_on = transport.paths.send_path();
        assert!(
            sends_on.map_or(transport.paths.all().count() == 0, |one| transport.paths.all().any(|known| known == one))
        );
    }
}

/// Feedback of a client, rates to aim at, or a probe.
fn measure(dice: &mut Dice, core: &mut Core, clients: &mut [Client], now: f64) {
    let transport = 1 + dice.below(3) as Id;
    match dice.below(3) {
        0 => {
            let client = &mut clients[dice.below(3)];
            core.receive(&mut feedback(dice, client), path(client.transport), now);
        }
        1 => {
            let next = [None, Some(1e6)][dice.below(2)];
            core.aim_bandwidth(transport, dice.share() * 1e7, next, 2e6).unwrap();
        }
        _ => {
            let key = core.transports.key(transport).unwrap();
            core.send_probe(key, dice.below(3000), now);
        }
    }
}

/// One life of a core.  Gives the number of copies that left, of those that left again, and of packets that came again.
fn live(seed: u64) -> [u64; 3] {
    let mut dice = Dice(seed);
    let (mut core, mut clients) = world(&mut dice);
    let mut checks = Vec::new();
    for number in 0..DATAGRAMS_PER_LIFE {
        let client = &mut clients[dice.below(3)];
        let mut datagram = datagram(&mut dice, client, number as u16);
        core.receive(&mut datagram, path(client.transport), number as f64 * 0.001);
        match dice.below(40) {
            0 => core.remove_consumer(1000 + dice.below(500) as Id),
            1 => {
                _ = core.set_layers(
                    1001 + 100 * dice.below(5) as Id,
                    Some(dice.below(2)),
                    Some(dice.below(3) as u8),
                    None,
                )
            }
            2 => _ = core.set_consumer_paused(1001 + 100 * dice.below(5) as Id, dice.below(2) == 0),
            3 => _ = core.set_producer_paused(10 + dice.below(5) as Id, dice.below(4) == 0),
            4 => _ = core.take_events(usize::MAX),
            6 => {
                let ssrc = 10 * (10 + dice.below(5) as u32) + dice.below(2) as u32;
                let (ntp, timestamp) = (dice.next(), dice.next() as u32);
                let info = SenderInfo { ssrc, ntp, timestamp, ..SenderInfo::default() };
                clients[dice.below(3)].report(&mut core, info, number as f64 * 0.001);
            }
            7 => _ = core.set_credentials(1 + dice.below(3) as Id, &format!("ours{}", dice.below(9)), PASSWORD),
            8 => _ = core.request_key_frame(10 + dice.below(5) as Id, dice.below(2), dice.below(2) == 0),
            9 => _ = core.watch(1 + dice.below(3) as Id, number as f64 * 0.001, 0.05, 0.2),
            15..18 => measure(&mut dice, &mut core, &mut clients, number as f64 * 0.001),
            10..15 => {
                let client = &mut clients[dice.below(3)];
                let mut datagram = nack(&mut dice, &core, client);
                core.receive(&mut datagram, path(client.transport), number as f64 * 0.001);
            }
            5 if dice.below(30) == 0 => core.remove_producer(10 + dice.below(5) as Id),
            _ => {}
        }
        core.pass_time(number as f64 * 0.001);
        core.flush(number as f64 * 0.001, 64, |to, bytes, _| {
            if bytes.len() == 28 && bytes[..2] == [0, 1] {
                checks.push((to, bytes.to_vec()));
            }
            Ok(())
        });
        if number % 50 > 40 {
            move_about(&mut dice, &mut core, &mut checks, number as f64 * 0.001);
        }
    }
    check_stores(&core);
    check_paths(&core);
    let consumers = (100..1500).filter_map(|consumer| core.consumer_stats(consumer).ok());
    [core.totals().packets_out, consumers.map(|stats| stats.resent).sum(), core.totals().repaired]
}

/// A failure prints the seed of that life.
#[test]
#[ignore = "takes a minute: make fuzz"]
fn ten_million_mutated_datagrams() {
    let wanted: u64 = std::env::var("FUZZ_DATAGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000_000);
    let first: u64 = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut total = [0; 3];
    for seed in first..first + wanted.div_ceil(DATAGRAMS_PER_LIFE) {
        let lived = std::panic::catch_unwind(|| live(seed));
        let lived = lived.unwrap_or_else(|_| panic!("it fails again with FUZZ_SEED={seed} FUZZ_DATAGRAMS=1"));
        total.iter_mut().zip(lived).for_each(|(total, one)| *total += one);
    }
    let [forwarded, resent, repaired] = total;
    println!("{wanted} datagrams came, {repaired} of them again; {forwarded} copies left, and {resent} left again");
    assert!(forwarded > wanted / 10 && resent > wanted / 1000 && repaired > wanted / 200);
}

#[test]
fn a_few_thousand_mutated_datagrams() {
    let lives: Vec<_> = (0..20).map(live).collect();
    for (place, least) in [1000, 50, 50].into_iter().enumerate() {
        assert!(lives.iter().map(|life| life[place]).sum::<u64>() > least, "{lives:?}");
    }
}
