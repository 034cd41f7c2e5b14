//! Missing packets: the core asks the publisher for them, and forwards them in their places when they come again.

mod late_key_frames;
mod retransmissions;

use super::*;
use crate::core::Event;
use crate::core::rtcp::{Nack, RtcpPacket, read_untrusted};

const OURS: u32 = 99;
const RTX: u32 = 2223;
const VP8: &[u8] = b"\x10\x01frame";

fn repaired_video() -> ProducerSpec {
    ProducerSpec {
        nack: true,
        rtx_payload_types: [(97, 96)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(VIDEO), rtx_ssrc: Some(RTX), ..EncodingSpec::default() }],
        ..video()
    }
}

struct Call {
    core: Core,
    sender: Client,
    receiver: Client,
}

impl Call {
    /// A publisher of this stream, and a receiver of its first encoding.
    fn new(spec: ProducerSpec) -> Self {
        let mut core = Core::new(0.0);
        core.set_rtcp_source(OURS, "router");
        let sender = Client::connect(&mut core, 1, PROFILES[0]);
        let receiver = Client::connect(&mut core, 2, PROFILES[0]);
        core.add_producer(1, 10, spec).unwrap();
        core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
        Self { core, sender, receiver }
    }

    /// A packet arrives at `now`, in seconds.
    fn arrive(&mut self, packet: Vec<u8>, now: f64) {
        self.core.receive(&mut self.sender.seal_whole(packet), path(1), now);
    }

    /// Packets of the video arrive, the first of them a key frame; each is a frame of its own.
    fn arrive_all(&mut self, numbers: impl IntoIterator<Item = u16>, now: f64) {
        for number in numbers {
            self.arrive(media(number), now);
        }
    }

    /// Let time pass.  Gives the numbers that the publisher is asked for, with the SSRC.
    fn asked(&mut self, now: f64) -> Vec<(u32, Vec<u16>)> {
        self.core.pass_time(now);
        let mut asked = Vec::new();
        for (to, mut datagram) in leaving(&mut self.core, now) {
            if to == path(1) {
                let size = self.sender.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
                assert!(size <= 1100);
                for packet in read_untrusted(&datagram[..size]) {
                    let Ok(RtcpPacket::Nack(nack)) = packet else { panic!("{packet:?}") };
                    assert_eq!(nack.sender_ssrc, OURS);
                    asked.push((nack.media_ssrc, nack.numbers().collect()));
                }
            }
        }
        asked
    }

    /// The sequence numbers that the receiver gets.
    fn got(&mut self) -> Vec<u16> {
        let sent = leaving(&mut self.core, f64::MAX).into_iter().filter(|(to, _)| *to == path(2));
        sent.map(|(_, datagram)| self.receiver.open(&datagram).unwrap().0.sequence_number).collect()
    }

    fn stats(&self) -> crate::core::EncodingStats {
        self.core.producer_stats(10).unwrap().encodings[0].clone()
    }
}

/// A packet with these extension elements.
fn packet(ssrc: u32, payload_type: u8, number: u16, elements: &[(u8, u8)], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 0, 0]);
    packet.extend(ssrc.to_be_bytes());
    if !elements.is_empty() {
        packet[0] |= 0x10;
        packet.extend([0xBE, 0xDE, 0, elements.len().div_ceil(2) as u8]);
        elements.iter().for_each(|&(id, value)| packet.extend([id << 4, value]));
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    packet.extend(payload);
    packet
}

fn media(number: u16) -> Vec<u8> {
    let mut packet = packet(VIDEO, 96 | 0x80, number, &[], if number == 0 { VP8_KEY } else { VP8 });
    packet[4..8].copy_from_slice(&(3000 * u32::from(number)).to_be_bytes());
    packet
}

/// The retransmission of a packet.
fn rtx(ssrc: u32, number: u16, original: &[u8]) -> Vec<u8> {
    let mut packet = original[..12].to_vec();
    packet[1] = packet[1] & 0x80 | 97;
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet.extend(&original[2..4]);
    packet.extend(&original[12..]);
    packet
}

