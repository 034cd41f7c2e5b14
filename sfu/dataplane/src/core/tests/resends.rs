//! A receiver asks for packets that it misses, and gets them again within limits.

mod exactness;
mod narrow;

use super::*;
use crate::core::rtcp::{Nack, PictureLoss, ReceiverReport, ReportBlock};
use crate::core::wire::rtp::find;

const MEDIA: u32 = 7000;
const RESENDS: u32 = 8000;
const SMALL: u32 = VIDEO + 1;

/// The largest plain packet on a path of 1,500 bytes.
const ROOM: usize = 1500 - 20 - 8 - 16;

fn rtx_format() -> ConsumerFormat {
    ConsumerFormat { rtx_payload_types: [(101, 102), (105, 106)].into(), ..format() }
}

fn resending(format: &ConsumerFormat) -> ConsumerSpec<'_> {
    ConsumerSpec { rtx_ssrc: Some(RESENDS), ..ConsumerSpec::new(format, MEDIA) }
}

/// A publisher of video, and a receiver that can ask for packets again.
fn call(spec: ProducerSpec, format: &ConsumerFormat) -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, spec).unwrap();
    core.add_consumer(2, 20, 10, &resending(format), 1).unwrap();
    (core, sender, receiver)
}

fn send(core: &mut Core, sender: &mut Client, number: u16, payload: &[u8], now: f64) {
    let mut sealed = sender.seal(VIDEO, 96, number, payload);
    core.receive(&mut sealed, path(1), now);
}

fn nack(core: &mut Core, receiver: &mut Client, numbers: &[u16], now: f64) {
    let mut compound = Vec::new();
    Nack::write(1, MEDIA, numbers, &mut compound);
    receiver.send_rtcp(core, compound, now);
}

/// The packets that leave to the receiver: each header with its payload.
fn arriving(core: &mut Core, receiver: &mut Client, now: f64) -> Vec<(Header, Vec<u8>)> {
    let sent = leaving(core, now).into_iter().filter(|(to, _)| *to == path(2));
    sent.map(|(_, datagram)| receiver.open(&datagram).unwrap()).collect()
}

/// The retransmissions among these packets: the original number, and the payload behind it.
fn resent(arrived: &[(Header, Vec<u8>)]) -> Vec<(u16, Vec<u8>)> {
    let retransmissions = arrived.iter().filter(|(header, _)| header.ssrc == RESENDS);
    retransmissions.map(|(_, payload)| (u16::from_be_bytes([payload[0], payload[1]]), payload[2..].to_vec())).collect()
}

fn ask(core: &mut Core, receiver: &mut Client, numbers: &[u16], now: f64) -> Vec<u16> {
    nack(core, receiver, numbers, now);
    let arrived = arriving(core, receiver, now);
    resent(&arrived).into_iter().map(|(number, _)| number).collect()
}

/// `count` packets of one key frame have left, the first with number 1.
fn flowing(count: u16) -> (Core, Client, Client) {
    let (mut core, mut sender, mut receiver) = call(video(), &rtx_format());
    for number in 0..count {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, 1.0);
    }
    assert_eq!(arriving(&mut core, &mut receiver, 1.0).len(), usize::from(count));
    (core, sender, receiver)
}

#[test]
fn a_missing_packet_is_sent_again_under_its_own_ssrc() {
    let (mut core, _, mut receiver) = flowing(5);
    nack(&mut core, &mut receiver, &[2, 4], 1.1);
    let arrived = arriving(&mut core, &mut receiver, 1.1);
    assert_eq!(resent(&arrived), [2, 4].map(|number| (number, b"\x00\x01delta".to_vec())));
    let headers: Vec<_> = arrived.iter().map(|(header, _)| header).collect();
    assert!(headers.iter().all(|header| (header.ssrc, header.payload_type, header.padding) == (RESENDS, 102, false)));
    assert_eq!(headers[1].sequence_number, headers[0].sequence_number + 1);
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!((stats.packets, stats.requested, stats.resent, stats.not_resent), (5, 2, 2, 0));
    assert_eq!(stats.resent_bytes, 2 * (12 + 2 + 7));
    assert_eq!((core.totals().requested_by_receivers, core.totals().resent), (2, 2));
    assert_eq!(dropped(&core), []);
}

