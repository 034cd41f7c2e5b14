//! Audio that is sent again in later packets to receivers that lose packets (RFC 2198).

use super::*;
use crate::core::rtcp::{MaxBitrate, Nack, ReceiverReport, ReportBlock};
use crate::core::wire::payload::parse_red_untrusted;

const RED: u8 = 99;
const FRAME: f64 = 0.02; // seconds
const TICKS: u32 = 960; // of the timestamp, in a frame
const TRIAL: u16 = 500; // frames: at the beginning everything is sent twice
const HOLD: u16 = 1250; // frames: for as long it stays on after the last loss

/// A sender of audio, a receiver that takes redundant audio, and one that does not.
struct Call {
    core: Core,
    sender: Client,
    receiver: Client,
    other: Client,
    next: u16,
}

/// An age in timestamp units, and a payload.
type Block = (u32, Vec<u8>);

fn block(age: u32, payload: &[u8]) -> Block {
    (age, payload.to_vec())
}

impl Call {
    fn new(spec: ProducerSpec) -> Self {
        let mut core = Core::new(0.0);
        let [sender, receiver, other] = [1, 2, 3].map(|number| Client::connect(&mut core, number, PROFILES[0]));
        core.add_producer(1, 10, spec).unwrap();
        let red = ConsumerFormat { red_payload_types: [(100, RED)].into(), ..format() };
        core.add_consumer(2, 20, 10, &ConsumerSpec::new(&red, 7000), 1).unwrap();
        core.add_consumer(3, 30, 10, &consumer(7000), 1).unwrap();
        Self { core, sender, receiver, other, next: 0 }
    }

    /// A call in which the trial is over.
    fn quiet() -> Self {
        let mut call = Self::new(audio());
        (0..=TRIAL).for_each(|_| _ = call.depth());
        assert_eq!(call.depth(), 0);
        call
    }

    /// The receiver itself says what its path carries, in bits a second, and wants 2 Mbit/s.
    fn narrows(&mut self, bitrate: u64) {
        let (now, mut compound) = (self.now(), Vec::new());
        MaxBitrate::write(1, bitrate, &[7000], &mut compound);
        self.receiver.send_rtcp(&mut self.core, compound, now);
        self.core.aim_bandwidth(2, 100_000.0, None, 2e6).unwrap();
        self.core.pass_time(now);
        leaving(&mut self.core, now);
    }

    fn now(&self) -> f64 {
        f64::from(self.next) * FRAME
    }

    /// Let a frame of the sender arrive.  Gives the blocks that the receiver of redundant audio gets for it.
    ///
    /// The other receiver gets the frame as it was sent, under the same number and time.
    fn sends(&mut self, payload: &[u8]) -> Vec<Block> {
        let mut sealed = self.sender.seal(AUDIO, 111, self.next, payload);
        let now = self.now();
        self.next += 1;
        self.core.receive(&mut sealed, path(1), now);
        let sent = leaving(&mut self.core, now);
        let [(_, first), (_, second)] = &sent[..] else { panic!("{} packets left", sent.len()) };
        let (header, redundant) = self.receiver.open(first).unwrap();
        let (plain_header, plain) = self.other.open(second).unwrap();
        assert_eq!((plain_header.payload_type, &plain[..]), (100, payload));
        assert_eq!((header.sequence_number, header.timestamp), (plain_header.sequence_number, plain_header.timestamp));
        if header.payload_type == 100 {
            return vec![block(0, &redundant)];
        }
        assert_eq!(header.payload_type, RED);
        let parsed = parse_red_untrusted(&redundant).unwrap();
        assert_eq!(parsed.payload_type, 100);
        let blocks = parsed.blocks.map(|one| block(u32::from(one.offset), one.payload));
        blocks.chain([block(0, parsed.primary)]).collect()
    }

    /// How many earlier payloads the next packet repeats.
    fn depth(&mut self) -> usize {
        self.sends(b"a frame").len() - 1
    }

    fn receiver_lost(&mut self, fraction_lost: u8, lost: i32) {
        let mut report = Vec::new();
        let about = ReportBlock { ssrc: 7000, fraction_lost, lost, ..ReportBlock::default() };
        ReceiverReport::write(9, &[about], &mut report);
        let now = self.now();
        self.receiver.send_rtcp(&mut self.core, report, now);
    }

    fn receiver_asks_for(&mut self, number: u16) {
        let mut request = Vec::new();
        Nack::write(9, 7000, &[number], &mut request);
        let now = self.now();
        self.receiver.send_rtcp(&mut self.core, request, now);
    }

    fn redundant(&self) -> [u64; 2] {
        [20, 30].map(|consumer| self.core.consumer_stats(consumer).unwrap().redundant)
    }
}

