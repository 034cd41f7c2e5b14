//! Transport-wide sequence numbers of the packets that leave, feedback about them, and probes.

use super::*;
use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::rtcp::{MaxBitrate, Nack, TransportFeedback};
use crate::core::wire::rtp::{be16, find};
use crate::core::{Event, Why};

const WIDE: u8 = 5;
const MEDIA: u32 = 7000;
const RESENDS: u32 = 8000;
const ROOM: usize = 1500 - 20 - 8 - 16; // the largest plain packet on a path of 1,500 bytes

/// A receiver of video that takes numbers, retransmissions and a MID.
fn numbered() -> ConsumerFormat {
    ConsumerFormat { wide_id: Some(WIDE), rtx_payload_types: [(101, 102)].into(), ..with_mid(1) }
}

/// A publisher of a camera and a microphone, and a receiver of both.  Its audio has no numbers.
fn call(format: &ConsumerFormat) -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let sender = Client::connect(&mut core, 1, PROFILES[0]);
    let receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, video()).unwrap();
    core.add_producer(1, 11, audio()).unwrap();
    let spec = ConsumerSpec { rtx_ssrc: Some(RESENDS), mid: Some("7"), ..ConsumerSpec::new(format, MEDIA) };
    core.add_consumer(2, 20, 10, &spec, 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(MEDIA + 1), 1).unwrap();
    (core, sender, receiver)
}

fn send(core: &mut Core, sender: &mut Client, ssrc: u32, number: u16, payload: &[u8], now: f64) {
    let payload_type = if ssrc == AUDIO { 111 } else { 96 };
    core.receive(&mut sender.seal(ssrc, payload_type, number, payload), path(1), now);
}

/// A frame of so many packets.
fn send_frame(core: &mut Core, sender: &mut Client, first: u16, packets: u16, now: f64) {
    for number in first..first + packets {
        let payload = if number == 0 { VP8_KEY } else { b"\x00\x01delta" };
        send(core, sender, VIDEO, number, payload, now);
    }
}

/// The packets that leave to the receiver: the SSRC, the transport-wide number, and the payload.
fn arriving(core: &mut Core, receiver: &mut Client, now: f64) -> Vec<(u32, Option<u16>, Vec<u8>)> {
    let sent = leaving(core, now).into_iter().filter(|(to, _)| *to == path(2));
    let read = sent.map(|(_, datagram)| {
        let mut elements = Vec::new();
        parse_header_untrusted(&datagram, &mut elements).unwrap();
        let number = find(&datagram, &elements, Some(WIDE)).map(|value| be16(value, 0));
        let (header, payload) = receiver.open(&datagram).unwrap();
        (header.ssrc, number, payload)
    });
    read.collect()
}

fn feedback(core: &mut Core, receiver: &mut Client, first: u16, arrivals: &[Option<i64>], now: f64) {
    let mut compound = Vec::new();
    TransportFeedback::write((1, MEDIA), 0, first, arrivals, &mut compound);
    receiver.send_rtcp(core, compound, now);
}

#[test]
fn packets_of_video_are_numbered_in_the_order_in_which_they_leave() {
    let format = numbered();
    let (mut core, mut sender, mut receiver) = call(&format);
    let second = ConsumerSpec { mid: Some("8"), ..ConsumerSpec::new(&format, MEDIA + 2) };
    core.add_consumer(2, 22, 10, &second, 1).unwrap();
    send_frame(&mut core, &mut sender, 0, 2, 1.0);
    send(&mut core, &mut sender, AUDIO, 0, b"voice", 1.0);
    let numbers: Vec<_> =
        arriving(&mut core, &mut receiver, 1.0).into_iter().map(|(ssrc, number, _)| (ssrc, number)).collect();
    let expected = [(MEDIA, Some(0)), (MEDIA + 2, Some(1)), (MEDIA, Some(2)), (MEDIA + 2, Some(3)), (MEDIA + 1, None)];
    assert_eq!(numbers, expected);
    assert_eq!(dropped(&core), []);
}