#[test]
fn a_consumer_without_retransmissions_answers_nothing_and_keeps_nothing() {
    let (mut core, mut sender, mut receiver) = call(video(), &format());
    send(&mut core, &mut sender, 0, VP8_KEY, 1.0);
    arriving(&mut core, &mut receiver, 1.0);
    assert_eq!(ask(&mut core, &mut receiver, &[1], 1.1), []);
    assert_eq!((core.totals().stored_packets, core.consumer_stats(20).unwrap().requested), (0, 0));
}

#[test]
fn the_ssrc_of_retransmissions_is_used_up_and_names_no_media() {
    let (mut core, _, mut receiver) = flowing(3);
    let format = rtx_format();
    let twice = ConsumerSpec { rtx_ssrc: Some(7001), ..ConsumerSpec::new(&format, 7001) };
    assert!(core.add_consumer(2, 21, 10, &twice, 1).is_err());
    for ssrc in [MEDIA, RESENDS] {
        assert!(core.add_consumer(2, 21, 10, &ConsumerSpec::new(&format, ssrc), 1).is_err());
        let spec = ConsumerSpec { rtx_ssrc: Some(ssrc), ..ConsumerSpec::new(&format, 7001) };
        assert!(core.add_consumer(2, 21, 10, &spec, 1).is_err());
    }
    let mut compound = Vec::new();
    ReceiverReport::write(1, &[ReportBlock { ssrc: RESENDS, lost: 3, ..ReportBlock::default() }], &mut compound);
    PictureLoss { sender_ssrc: 1, media_ssrc: RESENDS }.write(&mut compound);
    Nack::write(1, RESENDS, &[1, 2], &mut compound);
    receiver.send_rtcp(&mut core, compound, 1.1);
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!((stats.reception_report, stats.requested), (None, 0));
    assert_eq!(core.take_events(usize::MAX).len(), 2, "flowing and its layers");
    core.remove_consumer(20);
    let again = ConsumerSpec { rtx_ssrc: Some(RESENDS), ..ConsumerSpec::new(&format, 7001) };
    assert!(core.add_consumer(2, 21, 10, &again, 1).is_err());
}

#[test]
fn a_packet_is_not_sent_again_too_soon_or_too_often() {
    let (mut core, _, mut receiver) = flowing(3);
    let times =
        [1.1, 1.11, 1.13, 1.14, 1.16, 1.19, 1.22, 1.3].map(|now| ask(&mut core, &mut receiver, &[2], now).len());
    assert_eq!(times, [1, 0, 1, 0, 1, 1, 1, 0]);
    assert_eq!(dropped(&core), [(DropReason::ResendTooSoon, 2), (DropReason::ResendTooOften, 1)]);
    assert_eq!(core.consumer_stats(20).unwrap().not_resent, 3);
}

#[test]
fn a_request_that_came_too_soon_for_an_answer_is_not_served() {
    let (mut core, _, mut receiver) = flowing(3);
    core.set_round_trip(2, 0.08).unwrap();
    assert_eq!(ask(&mut core, &mut receiver, &[2], 1.01), []);
    assert_eq!(dropped(&core), [(DropReason::ResendTooSoon, 1)]);
    // The round trip that is known has the receiver's own delays in it, so the first request may come much sooner.
    assert_eq!(ask(&mut core, &mut receiver, &[2], 1.03), [2]);
    // A second request is a reaction to the answer only after about a round trip.
    assert_eq!(ask(&mut core, &mut receiver, &[2], 1.08), []);
    assert_eq!(ask(&mut core, &mut receiver, &[2], 1.1), [2]);
}

