//! The cost of one forwarded packet in the core, without the system call: `cargo bench --no-default-features`.
//!
//! One source has 10, 60 and 200 receivers, which could ask for the packets of video again.  The figures are nanoseconds
//! for each packet that leaves, the best of five rounds.  "With feedback" is video with transport-wide numbers, and its
//! share of reading the feedback that comes every 100 ms.  The last column is one packet that is sent again: its share
//! of opening the request, and everything up to the system call.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use _dataplane::core::rtcp::{Nack, TransportFeedback};
use _dataplane::core::{ConsumerFormat, ConsumerSpec, Core, EncodingSpec, Path, ProducerSpec, Profile, Srtp};

const ROUNDS: usize = 5;
const PACKETS: usize = 4000; // in a round
const HEADER: usize = 28;
const ASKED: usize = 16; // packets that one request asks for
const REPORTED: usize = 15; // packets that feedback is about: 150 packets a second, and feedback every 100 ms
const MEDIA: u64 = 1000; // the SSRC of a receiver's media, less its number
const EXTENSION: &[u8] = b"\xbe\xde\x00\x03\x10\x10\x22abc\x400\x00\x00\x00\x00";

#[derive(Clone, Copy)]
struct Load {
    codec: &'static str,
    video: bool,
    payload: usize,
    burst: usize,
    numbered: bool,
}

const VIDEO: Load = Load { codec: "video/vp8", video: true, payload: 1100, burst: 5, numbered: false };
const NUMBERED: Load = Load { numbered: true, ..VIDEO };
const AUDIO: Load = Load { codec: "audio/opus", video: false, payload: 100, burst: 1, numbered: false };

fn path(number: u64) -> Path {
    Path { remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 1000 + number as u16)), local: 0 }
}

fn connected(profile: Profile, load: Load, receivers: u64) -> (Core, Srtp) {
    let size = profile.key_length() + profile.salt_length();
    let (theirs, ours) = (vec![1; size], vec![2; size]);
    let mut core = Core::new(0.001);
    for transport in 0..=receivers {
        core.add_transport(transport).unwrap();
        core.set_keys(transport, profile, &theirs, &ours).unwrap();
        core.add_path(transport, path(transport)).unwrap();
    }
    let producer = ProducerSpec {
        codec: load.codec.into(),
        video: load.video,
        clock_rate: 90000,
        payload_types: [(96, 100)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(1), ..EncodingSpec::default() }],
        extension_ids: [(1, 10), (2, 4), (4, 1)].into(),
        mid: Some("0".into()),
        mid_id: Some(4),
        audio_level_id: Some(1),
        ..ProducerSpec::default()
    };
    core.add_producer(0, 0, producer).unwrap();
    let format = ConsumerFormat {
        payload_types: [100].into(),
        extension_ids: [4, 10].into(),
        mid_id: Some(1),
        wide_id: load.numbered.then_some(5),
        rtx_payload_types: if load.video { [(100, 101)].into() } else { [].into() },
        ..ConsumerFormat::default()
    };
    for receiver in 1..=receivers {
        let mid = receiver.to_string();
        let (ssrc, rtx_ssrc) = ((MEDIA + receiver) as u32, Some((2 * MEDIA + receiver) as u32));
        let consumer = ConsumerSpec { mid: Some(&mid), rtx_ssrc, ..ConsumerSpec::new(&format, ssrc) };
        core.add_consumer(receiver, receiver, 0, &consumer, 1).unwrap();
    }
    (core, Srtp::new(profile, &ours, &theirs).unwrap())
}

fn packet(client: &Srtp, load: Load, number: usize) -> Vec<u8> {
    let marker = if (number + 1).is_multiple_of(load.burst) { 0x80 } else { 0 };
    let mut packet = vec![0x90, 96 | marker];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((number as u32 / load.burst as u32 * 3000).to_be_bytes());
    packet.extend(1u32.to_be_bytes());
    packet.extend(EXTENSION);
    // A VP8 descriptor with a picture id and a layer, and a key frame.  The core does not read Opus.
    packet.extend([0x90, 0xE0, 0x85, 0, 1, 0x20, 0]);
    packet.resize(HEADER + load.payload, 0);
    packet.resize(packet.len() + client.rtp_trailer(), 0);
    client.seal_rtp(&mut packet, HEADER, 1, number as u64);
    packet
}

