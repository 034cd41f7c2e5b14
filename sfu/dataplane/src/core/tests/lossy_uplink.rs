//! A publisher behind a network that loses packets, under virtual time: one hop, there and back.

use super::fuzz::Dice;
use super::*;
use crate::core::Event;
use crate::core::rtcp::{RtcpPacket, read_untrusted};
use std::collections::BTreeMap;

const RTX: u32 = 2223;
const DELAY: u64 = 50; // ms each way
const FRAME: u64 = 33; // ms
const SECONDS: u64 = 60;
const IN_TIME: u64 = 250; // ms after the undisturbed arrival

/// A network that loses each packet with the same chance, or begins a burst of losses.
struct Network {
    dice: Dice,
    /// Lost packets in 1,000, and the most that are lost together.
    loss: (usize, usize),
    losing: usize,
    /// Packets on their way, by the ms of their arrival.
    flying: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl Network {
    fn new(seed: u64, loss: (usize, usize)) -> Self {
        Self { dice: Dice(seed), loss, losing: 0, flying: BTreeMap::new() }
    }

    fn send(&mut self, packet: Vec<u8>, now: u64) {
        let (share, burst) = self.loss;
        if self.losing == 0 && self.dice.below(1000 * burst.div_ceil(2)) < share {
            self.losing = 1 + self.dice.below(burst);
        }
        if self.losing > 0 {
            self.losing -= 1;
        } else {
            self.flying.entry(now + DELAY).or_default().push(packet);
        }
    }

    fn arrive(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.flying.remove(&now).unwrap_or_default()
    }
}

/// A publisher of video (30 frames a second, five packets each) and audio that answers NACKs.
struct Publisher {
    client: Client,
    sent: HashMap<(u32, u16), Vec<u8>>,
    audio: HashMap<u16, Vec<u8>>,
    rtx_number: u16,
}

impl Publisher {
    /// The packets of this ms.
    fn packets(&mut self, ms: u64) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        if ms.is_multiple_of(FRAME) {
            for part in 0..5 {
                let number = (ms / FRAME * 5 + part) as u16;
                let payload = [if part == 0 { 0x10 } else { 0 }, u8::from(ms > 0), 7, 7];
                let head = [0x80, 96 | if part == 4 { 0x80 } else { 0 }];
                let timestamp = (ms / FRAME * 2970) as u32;
                let packet =
                    [&head[..], &number.to_be_bytes(), &timestamp.to_be_bytes(), &VIDEO.to_be_bytes(), &payload]
                        .concat();
                self.sent.insert((VIDEO, number), packet.clone());
                packets.push(self.client.seal_whole(packet));
            }
        }
        if ms % 20 == 7 {
            let number = (ms / 20) as u16;
            let sealed = self.client.seal(AUDIO, 111, number, b"voice");
            self.audio.insert(number, sealed.clone());
            packets.push(sealed);
        }
        packets
    }

    /// The answers to a packet of NACKs.
    fn answer(&mut self, mut datagram: Vec<u8>) -> Vec<Vec<u8>> {
        let size = self.client.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
        let mut asked = Vec::new();
        for packet in read_untrusted(&datagram[..size]) {
            let Ok(RtcpPacket::Nack(nack)) = packet else { panic!("{packet:?}") };
            asked.extend(nack.numbers().map(|number| (nack.media_ssrc, number)));
        }
        asked.into_iter().map(|(ssrc, number)| self.again(ssrc, number)).collect()
    }

    fn again(&mut self, ssrc: u32, number: u16) -> Vec<u8> {
        if ssrc == AUDIO {
            return self.audio[&number].clone();
        }
        let original = &self.sent[&(ssrc, number)];
        self.rtx_number += 1;
        let head = [0x80, original[1] & 0x80 | 97];
        let (timestamp, osn) = (&original[4..8], &original[2..4]);
        let number = self.rtx_number.to_be_bytes();
        let packet = [&head[..], &number, timestamp, &RTX.to_be_bytes(), osn, &original[12..]].concat();
        self.client.seal_whole(packet)
    }
}