/// One client fills the plane's memory with encodings that it then lets fall silent.
#[test]
fn the_stores_of_silent_encodings_do_not_starve_others() {
    let format = rtx_format();
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    let mut receiver = Client::connect(&mut core, 2, PROFILES[0]);
    let (mut now, mut most) = (1.0, 0);
    for number in 0..100u32 {
        let encodings = vec![EncodingSpec { ssrc: Some(100_000 + number), ..EncodingSpec::default() }];
        core.add_producer(1, Id::from(1000 + number), ProducerSpec { encodings, ..video() }).unwrap();
        let spec = ConsumerSpec { rtx_ssrc: Some(90_000 + number), ..ConsumerSpec::new(&format, 80_000 + number) };
        core.add_consumer(2, Id::from(2000 + number), Id::from(1000 + number), &spec, 1).unwrap();
        for sequence in 0..512u16 {
            let payload = [if sequence == 0 { VP8_KEY } else { b"\x00\x01delta" }, &[7; 1400]].concat();
            core.receive(&mut sender.seal(100_000 + number, 96, sequence, &payload), path(1), now);
            if sequence == 0 {
                core.keep_for_longer(core.consumers.key(Id::from(2000 + number)).unwrap(), now);
            }
            now += 0.0018;
        }
        leaving(&mut core, now);
        most = most.max(core.store_memory);
    }
    assert!((50 << 20..57 << 20).contains(&most), "{most}");
    core.add_producer(1, 10, video()).unwrap();
    core.add_consumer(2, 20, 10, &resending(&format), 1).unwrap();
    now += 5.0;
    for number in 0..4 {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, now);
    }
    leaving(&mut core, now);
    assert_eq!(ask(&mut core, &mut receiver, &[2], now + 0.1), [2], "{:?}", dropped(&core));
    assert!(core.store_memory < 64 * 1024 * 1024 / 2);
}

#[test]
fn an_encoding_that_nobody_gets_any_more_forgets_its_packets_at_once() {
    let spec = ProducerSpec { encodings: simulcast(), ..video() };
    let (mut core, mut sender, _) = call(spec, &rtx_format());
    send(&mut core, &mut sender, 0, VP8_KEY, 1.0);
    assert_eq!(core.totals().stored_packets, 1);
    // The sender suspends the encoding that its receiver has left: no packet comes that would end the store.
    core.set_layers(20, Some(1), None, None).unwrap();
    let mut sealed = sender.seal(SMALL, 96, 500, VP8_KEY);
    core.receive(&mut sealed, path(1), 1.1);
    assert_eq!(core.totals().stored_packets, 1);
    core.set_consumer_paused(20, true).unwrap();
    assert_eq!((core.totals().stored_packets, core.store_memory), (0, 0));
}

#[test]
fn nothing_is_sent_again_between_a_request_for_a_key_frame_and_the_key_frame() {
    let (mut core, mut sender, mut receiver) = flowing(3);
    let mut compound = Vec::new();
    PictureLoss { sender_ssrc: 1, media_ssrc: MEDIA }.write(&mut compound);
    receiver.send_rtcp(&mut core, compound, 1.5);
    send(&mut core, &mut sender, 3, b"\x10\x01delta", 1.55);
    assert_eq!(ask(&mut core, &mut receiver, &[2, 4], 1.6), []);
    assert_eq!(dropped(&core), [(DropReason::ResendAwaitsKeyFrame, 2)]);
    send(&mut core, &mut sender, 4, VP8_KEY, 1.6);
    assert_eq!(ask(&mut core, &mut receiver, &[4, 5], 1.7), [4, 5]);
}

#[test]
fn a_request_that_crossed_the_key_frame_does_not_stop_its_repair() {
    let (mut core, _, mut receiver) = flowing(30);
    let mut compound = Vec::new();
    PictureLoss { sender_ssrc: 1, media_ssrc: MEDIA }.write(&mut compound);
    receiver.send_rtcp(&mut core, compound, 1.01);
    assert_eq!(ask(&mut core, &mut receiver, &[5], 1.1), [5]);
}

#[test]
fn a_number_that_was_never_sent_or_is_too_old_is_not_answered() {
    let (mut core, mut sender, mut receiver) = flowing(3);
    assert_eq!(ask(&mut core, &mut receiver, &[0, 4, 500, 40_000, 65_535], 1.1), []);
    assert_eq!(dropped(&core), [(DropReason::ResendNotStored, 5)]);
    // The request made the store keep a second; after that the packets are gone.
    for number in 3..60 {
        send(&mut core, &mut sender, number, b"\x10\x01delta", 1.1 + 0.02 * f64::from(number));
    }
    arriving(&mut core, &mut receiver, 9.0);
    assert_eq!(ask(&mut core, &mut receiver, &[3, 5, 40], 2.31), [40]);
}