/// Nanoseconds for each packet that leaves.
fn cost(profile: Profile, load: Load, receivers: u64) -> f64 {
    let (mut core, client) = connected(profile, load, receivers);
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let numbers = round * PACKETS..(round + 1) * PACKETS;
        let mut packets: Vec<_> = numbers.clone().map(|number| packet(&client, load, number)).collect();
        let before = core.totals().packets_out;
        let began = Instant::now();
        for (number, datagram) in numbers.zip(&mut packets) {
            let now = number as f64 * 0.0001;
            core.receive(datagram, path(0), now);
            core.flush(now, 64, |_, bytes, _| {
                black_box(bytes);
                Ok(())
            });
        }
        let spent = began.elapsed().as_nanos() as f64;
        best = best.min(spent / (core.totals().packets_out - before) as f64);
    }
    best
}

/// Nanoseconds for each packet that leaves with a number, and its share of the feedback of its receiver.
fn cost_with_feedback(profile: Profile, receivers: u64) -> f64 {
    let (mut core, mut client) = connected(profile, NUMBERED, receivers);
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let packets = PACKETS / REPORTED * REPORTED;
        let numbers = round * packets..(round + 1) * packets;
        let mut packets: Vec<_> = numbers.clone().map(|number| packet(&client, NUMBERED, number)).collect();
        let mut reports: Vec<_> = numbers.clone().step_by(REPORTED).map(|first| feedback(&mut client, first)).collect();
        let mut reports = reports.iter_mut();
        let before = core.totals().packets_out;
        let began = Instant::now();
        for (number, datagram) in numbers.zip(&mut packets) {
            let now = number as f64 / (10 * REPORTED) as f64;
            core.receive(datagram, path(0), now);
            core.flush(now, 64, |_, bytes, _| {
                black_box(bytes);
                Ok(())
            });
            if number % REPORTED == REPORTED - 1 {
                let report = reports.next().expect("there is one for each group of packets");
                for receiver in 1..=receivers {
                    core.receive(&mut report.clone(), path(receiver), now + 0.02);
                }
                core.pass_time(now + 0.02);
            }
        }
        let spent = began.elapsed().as_nanos() as f64;
        best = best.min(spent / (core.totals().packets_out - before) as f64);
    }
    assert!(core.totals().feedback_of_receivers > receivers * 100);
    best
}

/// All receivers have the same keys, so each of them may send this report about its packets.
fn feedback(client: &mut Srtp, first: usize) -> Vec<u8> {
    let ticks = |number: usize| number as i64 * 4000 / (10 * REPORTED) as i64;
    let arrivals: Vec<_> = (first..first + REPORTED).map(|number| Some(ticks(number))).collect();
    let mut report = Vec::new();
    TransportFeedback::write((1, MEDIA as u32), (first / REPORTED) as u8, first as u16, &arrivals, &mut report);
    client.seal_rtcp(&mut report).unwrap();
    report
}

/// Nanoseconds for each packet of video that is sent again to one of the receivers.
fn cost_of_resend(profile: Profile, receivers: u64) -> f64 {
    let (mut core, mut client) = connected(profile, VIDEO, receivers);
    let (mut spent, mut now) = (0.0, 0.0);
    for number in 0..PACKETS {
        // 2,000 packets a second, of which the receiver asks for 5 %.
        now = number as f64 * 0.0005;
        core.receive(&mut packet(&client, VIDEO, number), path(0), now);
        core.flush(now, 64, |_, _, _| Ok(()));
        if number % (20 * ASKED) == 20 * ASKED - 1 {
            let first = number + 2 - ASKED;
            let asked: Vec<u16> = (first..first + ASKED).map(|number| number as u16).collect();
            let mut request = Vec::new();
            Nack::write(1, (MEDIA + 1) as u32, &asked, &mut request);
            client.seal_rtcp(&mut request).unwrap();
            let began = Instant::now();
            core.receive(&mut request, path(1), now);
            core.flush(now, 64, |_, bytes, _| {
                black_box(bytes);
                Ok(())
            });
            spent += began.elapsed().as_nanos() as f64;
        }
    }
    core.flush(now + 1.0, 64, |_, _, _| Ok(()));
    let resent = core.totals().resent;
    assert_eq!(resent as usize, PACKETS / 20 / ASKED * ASKED);
    spent / resent as f64
}

fn main() {
    println!("| receivers | profile | video, 1,100 bytes | with feedback | audio, 100 bytes | video again |");
    println!("|---|---|---|---|---|---|");
    for receivers in [10, 60, 200] {
        for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
            let (video, audio) = (cost(profile, VIDEO, receivers), cost(profile, AUDIO, receivers));
            let again = (0..ROUNDS).map(|_| cost_of_resend(profile, receivers)).fold(f64::INFINITY, f64::min);
            let numbered = cost_with_feedback(profile, receivers);
            println!(
                "| {receivers} | {profile:?} | {video:.0} ns | {numbered:.0} ns | {audio:.0} ns | {again:.0} ns |"
            );
        }
    }
}