#[test]
fn a_packet_that_is_left_out_takes_no_number_and_one_that_is_sent_again_takes_the_next() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    core.set_layers(20, Some(0), Some(0), None).unwrap();
    for number in 0..6u16 {
        // Every other picture belongs to a layer that the receiver does not take.
        let payload = [0x90, 0xE0, 0x80, number as u8, 1, (number as u8 & 1) << 6, u8::from(number > 0), 3];
        send(&mut core, &mut sender, VIDEO, number, &payload, 1.0);
    }
    let numbers: Vec<_> = arriving(&mut core, &mut receiver, 1.0).into_iter().map(|(_, number, _)| number).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    let mut compound = Vec::new();
    Nack::write(1, MEDIA, &[2], &mut compound);
    receiver.send_rtcp(&mut core, compound, 1.1);
    let again = arriving(&mut core, &mut receiver, 1.1);
    assert_eq!((again.len(), again[0].0, again[0].1, &again[0].2[..2]), (1, RESENDS, Some(3), &[0, 2][..]));
}

#[test]
fn a_producers_own_numbers_reach_no_receiver() {
    let format = ConsumerFormat { extension_ids: [WIDE, 10].into(), ..numbered() };
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    let mut receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, ProducerSpec { extension_ids: [(3, WIDE), (4, 10)].into(), ..video() }).unwrap();
    core.add_consumer(2, 20, 10, &ConsumerSpec::new(&format, MEDIA), 1).unwrap();
    let head = [0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, (VIDEO >> 8) as u8, VIDEO as u8];
    let plain = [&head[..], b"\xbe\xde\x00\x02\x31\xab\xcd\x40z\x00\x00\x00", VP8_KEY].concat();
    core.receive(&mut sender.seal_whole(plain), path(1), 1.0);
    let [(_, datagram)] = &leaving(&mut core, 1.0)[..] else { panic!() };
    let mut elements = Vec::new();
    parse_header_untrusted(datagram, &mut elements).unwrap();
    let values: Vec<_> = elements.iter().map(|element| (element.number, element.value(datagram))).collect();
    assert_eq!(values, [(WIDE, &[0, 0][..]), (10, b"z")]);
    assert!(receiver.open(datagram).is_ok());
}

#[test]
fn a_large_packet_loses_its_mid_first_and_then_its_number() {
    for (free, numbered_at_all, has_mid) in [(12, true, true), (11, true, false), (8, true, false), (7, false, false)] {
        let (mut core, mut sender, mut receiver) = call(&numbered());
        let payload = [VP8_KEY, &vec![7; ROOM - 12 - free - VP8_KEY.len()]].concat();
        send(&mut core, &mut sender, VIDEO, 0, &payload, 1.0);
        let [(_, datagram)] = &leaving(&mut core, 1.0)[..] else { panic!("{free}") };
        let mut elements = Vec::new();
        parse_header_untrusted(datagram, &mut elements).unwrap();
        let has = |id| find(datagram, &elements, Some(id)).is_some();
        assert_eq!((has(WIDE), has(1)), (numbered_at_all, has_mid), "{free}");
        assert_eq!(receiver.open(datagram).unwrap().1, payload);
    }
}

#[test]
fn numbers_also_fit_the_form_of_long_elements() {
    for format in
        [ConsumerFormat { mid_id: Some(20), ..numbered() }, ConsumerFormat { wide_id: Some(20), ..numbered() }]
    {
        let (mut core, mut sender, mut receiver) = call(&format);
        send_frame(&mut core, &mut sender, 0, 3, 1.0);
        for (number, (_, datagram)) in leaving(&mut core, 1.0).iter().enumerate() {
            let mut elements = Vec::new();
            parse_header_untrusted(datagram, &mut elements).unwrap();
            let [wide, mid] = &elements[..] else { panic!("{elements:?}") };
            assert_eq!((be16(wide.value(datagram), 0), mid.value(datagram)), (number as u16, &b"7"[..]));
            assert!(receiver.open(datagram).is_ok());
        }
    }
}

