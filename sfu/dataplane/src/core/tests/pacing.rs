//! The video of a receiver on a narrow path leaves a little at a time, and its sound at once.

use super::*;
use crate::core::engine::timers::Timer;
use crate::core::rtcp::{MaxBitrate, TransportFeedback};

const CAMERA: u32 = 7000;
const MICROPHONE: u32 = 7001;
const KEY_FRAME: u16 = 10; // packets of 1.2 kB: 0.24 s of 400 kbit/s

/// A publisher of a camera and a microphone, and a receiver of both that says what its path carries, in bits a second.
/// The video in use has `used` bits a second of the 2 Mbit/s that it wants.
fn call(bitrate: u64, used: f64) -> (Core, Client, Client) {
    let mut core = Core::new(0.0);
    let mut sender = Client::connect(&mut core, 1, PROFILES[0]);
    let mut receiver = Client::connect(&mut core, 2, PROFILES[0]);
    core.add_producer(1, 10, video()).unwrap();
    core.add_producer(1, 11, audio()).unwrap();
    core.add_consumer(2, 20, 10, &consumer(CAMERA), 1).unwrap();
    core.add_consumer(2, 21, 11, &consumer(MICROPHONE), 1).unwrap();
    tell(&mut core, &mut receiver, bitrate, 1.0);
    core.aim_bandwidth(2, used, None, 2e6).unwrap();
    for number in 0..KEY_FRAME {
        let payload = [if number == 0 { VP8_KEY } else { b"\x00\x01delta" }, &[7; 1160]].concat();
        core.receive(&mut sender.seal(VIDEO, 96, number, &payload), path(1), 1.0);
    }
    core.receive(&mut sender.seal(AUDIO, 111, 0, b"voice"), path(1), 1.0);
    (core, sender, receiver)
}

fn tell(core: &mut Core, receiver: &mut Client, bitrate: u64, now: f64) {
    let mut compound = Vec::new();
    MaxBitrate::write(1, bitrate, &[CAMERA], &mut compound);
    receiver.send_rtcp(core, compound, now);
}

/// The SSRC and the sequence number of each packet that leaves to the receiver.
fn arriving(core: &mut Core, receiver: &mut Client, now: f64) -> Vec<(u32, u16)> {
    let sent = leaving(core, now).into_iter().filter(|(to, _)| *to == path(2));
    let headers = sent.map(|(_, datagram)| receiver.open(&datagram).unwrap().0);
    headers.map(|header| (header.ssrc, header.sequence_number)).collect()
}

#[test]
fn a_key_frame_leaves_a_little_at_a_time_and_sound_overtakes_it() {
    let (mut core, mut sender, mut receiver) = call(400_000, 2e5);
    assert_eq!(arriving(&mut core, &mut receiver, 1.0), [(MICROPHONE, 1), (CAMERA, 1)]);
    core.receive(&mut sender.seal(AUDIO, 111, 1, b"voice"), path(1), 1.001);
    assert_eq!(arriving(&mut core, &mut receiver, 1.001), [(MICROPHONE, 2)]);
    let mut numbers = Vec::new();
    while let Some(now) = core.timers.deadline(Timer::Flush) {
        numbers.extend(arriving(&mut core, &mut receiver, now).into_iter().map(|packet| (packet, now)));
    }
    let expected: Vec<_> = (2..=KEY_FRAME).map(|number| (CAMERA, number)).collect();
    assert_eq!(numbers.iter().map(|(packet, _)| *packet).collect::<Vec<_>>(), expected);
    let last = numbers.last().unwrap().1;
    assert!((1.15..1.2).contains(&last), "{last}: a quarter faster than the path");
}

#[test]
fn if_all_is_sent_that_is_wanted_it_leaves_at_once_also_what_waited() {
    let (mut core, _, mut receiver) = call(400_000, 2e6);
    assert_eq!(arriving(&mut core, &mut receiver, 1.0).len(), usize::from(KEY_FRAME) + 1);
    let (mut core, mut sender, mut receiver) = call(400_000, 2e5);
    assert_eq!(arriving(&mut core, &mut receiver, 1.0).len(), 2);
    core.aim_bandwidth(2, 2e6, None, 2e6).unwrap();
    core.receive(&mut sender.seal(AUDIO, 111, 1, b"voice"), path(1), 1.01);
    assert_eq!(arriving(&mut core, &mut receiver, 1.01).len(), usize::from(KEY_FRAME));
}

#[test]
fn what_waits_is_discarded_with_its_consumer_and_with_its_path() {
    let (mut core, _, mut receiver) = call(400_000, 2e5);
    arriving(&mut core, &mut receiver, 1.0);
    core.remove_consumer(20);
    assert_eq!(arriving(&mut core, &mut receiver, 2.0), []);
    let (mut core, _, mut receiver) = call(400_000, 2e5);
    arriving(&mut core, &mut receiver, 1.0);
    core.remove_transport(2);
    assert_eq!(arriving(&mut core, &mut receiver, 2.0), []);
}

#[test]
fn while_a_queue_stands_video_leaves_below_the_estimate_so_that_it_empties() {
    let format = ConsumerFormat { wide_id: Some(5), rtx_payload_types: [(101, 102)].into(), ..format() };
    let (mut core, mut sender, mut receiver) = call(400_000, 2e6);
    let spec = ConsumerSpec { rtx_ssrc: Some(8000), ..ConsumerSpec::new(&format, 7002) };
    core.remove_consumer(20);
    leaving(&mut core, 1.0);
    core.aim_bandwidth(2, 2e5, None, 2e6).unwrap();
    core.add_consumer(2, 22, 10, &spec, 1).unwrap();
    let mut share = |step: u16, waits: f64| {
        let now = 2.0 + f64::from(step) / 10.0;
        let payload = [if step == 0 { VP8_KEY } else { b"\x10\x01delta" }, &[7; 500]].concat();
        core.receive(&mut sender.seal(VIDEO, 96, 100 + step, &payload), path(1), now);
        leaving(&mut core, now);
        let mut compound = Vec::new();
        let ticks = ((now + waits) / 0.000_25) as i64; // of 250 µs
        TransportFeedback::write((1, 7002), step as u8, step, &[Some(ticks)], &mut compound);
        receiver.send_rtcp(&mut core, compound, now + 0.01);
        let bandwidth = core.transports[core.transports.key(2).unwrap()].bandwidth.as_ref().unwrap();
        bandwidth.pace().unwrap() / bandwidth.estimate().unwrap()
    };
    assert!((0..10).map(|step| share(step, 0.0)).all(|share| share == 1.25));
    assert_eq!([share(10, 0.05), share(11, 0.05), share(12, 0.0)], [0.8, 0.8, 1.25]);
}