#[test]
fn numbers_from_before_a_switch_are_not_answered() {
    let spec = ProducerSpec { encodings: simulcast(), ..video() };
    let (mut core, mut sender, mut receiver) = call(spec, &rtx_format());
    send(&mut core, &mut sender, 0, VP8_KEY, 1.0);
    send(&mut core, &mut sender, 1, b"\x10\x01delta", 1.0);
    core.set_layers(20, Some(1), None, None).unwrap();
    let mut sealed = sender.seal(SMALL, 96, 500, VP8_KEY);
    core.receive(&mut sealed, path(1), 1.01);
    assert_eq!(arriving(&mut core, &mut receiver, 1.01).len(), 3);
    assert_eq!(ask(&mut core, &mut receiver, &[1, 2, 3], 1.1), [3]);
    core.set_consumer_paused(20, true).unwrap();
    assert_eq!(ask(&mut core, &mut receiver, &[3], 1.2), []);
    core.remove_producer(10);
    assert_eq!(ask(&mut core, &mut receiver, &[3], 1.3), []);
}

#[test]
fn a_storm_of_requests_is_bounded_and_costs_no_media() {
    let (mut core, mut sender, mut receiver) = flowing(200);
    let all: Vec<u16> = (1..=200).collect();
    let mut bytes = 0;
    for tick in 0..1000u32 {
        let now = 1.1 + f64::from(tick) * 0.001;
        nack(&mut core, &mut receiver, &all, now);
        bytes += leaving(&mut core, now).iter().map(|(_, datagram)| datagram.len()).sum::<usize>();
    }
    assert!(bytes < 80_000, "{bytes}");
    let drops: HashMap<&str, u64> = dropped(&core).into_iter().map(|(reason, count)| (reason.label(), count)).collect();
    assert_eq!(drops["too_many_nacks"], 1000 * 200 - 1000);
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!(stats.requested, 200_000);
    assert_eq!(stats.resent + stats.not_resent, stats.requested);
    send(&mut core, &mut sender, 200, b"\x10\x01delta", 2.2);
    assert_eq!(arriving(&mut core, &mut receiver, 2.2).len(), 1);
}

#[test]
fn all_requests_of_one_datagram_share_its_look_ups() {
    let (mut core, _, mut receiver) = flowing(200);
    let all: Vec<u16> = (1..=100).collect();
    let mut compound = Vec::new();
    (0..4).for_each(|_| Nack::write(1, MEDIA, &all, &mut compound));
    receiver.send_rtcp(&mut core, compound, 1.1);
    let too_many = dropped(&core).into_iter().find(|(reason, _)| *reason == DropReason::TooManyNacks);
    assert_eq!(too_many, Some((DropReason::TooManyNacks, 400 - 256)));
}

#[test]
fn the_totals_show_the_memory_that_is_reserved_for_packets() {
    let (core, ..) = flowing(3);
    let totals = core.totals();
    assert_eq!((totals.stored_packets, totals.stored_bytes), (3, core.store_memory));
    assert!(totals.stored_bytes > 3 * 1000, "far more than the packets' own bytes: {}", totals.stored_bytes);
}

#[test]
fn retransmissions_stay_within_a_share_of_the_media() {
    let (mut core, mut sender, mut receiver) = call(video(), &rtx_format());
    let mut resent_bytes = 0;
    for number in 0..2000u16 {
        let now = 1.0 + f64::from(number) * 0.002;
        send(&mut core, &mut sender, number, &[VP8_KEY, &[7; 1100]].concat(), now);
        let asked: Vec<u16> = (number.saturating_sub(10)..=number).map(|number| number + 1).collect();
        if number % 10 == 9 {
            nack(&mut core, &mut receiver, &asked, now);
        }
        let arrived = arriving(&mut core, &mut receiver, now);
        resent_bytes += resent(&arrived).iter().map(|(_, payload)| payload.len()).sum::<usize>();
    }
    // Four seconds of 555 kB, of which 15 % may be sent again, and 32 kB in each half.
    assert!((430_000..=610_000).contains(&resent_bytes), "{resent_bytes}");
    assert!(dropped(&core).iter().any(|(reason, _)| *reason == DropReason::ResendOverBudget));
}