#[test]
fn padded_packets_keep_their_numbers() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    core.hold = 1.0;
    send(&mut core, &mut sender, VIDEO, 0, &[VP8_KEY, &[7; 1000]].concat(), 1.0);
    send(&mut core, &mut sender, VIDEO, 1, &[&b"\x00\x01"[..], &[7; 1010]].concat(), 1.0);
    let last = sender.seal(VIDEO, 96 | 0x80, 2, &[&b"\x00\x01"[..], &[7; 500]].concat());
    core.receive(&mut last.clone(), path(1), 1.0);
    let mut sizes = Vec::new();
    core.flush(1.0, 64, |_, bytes, segment| {
        sizes.push((bytes.len().div_ceil(segment), segment));
        for (place, datagram) in bytes.chunks(segment).enumerate() {
            let mut elements = Vec::new();
            parse_header_untrusted(datagram, &mut elements).unwrap();
            assert_eq!(find(datagram, &elements, Some(WIDE)), Some(&[0, place as u8][..]));
            assert!(receiver.open(datagram).is_ok());
        }
        Ok(())
    });
    assert_eq!(sizes.len(), 1, "they left together: {sizes:?}");
}

#[test]
fn feedback_reaches_the_estimator_and_shows_in_the_statistics() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    assert_eq!(core.bandwidth_stats(2), Ok(None));
    feedback(&mut core, &mut receiver, 0, &[Some(0)], 1.0);
    assert_eq!(core.totals().feedback_of_receivers, 0, "it is about nothing");
    core.set_round_trip(2, 0.08).unwrap();
    send_frame(&mut core, &mut sender, 0, 4, 1.0);
    assert_eq!(arriving(&mut core, &mut receiver, 1.0).len(), 4);
    assert_eq!(core.bandwidth_stats(2), Ok(None), "nothing is measured yet");
    feedback(&mut core, &mut receiver, 0, &[Some(0), Some(4), None, Some(9)], 1.1);
    assert_eq!((core.totals().feedback_of_receivers, core.bandwidth_stats(1)), (1, Ok(None)));
    assert!(core.bandwidth_stats(3).is_err());
    assert_eq!(dropped(&core), []);
}

/// The loss after three seconds in which every fifth frame is missing: because `send` refused it, or on its way.
fn loss_if(refused: bool) -> f64 {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    let mut arrivals = Vec::new();
    for frame in 0..90u16 {
        let now = 1.0 + f64::from(frame) / 30.0;
        send_frame(&mut core, &mut sender, 5 * frame, 5, now);
        let missing = frame % 5 == 4;
        let outcome = if missing && refused { Err(DropReason::SendWouldBlock) } else { Ok(()) };
        core.flush(now, 64, |_, _, _| outcome);
        arrivals.extend([(!missing).then_some((now * 4000.0) as i64); 5]);
        if frame % 3 == 2 {
            let first = 5 * (frame - 2);
            feedback(&mut core, &mut receiver, first, &arrivals[usize::from(first)..], now + 0.01);
        }
    }
    core.bandwidth_stats(2).unwrap().unwrap().loss
}

#[test]
fn packets_that_our_own_socket_refused_are_no_loss_of_the_receiver() {
    assert!(loss_if(false) > 0.1);
    assert_eq!(loss_if(true), 0.0);
}

#[test]
fn a_flood_of_feedback_is_not_read_and_costs_nobody_else_anything() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    send_frame(&mut core, &mut sender, 0, 4, 1.0);
    arriving(&mut core, &mut receiver, 1.0);
    for step in 0..1000 {
        feedback(&mut core, &mut receiver, 0, &[Some(0), Some(4)], 1.0 + f64::from(step) * 0.0001);
    }
    let read = core.totals().feedback_of_receivers;
    assert!((100..200).contains(&read), "{read}");
    assert_eq!(dropped(&core), [(DropReason::TooMuchFeedback, 1000 - read)]);
    // Reports and requests in the same datagrams still count.
    let mut compound = Vec::new();
    TransportFeedback::write((1, MEDIA), 0, 0, &[Some(0)], &mut compound);
    Nack::write(1, MEDIA, &[2], &mut compound);
    receiver.send_rtcp(&mut core, compound, 1.1);
    assert_eq!(arriving(&mut core, &mut receiver, 1.1).len(), 1);
}