#[test]
fn a_missing_packet_is_asked_for_and_takes_its_place_when_it_comes_again() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 1, 4], 1.0);
    assert_eq!((call.asked(1.009), call.core.next_due()), (vec![], Some(1.010)));
    assert_eq!(call.asked(1.010), [(VIDEO, vec![2, 3])]);
    call.arrive(rtx(RTX, 500, &media(3)), 1.060);
    assert_eq!(call.got(), [4], "0, 1 and 4 left before");
    call.arrive(rtx(RTX, 501, &media(2)), 1.060);
    call.arrive(rtx(RTX, 502, &media(2)), 1.070);
    call.arrive(media(2), 1.080);
    assert_eq!(call.got(), [3]);
    assert_eq!((call.asked(1.120), call.core.next_due()), (vec![], None));
    let stats = call.stats();
    assert_eq!((stats.requested, stats.repaired, stats.given_up), (2, 2, 0));
    assert_eq!((stats.round_trip.map(|seconds| (1000.0 * seconds).round()), stats.packets), (Some(50.0), 4));
    assert_eq!(dropped(&call.core), [(DropReason::RepairNotNeeded, 2)]);
}

#[test]
fn the_totals_of_repairs_survive_a_failure_of_the_core() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 3], 1.0);
    call.asked(1.010);
    call.core.fail("a bug".into());
    assert_eq!(call.core.totals().requested_of_senders, 2);
}

#[test]
fn the_totals_of_repairs_never_fall() {
    let totals = |call: &Call| {
        let totals = call.core.totals();
        (totals.requested_of_senders, totals.repaired, totals.given_up)
    };
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 3], 1.0);
    call.asked(1.010);
    call.arrive(rtx(RTX, 500, &media(2)), 1.060);
    assert_eq!(totals(&call), (2, 1, 0));
    call.core.set_producer_paused(10, true).unwrap();
    assert_eq!((call.asked(2.0), totals(&call)), (vec![], (2, 1, 1)));
    call.core.remove_producer(10);
    assert_eq!(totals(&call), (2, 1, 1));
}

#[test]
fn receiver_reports_count_repaired_packets_as_lost() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 1, 4], 1.0);
    let before = call.stats();
    call.asked(1.010);
    call.arrive(rtx(RTX, 500, &media(2)), 9.0);
    let after = call.stats();
    assert_eq!((after.packets, after.bytes, after.lost, after.jitter), (3, before.bytes, 2, before.jitter));
    assert_eq!((after.last_at, after.last_timestamp, after.repaired), (Some(1.0), 12_000, 1));
}

#[test]
fn only_packets_that_somebody_waits_for_are_asked_for() {
    let asked = |spec: ProducerSpec, prepare: fn(&mut Core)| {
        let mut call = Call::new(spec);
        prepare(&mut call.core);
        call.arrive_all([0, 2], 1.0);
        !call.asked(1.010).is_empty()
    };
    assert!(asked(repaired_video(), |_| {}));
    assert!(!asked(ProducerSpec { nack: false, ..repaired_video() }, |_| {}));
    assert!(!asked(repaired_video(), |core| core.remove_consumer(20)));
    assert!(!asked(repaired_video(), |core| core.set_consumer_paused(20, true).unwrap()));
    assert!(!asked(repaired_video(), |core| core.set_producer_paused(10, true).unwrap()));
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 2], 1.0);
    call.core.remove_consumer(20);
    assert_eq!((call.asked(1.010), call.core.next_due(), call.stats().given_up), (vec![], None, 1));
}

/// A publisher of video and audio that takes NACKs for both.
fn both() -> Call {
    let mut call = Call::new(repaired_video());
    call.core.add_producer(1, 11, ProducerSpec { nack: true, ..audio() }).unwrap();
    call.core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
    call
}

#[test]
fn one_packet_asks_for_all_streams_of_a_client() {
    let mut call = both();
    call.arrive_all([0, 2], 1.0);
    for number in [10, 12] {
        call.arrive(packet(AUDIO, 111, number, &[], b"voice"), 1.0);
    }
    assert_eq!(call.asked(1.010), [(VIDEO, vec![1]), (AUDIO, vec![11])]);
}