#[test]
fn a_narrow_path_gets_redundant_audio_for_less_long_and_a_tight_one_gets_none() {
    for (bitrate, expected) in [(3_000_000, usize::from(TRIAL)), (500_000, usize::from(TRIAL)), (300_000, 0)] {
        let mut call = Call::new(audio());
        call.narrows(bitrate);
        call.depth();
        let doubled = (0..TRIAL).filter(|_| call.depth() > 0).count();
        assert_eq!(doubled, expected.saturating_sub(1), "{bitrate}");
    }
    for (bitrate, seconds) in [(3_000_000, 25), (500_000, 3), (300_000, 0)] {
        let mut call = Call::quiet();
        call.narrows(bitrate);
        (0..2).for_each(|step| call.receiver_asks_for(TRIAL + step));
        let doubled = (0..HOLD + 100).filter(|_| call.depth() > 0).count();
        assert!(doubled.abs_diff(seconds * 50) <= 2, "{bitrate}: {doubled}");
    }
}

#[test]
fn the_first_seconds_of_audio_are_sent_twice() {
    let mut call = Call::new(audio());
    // The first packet only shows that somebody wants redundancy.
    assert_eq!(call.sends(b"one"), [block(0, b"one")]);
    assert_eq!(call.sends(b"two"), [block(TICKS, b"one"), block(0, b"two")]);
    assert_eq!(call.sends(b"three"), [block(TICKS, b"two"), block(0, b"three")]);
    let depths: Vec<_> = (3..=TRIAL).map(|_| call.depth()).collect();
    assert_eq!(depths.iter().sum::<usize>(), usize::from(TRIAL) - 3);
    assert_eq!(*depths.last().unwrap(), 0);
    assert_eq!(call.redundant(), [u64::from(TRIAL) - 1, 0]);
}

#[test]
fn a_receiver_that_reports_loss_gets_redundant_audio_until_nothing_is_lost() {
    let mut call = Call::quiet();
    call.receiver_lost(4, 4);
    assert_eq!([call.depth(), call.depth(), call.depth()], [0, 1, 1]);
    call.receiver_lost(20, 14);
    assert_eq!([call.depth(), call.depth()], [2, 2]);
    let depths: Vec<_> = (0..HOLD).map(|_| call.depth()).collect();
    assert_eq!(depths[..usize::from(HOLD) - 2], vec![2; usize::from(HOLD) - 2]);
    assert_eq!(depths.last(), Some(&0));
}

#[test]
fn losses_of_the_sender_switch_nothing_on() {
    let mut call = Call::quiet();
    call.receiver_lost(0, 0);
    call.next += 10;
    assert_eq!(call.depth(), 0);
    call.receiver_lost(100, 10);
    call.receiver_asks_for(TRIAL + 5);
    call.receiver_asks_for(TRIAL + 6);
    assert_eq!([call.depth(), call.depth()], [0, 0]);
}

#[test]
fn requests_for_sent_packets_switch_it_on() {
    let mut call = Call::quiet();
    call.receiver_asks_for(TRIAL);
    assert_eq!([call.depth(), call.depth()], [0, 0]);
    call.receiver_asks_for(TRIAL + 1);
    assert_eq!([call.depth(), call.depth()], [0, 1]);
}

#[test]
fn a_packet_that_comes_late_repeats_nothing_and_is_repeated() {
    let mut call = Call::new(audio());
    call.sends(b"zero");
    call.next = 2;
    assert_eq!(call.sends(b"two"), [block(0, b"two")]);
    call.next = 1;
    assert_eq!(call.sends(b"one"), [block(0, b"one")]);
    call.next = 3;
    call.receiver_lost(20, 14);
    assert_eq!(call.sends(b"three"), [block(2 * TICKS, b"one"), block(TICKS, b"two"), block(0, b"three")]);
}

#[test]
fn a_large_payload_is_not_repeated() {
    let mut call = Call::new(audio());
    call.receiver_lost(20, 14);
    call.sends(b"small");
    assert_eq!(call.sends(&[7; 900]).len(), 2);
    assert_eq!(call.sends(&[8; 900]).len(), 1);
    assert_eq!(call.sends(b"small"), [block(TICKS, &[8; 900]), block(0, b"small")]);
    assert_eq!(dropped(&call.core), []);
}

#[test]
fn octets_count_what_was_repeated() {
    let mut call = Call::new(audio());
    call.sends(b"one");
    call.sends(b"two");
    let octets = [20, 30].map(|consumer| call.core.consumer_stats(consumer).unwrap().octets);
    assert_eq!(octets, [3 + 1 + 4 + 3 + 3, 6]);
}

#[test]
fn nothing_is_kept_for_receivers_that_do_not_want_it() {
    let mut call = Call::quiet();
    let kept = |call: &Call| call.core.producers.values().any(|one| one.encodings[0].recent_payloads.is_some());
    assert!(!kept(&call));
    call.receiver_lost(4, 4);
    call.depth();
    assert!(kept(&call));
}