#[test]
fn feedback_about_packets_that_were_never_sent_changes_nothing() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    send_frame(&mut core, &mut sender, 0, 4, 1.0);
    arriving(&mut core, &mut receiver, 1.0);
    feedback(&mut core, &mut receiver, 0, &[Some(0), Some(1), Some(2), Some(3)], 1.0);
    let before = core.bandwidth_stats(2).unwrap().unwrap();
    for (step, first) in [4u16, 100, 20_000, 40_000, 65_535 - 50].into_iter().enumerate() {
        let arrivals: Vec<_> = (0..50).map(|tick| Some(tick * 7)).collect();
        feedback(&mut core, &mut receiver, first, &arrivals, 1.001 + step as f64 * 0.001);
    }
    let after = core.bandwidth_stats(2).unwrap().unwrap();
    assert!(after.estimate <= before.estimate, "{before:?} {after:?}");
    assert_eq!(after.loss, 0.0);
}

#[test]
fn feedback_about_thousands_of_packets_is_malformed() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    send_frame(&mut core, &mut sender, 0, 4, 1.0);
    arriving(&mut core, &mut receiver, 1.0);
    for (count, malformed) in [(4096u16, 0), (4097, 1), (65_535, 2)] {
        // Runs of 8,191 packets that never came.
        let mut compound = vec![0x8F, 205, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
        compound.extend(count.to_be_bytes());
        compound.extend([0, 0, 0, 0]);
        compound.extend([0x1F, 0xFF].repeat(8));
        receiver.send_rtcp(&mut core, compound, 1.1);
        let expected = if malformed > 0 { vec![(DropReason::MalformedRtcp, malformed)] } else { vec![] };
        assert_eq!(dropped(&core), expected, "{count}");
    }
}

#[test]
fn a_probe_repeats_the_newest_packets_and_then_pads() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    send_frame(&mut core, &mut sender, 0, 3, 1.0);
    arriving(&mut core, &mut receiver, 1.0);
    let key = core.transports.key(2).unwrap();
    core.send_probe(key, 700, 1.1);
    let probe = arriving(&mut core, &mut receiver, 1.1);
    let repeated: Vec<_> = probe[..3].iter().map(|(_, _, payload)| be16(payload, 0)).collect();
    assert_eq!(repeated, [3, 2, 1]);
    assert!(probe[3..].iter().all(|(_, _, payload)| payload.len() == 255 && payload[254] == 255));
    assert_eq!(probe.len(), 5);
    let numbers: Vec<_> = probe.iter().map(|(ssrc, number, _)| (*ssrc, number.unwrap())).collect();
    assert_eq!(numbers, [3, 4, 5, 6, 7].map(|number| (RESENDS, number)));
    let (stats, totals) = (core.consumer_stats(20).unwrap(), core.totals());
    assert_eq!((stats.packets, stats.resent), (3, 0), "probes count for no consumer");
    assert!((700..1000).contains(&totals.probe_bytes), "{totals:?}");
    // What was repeated may still be asked for: a probe does not count as an answer.
    let mut compound = Vec::new();
    Nack::write(1, MEDIA, &[2], &mut compound);
    receiver.send_rtcp(&mut core, compound, 1.11);
    assert_eq!(arriving(&mut core, &mut receiver, 1.11).len(), 1);
    assert_eq!(dropped(&core), []);
}

#[test]
fn a_small_probe_repeats_no_larger_packet() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    for number in 0..3 {
        let payload = [if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, &[7; 1100]].concat();
        send(&mut core, &mut sender, VIDEO, number, &payload, 1.0);
    }
    arriving(&mut core, &mut receiver, 1.0);
    let key = core.transports.key(2).unwrap();
    let mut probe = |bytes, now| {
        core.send_probe(key, bytes, now);
        arriving(&mut core, &mut receiver, now).iter().map(|(_, _, payload)| payload.len()).collect::<Vec<_>>()
    };
    assert_eq!(probe(450, 1.1), [255, 255]);
    assert_eq!(probe(1500, 1.2), [2 + 7 + 1100, 255, 255]);
}