#[test]
fn requests_that_do_not_fit_one_packet_wait_for_the_next() {
    let mut call = both();
    for other in 1..=3 {
        let encodings = vec![EncodingSpec { ssrc: Some(AUDIO + other), ..EncodingSpec::default() }];
        let (producer, consumer_id) = (11 + u64::from(other), 21 + u64::from(other));
        call.core.add_producer(1, producer, ProducerSpec { nack: true, encodings, ..audio() }).unwrap();
        call.core.add_consumer(2, consumer_id, producer, &consumer(7001 + other), 1).unwrap();
    }
    // Every 17th packet of all streams is missing, so no pair names two of them.
    for number in (0..17 * 60).filter(|number| number % 17 != 5) {
        call.arrive(media(number), 2.0);
        for other in 0..=3 {
            call.arrive(packet(AUDIO + other, 111, 10 + number, &[], b"voice"), 2.0);
        }
    }
    let first = call.asked(2.010);
    assert_eq!(first.iter().map(|(_, numbers)| numbers.len()).collect::<Vec<_>>(), [60, 60, 60, 60, 20]);
    let due = call.core.next_due().unwrap();
    assert!((due - 2.015).abs() < 1e-9, "{due}");
    assert_eq!(call.asked(due).iter().map(|(_, numbers)| numbers.len()).sum::<usize>(), 40);
}

#[test]
fn audio_that_comes_again_as_it_was_is_repaired_and_not_counted_as_received() {
    let mut call = Call::new(ProducerSpec { nack: true, ..audio() });
    let mut voices: Vec<_> = (0..5).map(|number| call.sender.seal(AUDIO, 111, number, b"voice")).collect();
    for number in [0, 2, 4] {
        call.core.receive(&mut voices[number], path(1), 1.0);
    }
    let receive = |call: &mut Call, voices: &mut [Vec<u8>], number: usize, now| {
        call.core.receive(&mut voices[number], path(1), now);
    };
    receive(&mut call, &mut voices, 3, 1.001);
    assert_eq!((call.asked(1.010), call.stats().packets), (vec![(AUDIO, vec![1])], 4));
    receive(&mut call, &mut voices, 1, 1.030);
    let stats = call.stats();
    assert_eq!((stats.packets, stats.lost, stats.requested, stats.repaired), (4, 1, 1, 1));
    assert_eq!(call.got(), [2]);
    assert_eq!(dropped(&call.core), []);
}

#[test]
fn audio_that_only_came_late_is_received_although_it_was_asked_for() {
    for (now, lost, repaired) in [(1.020, 0, 0), (1.045, 1, 1)] {
        let mut call = Call::new(ProducerSpec { nack: true, ..audio() });
        call.core.set_round_trip(1, 0.04).unwrap();
        for number in [0, 2] {
            call.arrive(packet(AUDIO, 111, number, &[], b"voice"), 1.0);
        }
        assert_eq!(call.asked(1.010), [(AUDIO, vec![1])]);
        call.arrive(packet(AUDIO, 111, 1, &[], b"voice"), now);
        assert_eq!((call.stats().lost, call.stats().repaired), (lost, repaired));
        // The core is more patient with the next gap, as the network reorders.
        call.arrive(packet(AUDIO, 111, 4, &[], b"voice"), 2.0);
        assert_eq!(call.asked(2.011).is_empty(), lost == 0);
    }
}

#[test]
fn a_failed_repair_is_reported_once_a_second_for_video_alone() {
    let failures = |core: &mut Core| {
        let failed = Event::RepairFailed { producer: 10, encoding: 0, narrow: false };
        core.take_events(usize::MAX).into_iter().filter(|event| *event == failed).count()
    };
    let mut call = Call::new(repaired_video());
    call.arrive_all([0, 251, 253, 600, 1000], 1.0);
    assert_eq!(failures(&mut call.core), 1);
    call.arrive_all([1600], 1.5);
    call.arrive_all([1601], 1.9);
    assert_eq!(failures(&mut call.core), 0);
    call.arrive_all([1602], 2.0);
    assert_eq!((failures(&mut call.core), call.asked(2.5)), (1, vec![]));
    let mut call = Call::new(ProducerSpec { nack: true, ..audio() });
    for number in [0, 600] {
        call.arrive(packet(AUDIO, 111, number, &[], b"voice"), 1.0);
    }
    assert_eq!(failures(&mut call.core), 0);
}

