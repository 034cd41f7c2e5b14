//! Redundant audio from a publisher (RFC 2198): lost packets are taken out of later ones.

use super::*;
use crate::core::wire::payload::{RedundantBlock, write_red};

const TICKS: u32 = 960; // of the timestamp, in a frame

struct Call {
    core: Core,
    sender: Client,
    receiver: Client,
    /// In seconds.
    now: f64,
}

/// The frame with this number, of a sender that counts from 100 on.
fn frame(number: u16) -> Vec<u8> {
    format!("frame {number}").into_bytes()
}

fn red(number: u16, depth: u16) -> Vec<u8> {
    let frames: Vec<_> = (1..=depth).rev().map(|age| (age, frame(number.wrapping_sub(age)))).collect();
    let blocks: Vec<_> = frames
        .iter()
        .map(|(age, payload)| RedundantBlock { payload_type: 111, offset: *age * TICKS as u16, payload })
        .collect();
    let mut payload = Vec::new();
    write_red(&blocks, 111, &frame(number), &mut payload);
    payload
}

impl Call {
    fn new() -> Self {
        let mut core = Core::new(0.0);
        let [sender, receiver] = [1, 2].map(|number| Client::connect(&mut core, number, PROFILES[0]));
        let spec = ProducerSpec { red_payload_types: [63].into(), nack: true, ..audio() };
        core.add_producer(1, 10, spec).unwrap();
        core.add_consumer(2, 20, 10, &consumer(7000), 1).unwrap();
        Self { core, sender, receiver, now: 1.0 }
    }

    /// A packet arrives.  Gives the packets that the receiver gets for it: numbers, timestamps and payloads.
    fn arrives(&mut self, payload_type: u8, number: u16, payload: &[u8]) -> Vec<(u16, u32, Vec<u8>)> {
        let mut sealed = self.sender.seal(AUDIO, payload_type, number, payload);
        self.core.receive(&mut sealed, path(1), self.now);
        let sent = leaving(&mut self.core, self.now).into_iter().filter(|(to, _)| *to == path(2));
        sent.map(|(_, datagram)| {
            let (header, payload) = self.receiver.open(&datagram).unwrap();
            assert_eq!(header.payload_type, 100);
            (header.sequence_number, header.timestamp, payload)
        })
        .collect()
    }

    /// A packet with this many earlier frames arrives.  Gives the numbers of the frames that the receiver gets.
    ///
    /// Each has the outgoing number and the time that it would have had without loss.
    fn gets(&mut self, number: u16, depth: u16) -> Vec<u16> {
        let got = self.arrives(63, number, &red(number, depth)).into_iter();
        got.map(|(outgoing, timestamp, payload)| {
            let source = outgoing.wrapping_add(99);
            assert_eq!((timestamp, payload), (u32::from(source) * TICKS, frame(source)));
            source
        })
        .collect()
    }

    /// Packets that the publisher was asked for, that were repaired, and that its receiver reports count as lost.
    fn counted(&self) -> (u64, u64, i64) {
        let stats = &self.core.producer_stats(10).unwrap().encodings[0];
        (stats.requested, stats.repaired, stats.lost)
    }
}

#[test]
fn lost_packets_leave_in_their_places_before_the_one_that_holds_them() {
    let mut call = Call::new();
    assert_eq!(call.gets(100, 2), [100]);
    assert_eq!(call.gets(101, 1), [101], "nothing is missing");
    assert_eq!(call.gets(103, 1), [102, 103]);
    assert_eq!(call.gets(106, 2), [104, 105, 106]);
    assert_eq!(call.gets(107, 2), [107]);
    call.core.pass_time(1.5);
    assert_eq!(call.counted(), (0, 3, 3));
    assert_eq!(dropped(&call.core), []);
}

#[test]
fn a_gap_that_is_wider_than_the_blocks_is_asked_for() {
    let mut call = Call::new();
    call.gets(100, 2);
    assert_eq!(call.gets(104, 2), [102, 103, 104]);
    call.now = 1.5;
    call.core.pass_time(call.now);
    assert_eq!(call.counted(), (1, 2, 3));
    assert_eq!(call.gets(101, 0), [101], "it came again");
    assert_eq!(call.counted(), (1, 3, 3));
}

#[test]
fn a_recovered_packet_that_also_comes_late_is_forwarded_once() {
    let mut call = Call::new();
    call.gets(100, 1);
    assert_eq!(call.gets(102, 1), [101, 102]);
    assert_eq!(call.gets(101, 1), []);
    assert_eq!(dropped(&call.core), [(DropReason::RepairNotNeeded, 1)]);
}