#[test]
fn a_retransmission_never_exceeds_the_path_and_loses_its_mid_first() {
    let format = ConsumerFormat { mid_id: Some(1), ..rtx_format() };
    // With the MID the first packet has 12 + 8 bytes of header, and the retransmission two more bytes.
    for (payload, header, answered) in [(ROOM - 22, 20, 1), (ROOM - 21, 12, 1), (ROOM - 14, 12, 1), (ROOM - 13, 0, 0)] {
        let (mut core, mut sender, mut receiver) = call(video(), &rtx_format());
        let spec = ConsumerSpec { mid: Some("0"), rtx_ssrc: Some(8001), ..ConsumerSpec::new(&format, 7001) };
        core.add_consumer(2, 21, 10, &spec, 1).unwrap();
        let payload = [VP8_KEY, &vec![9; payload - VP8_KEY.len()]].concat();
        send(&mut core, &mut sender, 0, &payload, 1.0);
        leaving(&mut core, 1.0);
        let mut compound = Vec::new();
        Nack::write(1, 7001, &[1], &mut compound);
        receiver.send_rtcp(&mut core, compound, 1.1);
        let arrived = arriving(&mut core, &mut receiver, 1.1);
        assert_eq!(arrived.len(), answered, "{}", payload.len());
        assert!(arrived.iter().all(|(got, resent)| got.size == header && resent[2..] == payload));
        assert_eq!(
            core.totals().drops.iter().any(|(reason, count)| reason == DropReason::Oversized && count == 1),
            answered == 0
        );
    }
}

#[test]
fn padding_that_filled_a_number_is_resent_as_nothing() {
    let (mut core, mut sender, mut receiver) = flowing(3);
    for number in [4, 3] {
        let mut packet = vec![0xA0, 96, 0, number, 0, 0, 0, 9];
        packet.extend(VIDEO.to_be_bytes());
        packet.extend(if number == 3 { &[0, 0, 0, 4][..] } else { b"\x10\x01delta\x01" });
        let mut sealed = sender.seal_whole(packet);
        core.receive(&mut sealed, path(1), 1.05);
    }
    assert_eq!(arriving(&mut core, &mut receiver, 1.05).len(), 2);
    nack(&mut core, &mut receiver, &[4, 5], 1.1);
    let arrived = arriving(&mut core, &mut receiver, 1.1);
    assert_eq!(resent(&arrived), [(4, vec![]), (5, b"\x10\x01delta".to_vec())]);
    assert!(arrived.iter().all(|(header, _)| !header.padding));
}

#[test]
fn a_retransmission_leaves_with_the_media_that_waits() {
    let (mut core, mut sender, mut receiver) = flowing(3);
    core.hold = 0.001;
    send(&mut core, &mut sender, 3, b"\x10\x01delta", 1.05);
    assert_eq!(arriving(&mut core, &mut receiver, 1.0505).len(), 0);
    nack(&mut core, &mut receiver, &[2], 1.0505);
    let arrived: Vec<_> = arriving(&mut core, &mut receiver, 1.0505).iter().map(|(header, _)| header.ssrc).collect();
    assert_eq!(arrived, [MEDIA, RESENDS]);
}

#[test]
fn the_store_lives_as_long_as_somebody_can_ask() {
    let format = rtx_format();
    let stored = |core: &Core| (core.totals().stored_packets, core.store_memory > 0);
    let (mut core, mut sender, _) = flowing(3);
    assert_eq!(stored(&core), (3, true));
    core.set_producer_paused(10, true).unwrap();
    assert_eq!(stored(&core), (0, false));
    core.set_producer_paused(10, false).unwrap();
    send(&mut core, &mut sender, 3, VP8_KEY, 1.1);
    assert_eq!(stored(&core), (1, true));
    core.remove_consumer(20);
    assert_eq!(stored(&core), (0, false));
    core.add_consumer(2, 21, 10, &ConsumerSpec { rtx_ssrc: Some(8001), ..ConsumerSpec::new(&format, 7001) }, 1)
        .unwrap();
    send(&mut core, &mut sender, 4, VP8_KEY, 1.2);
    assert_eq!(stored(&core), (1, true));
    core.set_layers(21, None, None, None).unwrap();
    send(&mut core, &mut sender, 5, VP8_KEY, 1.3);
    assert_eq!(stored(&core), (0, false));
    core.set_layers(21, Some(0), None, None).unwrap();
    send(&mut core, &mut sender, 6, VP8_KEY, 1.4);
    core.remove_transport(1);
    assert_eq!(stored(&core), (0, false));
}

fn simulcast() -> Vec<EncodingSpec> {
    [VIDEO, SMALL].map(|ssrc| EncodingSpec { ssrc: Some(ssrc), ..EncodingSpec::default() }).into()
}
