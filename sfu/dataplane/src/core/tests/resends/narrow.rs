//! Receivers whose path carries less than they want, and receivers that ask for more than they can use.

use super::*;
use crate::core::Event;
use crate::core::rtcp::{MaxBitrate, TransportFeedback};

#[test]
fn requests_from_before_a_switch_do_not_take_the_place_of_others() {
    let spec = ProducerSpec { encodings: simulcast(), ..video() };
    let (mut core, mut sender, mut receiver) = call(spec, &rtx_format());
    for number in 0..300 {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, 1.0);
    }
    core.set_layers(20, Some(1), None, None).unwrap();
    core.receive(&mut sender.seal(SMALL, 96, 500, VP8_KEY), path(1), 1.01);
    assert_eq!(arriving(&mut core, &mut receiver, 1.01).len(), 301);
    let all: Vec<u16> = (1..=301).collect();
    assert_eq!(ask(&mut core, &mut receiver, &all, 1.2), [301]);
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!((stats.requested, stats.resent, stats.not_resent), (301, 1, 300));
}

/// The receiver's own estimate of its path, and less than it wants.
fn narrow(core: &mut Core, receiver: &mut Client, bitrate: u64, now: f64) {
    let mut compound = Vec::new();
    MaxBitrate::write(1, bitrate, &[MEDIA], &mut compound);
    receiver.send_rtcp(core, compound, now);
    core.aim_bandwidth(2, 200_000.0, None, 2_500_000.0).unwrap();
}

#[test]
fn a_narrow_path_gets_little_again_except_key_frames() {
    let spec = ProducerSpec { encodings: simulcast(), ..video() };
    let (mut core, mut sender, mut receiver) = call(spec, &rtx_format());
    let large = [b"\x00\x01delta".as_slice(), &[7; 1100]].concat();
    for number in 0..40 {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { &large }, 1.0);
    }
    arriving(&mut core, &mut receiver, 1.0);
    narrow(&mut core, &mut receiver, 300_000, 1.0);
    let all: Vec<u16> = (2..=40).collect();
    assert_eq!(ask(&mut core, &mut receiver, &all, 1.2), [2, 3, 4], "3.7 kB");
    core.set_layers(20, Some(1), None, None).unwrap();
    for number in 500..530 {
        let key = [VP8_KEY, &[7; 1100]].concat();
        core.receive(&mut sender.seal(SMALL, 96, number, if number == 500 { &key } else { &large }), path(1), 1.21);
    }
    arriving(&mut core, &mut receiver, 1.21);
    let all: Vec<u16> = (41..=70).collect();
    assert_eq!(ask(&mut core, &mut receiver, &all, 1.5).len(), 8, "10 kB more, although it is the same half second");
}

#[test]
fn on_a_narrow_path_packets_are_kept_until_their_receiver_can_ask() {
    let (mut core, mut sender, mut receiver) = flowing(1);
    narrow(&mut core, &mut receiver, 300_000, 1.0);
    core.set_consumer_paused(20, true).unwrap();
    core.set_consumer_paused(20, false).unwrap();
    send(&mut core, &mut sender, 1, VP8_KEY, 1.1);
    (2..30).for_each(|number| send(&mut core, &mut sender, number, b"\x10\x01delta", 1.1 + 0.025 * f64::from(number)));
    arriving(&mut core, &mut receiver, 1.8);
    assert_eq!(ask(&mut core, &mut receiver, &[2], 1.85), [2], "0.75 s later");
}

/// The receiver asks for packets that are not kept any more, after feedback at these times.  Gives whether the sender is
/// asked for a key frame.
fn asks_for_key_frame(times: impl IntoIterator<Item = f64>) -> bool {
    let format = ConsumerFormat { wide_id: Some(5), ..rtx_format() };
    let (mut core, mut sender, mut receiver) = call(video(), &format);
    for number in 0..100 {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { b"\x10\x01delta" }, 1.0);
    }
    arriving(&mut core, &mut receiver, 1.0);
    for (number, now) in (0..).zip(times) {
        let mut compound = Vec::new();
        TransportFeedback::write((1, MEDIA), number as u8, number, &[Some(0)], &mut compound);
        receiver.send_rtcp(&mut core, compound, now);
    }
    for number in 100..160 {
        send(&mut core, &mut sender, number, b"\x10\x01delta", 4.0 + 0.02 * f64::from(number - 100));
    }
    arriving(&mut core, &mut receiver, 5.2);
    core.take_events(usize::MAX);
    let old: Vec<u16> = (2..40).collect();
    assert_eq!(ask(&mut core, &mut receiver, &old, 5.3), []);
    core.take_events(usize::MAX).iter().any(|event| matches!(event, Event::KeyFrameRequested { .. }))
}

#[test]
fn a_receiver_that_was_cut_off_gets_a_key_frame_and_one_whose_path_is_only_narrow_does_not() {
    let fed = |from: u16, to: u16| (from..to).map(|step| f64::from(step) * 0.1);
    assert!(!fed(11, 53).any(|at| at > 5.3));
    assert!(!asks_for_key_frame(fed(11, 53)), "feedback came all the time");
    assert!(asks_for_key_frame([]), "no feedback");
    assert!(asks_for_key_frame(fed(11, 47)), "it has ended");
    assert!(asks_for_key_frame(fed(40, 53)), "it has come again for 1.2 s");
    assert!(asks_for_key_frame(fed(11, 30).chain(fed(36, 53))), "it paused for 0.6 s");
}

#[test]
fn a_nack_of_a_whole_datagram_is_read_only_in_part() {
    let spec = ProducerSpec { encodings: simulcast(), ..video() };
    let (mut core, mut sender, mut receiver) = call(spec, &rtx_format());
    for number in 0..5000 {
        send(&mut core, &mut sender, number, if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, 1.0);
    }
    core.set_layers(20, Some(1), None, None).unwrap();
    core.receive(&mut sender.seal(SMALL, 96, 500, VP8_KEY), path(1), 1.01);
    arriving(&mut core, &mut receiver, 1.01);
    let all: Vec<u16> = (1..=5001).collect();
    assert_eq!(ask(&mut core, &mut receiver, &all, 1.2), []);
    let unread = DropReason::TooManyNacks;
    assert_eq!(dropped(&core), [(DropReason::ResendNotStored, 1024), (unread, 5001 - 1024)]);
    let stats = core.consumer_stats(20).unwrap();
    assert_eq!((stats.requested, stats.not_resent), (5001, 5001));
}