#[test]
fn a_probe_is_bounded_and_never_goes_to_a_receiver_without_retransmissions() {
    let (mut core, _, mut receiver) = call(&numbered());
    core.set_consumer_paused(20, true).unwrap();
    let key = core.transports.key(2).unwrap();
    core.send_probe(key, usize::MAX, 1.0);
    let bytes: usize = arriving(&mut core, &mut receiver, 1.0).iter().map(|(_, _, payload)| payload.len()).sum();
    assert!((50_000..60_000).contains(&bytes), "{bytes}");
    core.remove_consumer(20);
    core.send_probe(key, 1000, 1.1);
    assert_eq!(leaving(&mut core, 1.1), []);
    let unnumbered = ConsumerFormat { wide_id: None, ..numbered() };
    let spec = ConsumerSpec { rtx_ssrc: Some(RESENDS + 1), ..ConsumerSpec::new(&unnumbered, MEDIA + 5) };
    core.add_consumer(2, 25, 10, &spec, 1).unwrap();
    core.send_probe(key, 1000, 1.2);
    assert_eq!(leaving(&mut core, 1.2), []);
}

#[test]
fn rates_that_are_no_rates_are_refused() {
    let (mut core, ..) = call(&numbered());
    for (used, next, wanted) in [(-1.0, None, 0.0), (0.0, Some(f64::NAN), 0.0), (0.0, None, f64::INFINITY)] {
        assert!(core.aim_bandwidth(2, used, next, wanted).is_err());
    }
    assert!(core.aim_bandwidth(9, 0.0, None, 0.0).is_err());
    core.aim_bandwidth(2, 0.0, Some(1e6), 2e6).unwrap();
    core.pass_time(0.0);
    core.remove_transport(2);
    core.pass_time(9.0);
}

fn max_bitrate(core: &mut Core, receiver: &mut Client, bitrate: u64, now: f64) -> Vec<Event> {
    let mut compound = Vec::new();
    MaxBitrate::write(1, bitrate, &[MEDIA], &mut compound);
    receiver.send_rtcp(core, compound, now);
    let is_crossing = |event: &Event| matches!(event, Event::BandwidthCrossed { .. });
    core.take_events(usize::MAX).into_iter().filter(is_crossing).collect()
}

#[test]
fn a_receiver_that_gives_its_own_estimate_and_no_feedback_causes_no_flood_of_deadlines() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    let timer = Timer::Transport(TransportTimer::Bandwidth, core.transports.key(2).unwrap());
    core.aim_bandwidth(2, 1e5, Some(1e6), 2e6).unwrap();
    max_bitrate(&mut core, &mut receiver, 500_000, 1.0);
    let mut fired = 0;
    for step in 0..1000u16 {
        let now = 1.0 + f64::from(step) * 0.01;
        if step % 10 == 0 {
            send_frame(&mut core, &mut sender, step / 10, 1, now);
        }
        if core.timers.deadline(timer).is_some_and(|due| due <= now) {
            core.pass_time(now);
            fired += 1;
        }
        leaving(&mut core, now);
    }
    assert!((1..200).contains(&fired), "{fired}");
}

#[test]
fn the_estimate_of_a_receiver_without_feedback_counts_as_it_is() {
    let unnumbered = ConsumerFormat { wide_id: None, ..numbered() };
    let (mut core, _, mut receiver) = call(&unnumbered);
    assert_eq!(max_bitrate(&mut core, &mut receiver, 1 << 20, 1.0), [], "nobody wants to know");
    assert_eq!(core.bandwidth_stats(2).unwrap().unwrap().estimate, f64::from(1 << 20));
    core.aim_bandwidth(2, 500_000.0, Some(3e6), 3e6).unwrap();
    core.pass_time(2.0);
    let crossed = |estimate: u32, why| Event::BandwidthCrossed { transport: 2, estimate: f64::from(estimate), why };
    for (bitrate, now, expected) in [
        (1 << 20, 3.0, vec![]),
        (1 << 18, 4.0, vec![crossed(1 << 18, Why::BelowUsed)]),
        (1 << 17, 5.0, vec![]),
        (1 << 22, 5.1, vec![crossed(1 << 22, Why::NextProven)]),
        (1 << 17, 5.2, vec![]),
        (1 << 17, 5.7, vec![crossed(1 << 17, Why::BelowUsed)]),
        (1 << 20, 6.5, vec![]),
        (0, 7.5, vec![crossed(0, Why::BelowUsed)]),
    ] {
        assert_eq!(max_bitrate(&mut core, &mut receiver, bitrate, now), expected, "{now}");
        assert_eq!(core.totals().short_transports, usize::from(bitrate < 500_000));
    }
    core.aim_bandwidth(2, 500_000.0, None, 3e6).unwrap();
    assert_eq!(max_bitrate(&mut core, &mut receiver, 0, 8.5), [crossed(0, Why::BelowUsed)], "for each aim");
}

