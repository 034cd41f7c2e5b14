//! Audio that leaves twice, bit by bit, to receivers that lose packets and take no redundant audio.

use super::*;
use crate::core::rtcp::{Nack, ReceiverReport, ReportBlock, RtcpPacket, read_untrusted};

const FRAME: f64 = 0.02; // seconds
const HOLD: usize = 1250; // frames: for as long packets leave twice after the last sign of loss

/// A sender of audio and of video, and a receiver of both that takes no redundant audio.
struct Call {
    core: Core,
    sender: Client,
    receiver: Client,
    next: u16,
}

impl Call {
    fn new() -> Self {
        let mut core = Core::new(0.0);
        let [sender, receiver] = [1, 2].map(|number| Client::connect(&mut core, number, PROFILES[0]));
        core.add_producer(1, 10, audio()).unwrap();
        core.add_producer(1, 11, video()).unwrap();
        let format = ConsumerFormat { rtx_payload_types: [(101, 102)].into(), ..format() };
        core.add_consumer(2, 20, 10, &ConsumerSpec::new(&format, 7000), 1).unwrap();
        let video = ConsumerSpec { rtx_ssrc: Some(7002), ..ConsumerSpec::new(&format, 7001) };
        core.add_consumer(2, 21, 11, &video, 1).unwrap();
        Self { core, sender, receiver, next: 0 }
    }

    /// A call in which the receiver has lost audio.
    fn lossy() -> Self {
        let mut call = Self::new();
        call.sends(b"before");
        call.receiver_lost(7000, 13, 5);
        call
    }

    fn now(&self) -> f64 {
        f64::from(self.next) * FRAME
    }

    /// Let a packet of the sender arrive.  Gives the datagrams that leave for it.
    fn sends(&mut self, payload: &[u8]) -> Vec<Vec<u8>> {
        let sealed = self.sender.seal(AUDIO, 111, self.next, payload);
        self.passes(sealed)
    }

    fn passes(&mut self, mut sealed: Vec<u8>) -> Vec<Vec<u8>> {
        let now = self.now();
        self.next += 1;
        self.core.receive(&mut sealed, path(1), now);
        leaving(&mut self.core, now).into_iter().map(|(_, datagram)| datagram).collect()
    }

    fn receiver_lost(&mut self, ssrc: u32, fraction_lost: u8, lost: i32) {
        let mut report = Vec::new();
        let about = ReportBlock { ssrc, fraction_lost, lost, ..ReportBlock::default() };
        ReceiverReport::write(9, &[about], &mut report);
        let now = self.now();
        self.receiver.send_rtcp(&mut self.core, report, now);
    }

    fn keeps(&self) -> bool {
        self.core.transports.values().any(|transport| transport.batch.keeps_repeats())
    }
}

#[test]
fn a_lossy_receiver_gets_each_packet_again_with_the_next_one() {
    let mut call = Call::lossy();
    let first = call.sends(b"first");
    let second = call.sends(b"second");
    let third = call.sends(b"third");
    assert_eq!((first.len(), second.len(), third.len()), (1, 2, 2));
    assert_eq!((&second[1], &third[1]), (&first[0], &second[0]), "the very same bytes");
    let opened: Vec<_> = [&first[0], &second[0], &second[1]].map(|one| call.receiver.open(one)).into_iter().collect();
    assert_eq!(opened[0].as_ref().unwrap().1, b"first");
    assert_eq!(opened[1].as_ref().unwrap().1, b"second");
    assert_eq!(opened[2], Err(DropReason::Replayed), "a receiver drops the one that comes later");
}

#[test]
fn a_receiver_that_loses_nothing_gets_each_packet_once() {
    let mut call = Call::new();
    assert!((0..600).all(|_| call.sends(b"a frame").len() == 1), "not even in the first seconds");
    call.receiver_lost(7000, 13, 1);
    assert!((0..10).all(|_| call.sends(b"a frame").len() == 1), "one lost packet is no sign of more");
    assert!(!call.keeps());
}