fn call() -> (Core, Publisher, Client) {
    let mut core = Core::new(0.001);
    let client = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    let encodings = vec![EncodingSpec { ssrc: Some(VIDEO), rtx_ssrc: Some(RTX), ..EncodingSpec::default() }];
    let rtx_payload_types = [(97, 96)].into();
    core.add_producer(1, 10, ProducerSpec { nack: true, encodings, rtx_payload_types, ..video() }).unwrap();
    core.add_producer(1, 11, ProducerSpec { nack: true, ..audio() }).unwrap();
    core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    (core, Publisher { client, sent: HashMap::new(), audio: HashMap::new(), rtx_number: 0 }, receiver)
}

/// The outcome for video or audio.
#[derive(Clone, Copy, Default)]
struct Outcome {
    sent: usize,
    came: usize,
    in_time: usize,
}

/// Gives the outcome for video and for audio, and how many packets were sent again.
fn run(seed: u64, loss: (usize, usize)) -> ([Outcome; 2], usize) {
    let (mut core, mut publisher, mut receiver) = call();
    let (mut up, mut down) = (Network::new(seed, loss), Network::new(seed + 1000, loss));
    let (mut outcomes, mut again) = ([Outcome::default(); 2], 0);
    for ms in 0..1000 * SECONDS {
        let now = ms as f64 / 1000.0;
        // Nothing new is sent in the last second, so that everything can arrive.
        for packet in publisher.packets(ms).into_iter().filter(|_| ms < 1000 * (SECONDS - 1)) {
            outcomes[usize::from(packet[1] & 0x7F == 111)].sent += 1;
            // The first packets always arrive, so that the receiver begins.
            if ms < 10 { up.flying.entry(ms + DELAY).or_default().push(packet) } else { up.send(packet, ms) }
        }
        for nacks in down.arrive(ms) {
            let answers = publisher.answer(nacks);
            again += answers.len();
            answers.into_iter().for_each(|packet| up.send(packet, ms));
        }
        up.arrive(ms).iter_mut().for_each(|packet| core.receive(packet, path(1), now));
        core.pass_time(now);
        for (to, datagram) in leaving(&mut core, now) {
            if to == path(1) {
                down.send(datagram, ms);
                continue;
            }
            // The receiver refuses a packet that comes twice.
            let (header, _) = receiver.open(&datagram).unwrap();
            let number = u64::from(header.sequence_number) - 1;
            let (stream, sent) = if header.ssrc == 7000 { (0, number / 5 * FRAME) } else { (1, 20 * number + 7) };
            outcomes[stream].came += 1;
            outcomes[stream].in_time += usize::from(ms - sent - DELAY <= IN_TIME);
        }
    }
    assert_eq!(core.take_events(usize::MAX).iter().filter(|event| is_failure(event)).count(), 0);
    (outcomes, again)
}

fn is_failure(event: &Event) -> bool {
    matches!(event, Event::RepairFailed { .. })
}

/// Over three seeds: the packets in 1,000 that did not come in time, of video and audio, and that were sent again.
fn late_and_again(loss: (usize, usize)) -> ([f64; 2], f64) {
    let (mut total, mut again) = ([Outcome::default(); 2], 0);
    for seed in 1..4 {
        let (outcomes, sent_again) = run(seed, loss);
        again += sent_again;
        for (total, one) in total.iter_mut().zip(outcomes) {
            total.sent += one.sent;
            total.came += one.came;
            total.in_time += one.in_time;
        }
    }
    let late = total.map(|one| 1000.0 * (one.sent - one.in_time) as f64 / one.sent as f64);
    (late, 1000.0 * again as f64 / (total[0].sent + total[1].sent) as f64)
}

#[test]
fn nearly_every_packet_arrives_in_time_over_a_network_that_loses_five_percent_each_way() {
    let ([video, audio], again) = late_and_again((50, 1));
    println!("late: video {video:.2}, audio {audio:.2}; sent again: {again:.1} (in 1,000)");
    assert!(video <= 1.0 && audio <= 1.0, "of 1,000 packets {video} and {audio} were late");
    // One in twenty is lost, and some requests and answers are lost too.
    assert!(again < 58.0, "of 1,000 packets {again} were sent again");
}

#[test]
fn losses_in_bursts_are_repaired_too() {
    let ([video, audio], again) = late_and_again((50, 8));
    println!("late: video {video:.2}, audio {audio:.2}; sent again: {again:.1} (in 1,000)");
    assert!(video <= 5.0 && audio <= 5.0, "of 1,000 packets {video} and {audio} were late");
}