#[test]
fn the_estimate_of_a_receiver_that_gets_nothing_lapses() {
    let unnumbered = ConsumerFormat { wide_id: None, ..numbered() };
    let (mut core, _, mut receiver) = call(&unnumbered);
    max_bitrate(&mut core, &mut receiver, 1 << 10, 1.0);
    core.aim_bandwidth(2, 500_000.0, None, 3e6).unwrap();
    core.pass_time(20.0);
    assert!(core.bandwidth_stats(2).unwrap().is_some(), "the video is in use");
    max_bitrate(&mut core, &mut receiver, 1 << 10, 21.0);
    core.aim_bandwidth(2, 0.0, Some(5e5), 3e6).unwrap();
    core.pass_time(30.9);
    assert!(core.bandwidth_stats(2).unwrap().is_some());
    core.pass_time(31.0);
    assert_eq!(core.bandwidth_stats(2), Ok(None));
}

#[test]
fn the_slow_path_learns_that_feedback_ends_and_that_it_comes_again() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    core.aim_bandwidth(2, 1000.0, Some(1e6), 1e6).unwrap();
    let mut crossings = Vec::new();
    for step in 0..100u16 {
        let now = 1.0 + f64::from(step) / 10.0;
        send_frame(&mut core, &mut sender, step, 1, now);
        core.pass_time(now);
        let newest = arriving(&mut core, &mut receiver, now).iter().filter_map(|(_, number, _)| *number).max();
        if !(20..60).contains(&step) {
            let arrival = i64::from(step) * 400;
            feedback(&mut core, &mut receiver, newest.unwrap(), &[Some(arrival)], now + 0.01);
        }
        let events = core.take_events(usize::MAX).into_iter();
        crossings.extend(events.filter_map(|event| match event {
            Event::BandwidthCrossed { why: why @ (Why::Blind | Why::Heard), .. } => Some((step, why)),
            _ => None,
        }));
    }
    let (at, whys): (Vec<_>, Vec<_>) = crossings.into_iter().unzip();
    assert_eq!(whys, [Why::Blind, Why::Heard]);
    assert!((39..=42).contains(&at[0]) && (60..=61).contains(&at[1]), "{at:?}");
}

#[test]
fn an_absurd_estimate_of_a_receiver_costs_nobody_else_anything() {
    let (mut core, mut sender, mut receiver) = call(&numbered());
    for bitrate in [0, 1, u64::MAX] {
        max_bitrate(&mut core, &mut receiver, bitrate, 1.0);
        assert_eq!(core.bandwidth_stats(1), Ok(None));
        send_frame(&mut core, &mut sender, 0, 1, 1.0);
    }
    // A sender has no estimate, whatever it says.
    let mut compound = Vec::new();
    MaxBitrate::write(1, 1, &[MEDIA], &mut compound);
    sender.send_rtcp(&mut core, compound, 1.0);
    assert_eq!(core.bandwidth_stats(1), Ok(None));
    // Feedback counts more than the receiver's own estimate.
    arriving(&mut core, &mut receiver, 1.0);
    feedback(&mut core, &mut receiver, 0, &[Some(0)], 1.1);
    let measured = core.bandwidth_stats(2).unwrap().unwrap().estimate;
    max_bitrate(&mut core, &mut receiver, 1, 1.2);
    assert_eq!(core.bandwidth_stats(2).unwrap().unwrap().estimate, measured);
    assert!(measured < 1e9, "{measured}");
}