#[test]
fn a_repair_that_fails_is_reported_although_no_packet_comes() {
    let mut call = Call::new(repaired_video());
    call.arrive_all([0], 1.0);
    // Every other packet is lost, and more of them than can be asked for.
    call.arrive_all((2..=200).step_by(2), 1.01);
    let failed = Event::RepairFailed { producer: 10, encoding: 0, narrow: true };
    assert!(!call.core.take_events(usize::MAX).contains(&failed));
    call.asked(1.1);
    assert_eq!(call.core.take_events(usize::MAX), [failed]);
}

/// A publisher of so many cameras, which send from SSRC 10,000 on, with a receiver of each.
fn cameras(count: u32) -> (Call, std::ops::Range<u32>) {
    let mut call = Call::new(repaired_video());
    let ssrcs = 10_000..10_000 + count;
    for (ssrc, id) in ssrcs.clone().zip(100..) {
        let encodings = vec![EncodingSpec { ssrc: Some(ssrc), ..EncodingSpec::default() }];
        call.core.add_producer(1, id, ProducerSpec { encodings, nack: true, ..video() }).unwrap();
        call.core.add_consumer(2, 1000 + id, id, &consumer(ssrc), 1).unwrap();
    }
    (call, ssrcs)
}

#[test]
fn a_client_with_many_encodings_reports_few_failures() {
    let (mut call, ssrcs) = cameras(40);
    let mut failures = vec![0; 5];
    for step in 0..50u16 {
        let now = 1.0 + f64::from(step) / 10.0;
        for ssrc in ssrcs.clone() {
            call.arrive(packet(ssrc, 96, step.wrapping_mul(600), &[], VP8), now);
        }
        let events = call.core.take_events(usize::MAX).into_iter();
        failures[usize::from(step / 10)] += events.filter(|event| matches!(event, Event::RepairFailed { .. })).count();
    }
    assert!(failures[0] <= 5 && failures[1..].iter().all(|&count| count == 1), "{failures:?}");
    assert!(failures[0] >= 4);
}

#[test]
fn a_failure_that_the_limit_holds_back_is_reported_later() {
    let (mut call, ssrcs) = cameras(8);
    let mut reported = Vec::new();
    for step in 0..80u16 {
        for ssrc in ssrcs.clone() {
            // Each camera jumps once.
            let number = if step == 0 { 0 } else { 1000 + step };
            call.arrive(packet(ssrc, 96, number, &[], VP8), 1.0 + f64::from(step) / 10.0);
        }
        let failed = |event| if let Event::RepairFailed { producer, .. } = event { Some(producer) } else { None };
        reported.extend(call.core.take_events(usize::MAX).into_iter().filter_map(failed));
    }
    reported.sort_unstable();
    assert_eq!(reported, (100..108).collect::<Vec<u64>>());
}

#[test]
fn a_client_that_skips_numbers_without_end_causes_few_requests_and_disturbs_nobody() {
    for (skipped, most) in [(1u16, 40_000), (240, 20_000), (400, 0)] {
        let mut call = Call::new(repaired_video());
        let mut other = Client::connect(&mut call.core, 3, PROFILES[0]);
        let encodings = vec![EncodingSpec { ssrc: Some(77), ..EncodingSpec::default() }];
        call.core.add_producer(3, 11, ProducerSpec { nack: true, encodings, ..audio() }).unwrap();
        call.core.add_consumer(2, 21, 11, &consumer(7001), 1).unwrap();
        let (mut packets, mut bytes) = (0, 0);
        for ms in 0..1000u16 {
            let now = 1.0 + f64::from(ms) / 1000.0;
            call.arrive(media(ms.wrapping_mul(skipped + 1)), now);
            other.send(&mut call.core, 77, 111, ms, b"voice");
            call.core.pass_time(now);
            for (to, datagram) in leaving(&mut call.core, now) {
                assert!(to != path(3));
                packets += usize::from(to == path(1));
                bytes += if to == path(1) { datagram.len() } else { 0 };
            }
        }
        assert!(packets <= 200 && bytes <= most, "{skipped}: {packets} packets with {bytes} bytes");
        assert_eq!(call.core.consumer_stats(21).unwrap().packets, 1000);
    }
}

#[test]
fn a_nack_names_its_numbers_in_order() {
    let mut out = Vec::new();
    Nack::write(1, 2, &[65_535, 0, 9], &mut out);
    assert_eq!(out[12..], [0xFF, 0xFF, 0x02, 0x01]);
}