#[test]
fn recovered_packets_are_repeated_to_receivers_that_lose_packets() {
    let mut call = Call::new();
    let format = ConsumerFormat { red_payload_types: [(100, 99)].into(), ..format() };
    call.core.add_consumer(2, 21, 10, &ConsumerSpec::new(&format, 7001), 1).unwrap();
    call.sender.send(&mut call.core, AUDIO, 63, 100, &red(100, 0));
    leaving(&mut call.core, 1.0);
    call.sender.send(&mut call.core, AUDIO, 63, 102, &red(102, 1));
    let opened = leaving(&mut call.core, 1.0).into_iter().map(|(_, datagram)| call.receiver.open(&datagram).unwrap());
    let own: Vec<_> = opened.filter(|(header, _)| header.ssrc == 7001).map(|(_, payload)| payload).collect();
    let with = |age: u16, number: u16| {
        let earlier = frame(number - age);
        let mut payload = Vec::new();
        let block = RedundantBlock { payload_type: 100, offset: age * TICKS as u16, payload: &earlier };
        write_red(&[block], 100, &frame(number), &mut payload);
        payload
    };
    assert_eq!(own.len(), 2);
    assert_eq!(own[1], with(1, 102), "it repeats the recovered packet");
}

#[test]
fn a_client_that_skips_numbers_multiplies_its_packets_by_three_at_most() {
    let mut call = Call::new();
    call.gets(100, 0);
    let block = |age: u16| RedundantBlock { payload_type: 111, offset: age * TICKS as u16, payload: b"x" };
    let blocks: Vec<_> = (1..=17).rev().map(block).collect();
    for number in (200..9000).step_by(100) {
        let mut payload = Vec::new();
        write_red(&blocks, 111, b"y", &mut payload);
        assert_eq!(call.arrives(63, number, &payload).len(), 3);
    }
}

/// A packet with the frames of these ages in front of its own.
fn red_with(number: u16, ages: &[u16]) -> Vec<u8> {
    let frames: Vec<_> = ages.iter().map(|&age| (age, frame(number - age))).collect();
    let block = |(age, payload)| RedundantBlock { payload_type: 111, offset: age * TICKS as u16, payload };
    let blocks: Vec<_> = frames.iter().map(|(age, payload)| block((*age, &payload[..]))).collect();
    let mut payload = Vec::new();
    write_red(&blocks, 111, &frame(number), &mut payload);
    payload
}

#[test]
fn a_block_that_the_sender_leaves_out_moves_no_other() {
    for (ages, expected) in [(&[2][..], &[102, 104][..]), (&[3], &[101, 104]), (&[3, 1], &[101, 103, 104])] {
        let mut call = Call::new();
        call.gets(100, 0);
        let got = call.arrives(63, 104, &red_with(104, ages));
        let expected = expected.iter().map(|&number| (number - 99, u32::from(number) * TICKS, frame(number)));
        assert_eq!(got, expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_frame_that_came_already_is_not_taken_for_a_missing_one() {
    let mut call = Call::new();
    call.gets(100, 0);
    assert_eq!(call.arrives(63, 102, &red_with(102, &[2])).len(), 1, "it repeats packet 100 and not packet 101");
    assert_eq!(call.counted().1, 0);
}

#[test]
fn frames_of_different_lengths_are_recovered_if_none_is_left_out() {
    let mut call = Call::new();
    call.gets(100, 0);
    // Packet 101 follows packet 100 by five frames, because the speaker was silent.
    let mut silent = red(102, 1);
    silent[1..3].copy_from_slice(&(480u16 << 2).to_be_bytes());
    let got = call.arrives(63, 102, &silent);
    assert_eq!(got.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(got[0].1, 102 * TICKS - 480);
}

#[test]
fn blocks_in_the_wrong_order_recover_nothing() {
    let mut call = Call::new();
    call.gets(100, 0);
    assert_eq!(call.arrives(63, 103, &red_with(103, &[1, 2])).len(), 1);
}

#[test]
fn blocks_that_make_no_sense_recover_nothing() {
    let nested = red(101, 1);
    for block in [
        RedundantBlock { payload_type: 63, offset: 960, payload: &nested },
        RedundantBlock { payload_type: 111, offset: 0, payload: b"x" },
        RedundantBlock { payload_type: 0, offset: 960, payload: b"x" },
        RedundantBlock { payload_type: 111, offset: 960, payload: b"" },
    ] {
        let mut call = Call::new();
        call.gets(100, 0);
        let mut payload = Vec::new();
        write_red(&[block], 111, b"y", &mut payload);
        assert_eq!(call.arrives(63, 102, &payload).len(), 1, "{block:?}");
    }
    let mut call = Call::new();
    call.gets(100, 0);
    assert_eq!(call.arrives(63, 102, b"\xef\x0f\x03\xff\x6fvoice"), []);
    assert_eq!(call.arrives(63, 103, &red(103, 2)).len(), 1);
}