#[test]
fn requests_for_video_switch_it_on_too() {
    let mut call = Call::new();
    for number in 0..4 {
        let sealed = call.sender.seal(VIDEO, 96, number, VP8_KEY);
        call.passes(sealed);
    }
    for number in [2, 3] {
        let mut request = Vec::new();
        Nack::write(9, 7001, &[number], &mut request);
        let now = call.now();
        call.receiver.send_rtcp(&mut call.core, request, now);
    }
    leaving(&mut call.core, 1.0);
    call.sends(b"first");
    assert_eq!(call.sends(b"second").len(), 2);
    let sealed = call.sender.seal(VIDEO, 96, 4, VP8_KEY);
    assert_eq!(call.passes(sealed).len(), 1, "video is sent again only when it is asked for");
}

#[test]
fn it_ends_when_nothing_was_lost_for_a_while() {
    let mut call = Call::lossy();
    let sent: Vec<usize> = (0..=HOLD).map(|_| call.sends(b"a frame").len()).collect();
    assert_eq!((sent[0], sent[HOLD]), (1, 1));
    assert!(sent[1..HOLD - 1].iter().all(|&count| count == 2));
    assert!(!call.keeps());
}

#[test]
fn a_packet_is_not_sent_again_after_a_pause_of_speech() {
    let mut call = Call::lossy();
    call.sends(b"the last word");
    call.next += 20;
    assert_eq!(call.sends(b"a new word").len(), 1);
    assert_eq!(call.sends(b"and another").len(), 2);
}

#[test]
fn repeats_count_as_resent_and_not_in_sender_reports() {
    let mut call = Call::lossy();
    call.sender.report(&mut call.core, SenderInfo { ssrc: AUDIO, ntp: 1 << 40, ..SenderInfo::default() }, 0.0);
    let mut report = None;
    for number in 0..4 {
        for mut datagram in call.sends(b"voice") {
            if datagram[1] == 200 {
                let size = call.receiver.srtp.open_rtcp(&mut datagram, |_| true).unwrap();
                let first = read_untrusted(&datagram[..size]).next().unwrap();
                let Ok(RtcpPacket::SenderReport(one)) = first else { panic!() };
                report = Some((number, one.info.packets, one.info.octets));
            }
        }
    }
    let stats = call.core.consumer_stats(20).unwrap();
    assert_eq!((stats.packets, stats.octets), (5, 6 + 4 * 5));
    assert_eq!((stats.resent, stats.resent_bytes, stats.requested, stats.not_resent), (3, 3 * 17, 0, 0));
    assert_eq!(call.core.totals().resent, 3);
    // A report counts the packets that left before it.
    let (number, packets, octets) = report.unwrap();
    assert_eq!((packets, octets), (number + 1, 6 + 5 * number));
}

#[test]
fn a_removed_consumer_leaves_nothing_behind() {
    let mut call = Call::lossy();
    call.sends(b"first");
    assert!(call.keeps());
    call.core.remove_consumer(20);
    assert!(!call.keeps());
    assert!(call.sends(b"second").is_empty());
}

#[test]
fn padding_for_a_segmented_send_is_repeated_too() {
    let mut call = Call::lossy();
    // Two streams of audio leave in one batch.  Where the second packet is larger, the first is padded.
    call.core
        .add_producer(
            1,
            12,
            ProducerSpec { encodings: vec![EncodingSpec { ssrc: Some(3333), ..EncodingSpec::default() }], ..audio() },
        )
        .unwrap();
    call.core.add_consumer(2, 22, 12, &consumer(7003), 1).unwrap();
    let mut sent = Vec::new();
    for number in 0..3 {
        let now = call.now();
        let mut small = call.sender.seal(AUDIO, 111, 1 + number, &[1; 400]);
        let mut large = call.sender.seal(3333, 111, number, &[2; 404]);
        call.core.receive(&mut small, path(1), now);
        call.core.receive(&mut large, path(1), now);
        sent.extend(leaving(&mut call.core, now).into_iter().map(|(_, datagram)| datagram));
        call.next += 1;
    }
    let ssrc = |datagram: &[u8]| u32::from_be_bytes(datagram[8..12].try_into().unwrap());
    for consumer in [7000, 7003] {
        let mut versions: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        for datagram in sent.iter().filter(|datagram| ssrc(datagram) == consumer) {
            versions.entry(datagram[2..4].to_vec()).or_default().push(datagram.clone());
        }
        assert_eq!(versions.len(), 3);
        assert!(versions.values().all(|same| same.iter().all(|one| one == &same[0])));
        assert_eq!(versions.values().filter(|same| same.len() == 2).count(), 2);
    }
}
