//! Transport-wide feedback of a whole core to a sender.

use super::*;
use crate::core::rtcp::{RtcpPacket, read_untrusted};

const OURS: u32 = 99;
const WIDE: u8 = 5;
const RTX: u32 = 2223;

/// Feedback: the SSRC that it names, and the arrival times by number in seconds.
type Feedback = (u32, Vec<(u16, Option<f64>)>);

fn wide_video() -> ProducerSpec {
    ProducerSpec {
        wide_id: Some(WIDE),
        extension_ids: [(WIDE, WIDE)].into(),
        rtx_payload_types: [(97, 96)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(VIDEO), rtx_ssrc: Some(RTX), ..EncodingSpec::default() }],
        ..video()
    }
}

struct Call {
    core: Core,
    sender: Client,
    numbers: HashMap<u32, u16>,
}

impl Call {
    fn new(specs: impl IntoIterator<Item = ProducerSpec>) -> Self {
        let mut core = Core::new(0.0);
        core.set_rtcp_source(OURS, "router");
        let sender = Client::connect(&mut core, 1, PROFILES[0]);
        for (spec, id) in specs.into_iter().zip(10..) {
            core.add_producer(1, id, spec).unwrap();
        }
        Self { core, sender, numbers: HashMap::new() }
    }

    /// A packet whose extension has an element with this id and value.
    fn plain(&mut self, ssrc: u32, payload_type: u8, (id, value): (u8, &[u8]), payload: &[u8]) -> Vec<u8> {
        let number = self.numbers.entry(ssrc).or_default();
        *number += 1;
        let mut packet = vec![0x90, payload_type];
        packet.extend(number.to_be_bytes());
        packet.extend([0, 0, 0, 0]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0x10, 0, 0, (value.len() + 2).div_ceil(4) as u8, id, value.len() as u8]);
        packet.extend(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet.extend(payload);
        packet
    }

    fn sealed(&mut self, ssrc: u32, payload_type: u8, element: (u8, &[u8]), payload: &[u8]) -> Vec<u8> {
        let plain = self.plain(ssrc, payload_type, element, payload);
        self.sender.seal_whole(plain)
    }

    /// A packet with this transport-wide number arrives.
    fn arrive(&mut self, ssrc: u32, payload_type: u8, wide: u16, at: f64) {
        let mut sealed = self.sealed(ssrc, payload_type, (WIDE, &wide.to_be_bytes()), b"\0\x01\x10\x01x");
        self.core.receive(&mut sealed, path(1), at);
    }

    /// Let time pass.  Gives the feedback that the sender gets.
    fn feedback(&mut self, now: f64) -> Vec<Feedback> {
        self.core.pass_time(now);
        let mut all = Vec::new();
        for (to, mut datagram) in leaving(&mut self.core, now) {
            assert_eq!(to, path(1));
            let size = self.sender.srtp.open_rtcp(&mut datagram, |_| false).unwrap();
            let packets: Vec<_> = read_untrusted(&datagram[..size]).collect();
            let [Ok(RtcpPacket::TransportFeedback(feedback))] = packets[..] else { panic!("{packets:?}") };
            assert_eq!(feedback.sender_ssrc, OURS);
            let seconds = |(number, at): (u16, Option<i64>)| (number, at.map(|ticks| ticks as f64 / 4000.0));
            all.push((feedback.media_ssrc, feedback.arrivals().map(seconds).collect()));
        }
        all
    }
}

#[test]
fn a_sender_learns_when_each_packet_arrived_whichever_stream_it_belongs_to() {
    let mut call = Call::new([wide_video(), ProducerSpec { wide_id: Some(WIDE), ..audio() }]);
    call.arrive(AUDIO, 111, 65_535, 1.0);
    call.arrive(VIDEO, 96, 0, 1.01);
    call.arrive(RTX, 97, 2, 1.02);
    assert_eq!((call.feedback(1.09), call.core.next_due()), (vec![], Some(1.1)));
    let expected = vec![(65_535, Some(1.0)), (0, Some(1.01)), (1, None), (2, Some(1.02))];
    assert_eq!(call.feedback(1.1), [(RTX, expected)]);
    assert_eq!((call.feedback(9.0), call.core.next_due()), (vec![], None), "a silent client gets nothing");
    assert_eq!(call.core.totals().feedback_to_senders, 1);
}

#[test]
fn probes_with_padding_alone_and_under_unknown_ssrcs_count() {
    let mut call = Call::new([wide_video()]);
    let mut padding = call.plain(VIDEO, 96, (WIDE, &[0, 0]), &[0, 0, 0, 4]);
    padding[0] |= 0x20;
    call.core.receive(&mut call.sender.seal_whole(padding), path(1), 1.0);
    for (wide, ssrc) in (1..).zip([0, 7777, 8888]) {
        call.arrive(ssrc, 96, wide, 1.0 + f64::from(wide) / 100.0);
    }
    let [(named, arrivals)] = &call.feedback(1.2)[..] else { panic!() };
    assert_eq!(*named, VIDEO, "the newest SSRC is none of the client's streams");
    assert_eq!(arrivals[..], [(0, Some(1.0)), (1, Some(1.01)), (2, Some(1.02)), (3, Some(1.03))]);
    assert_eq!(dropped(&call.core), [(DropReason::UnknownStream, 3), (DropReason::PaddingOnly, 1)]);
}

#[test]
fn neither_forged_nor_repeated_packets_count() {
    let mut call = Call::new([wide_video()]);
    let first = call.sealed(VIDEO, 96, (WIDE, &[0, 1]), VP8_KEY);
    let mut forged = call.sealed(VIDEO, 96, (WIDE, &[0, 2]), VP8_KEY);
    *forged.last_mut().unwrap() ^= 1;
    for (mut datagram, at) in [(first.clone(), 1.0), (first, 1.01), (forged, 1.02)] {
        call.core.receive(&mut datagram, path(1), at);
    }
    assert_eq!(call.feedback(1.2), [(VIDEO, vec![(1, Some(1.0))])]);
    assert_eq!(dropped(&call.core), [(DropReason::Unauthentic, 1), (DropReason::Replayed, 1)]);
}

#[test]
fn an_element_of_another_size_or_id_is_no_number() {
    let mut call = Call::new([wide_video()]);
    for element in [(WIDE, &b""[..]), (WIDE, b"1"), (WIDE, b"123"), (WIDE, b"1234"), (WIDE + 1, b"12")] {
        let mut sealed = call.sealed(VIDEO, 96, element, VP8_KEY);
        call.core.receive(&mut sealed, path(1), 1.0);
    }
    assert_eq!((call.feedback(9.0), call.core.next_due()), (vec![], None));
    assert!(call.core.transports[call.core.transports.key(1).unwrap()].arrivals.is_none());
}

#[test]
fn the_time_of_the_arrival_counts_and_not_that_of_the_reading() {
    let mut call = Call::new([wide_video()]);
    for (wide, arrived) in [(0, 0.95), (1, 0.99)] {
        let mut sealed = call.sealed(VIDEO, 96, (WIDE, &[0, wide]), VP8_KEY);
        call.core.receive_arrived(&mut sealed, path(1), arrived, 1.0);
    }
    assert_eq!(call.feedback(1.1), [(VIDEO, vec![(0, Some(0.95)), (1, Some(0.99))])]);
}

#[test]
fn a_client_that_does_not_take_feedback_gets_none() {
    let mut call = Call::new([ProducerSpec { wide_id: None, ..wide_video() }]);
    call.arrive(VIDEO, 96, 1, 1.0);
    assert_eq!((call.feedback(9.0), call.core.next_due()), (vec![], None));
}

#[test]
fn feedback_ends_with_the_last_producer_that_takes_it_and_begins_again_with_the_next() {
    let mut call = Call::new([wide_video(), audio()]);
    call.arrive(VIDEO, 96, 1, 1.0);
    call.core.remove_producer(10);
    assert_eq!((call.feedback(2.0), call.core.next_due()), (vec![], None));
    call.arrive(VIDEO, 96, 2, 2.0);
    call.core.add_producer(1, 12, wide_video()).unwrap();
    call.arrive(VIDEO, 96, 300, 3.0);
    assert_eq!(call.feedback(4.0), [(VIDEO, vec![(300, Some(3.0))])]);
}

#[test]
fn a_client_without_a_path_gets_nothing() {
    let mut call = Call::new([wide_video()]);
    call.arrive(VIDEO, 96, 1, 1.0);
    call.core.stream_closed(path(1), 1.0);
    assert_eq!(call.feedback(2.0), []);
    assert_eq!(call.core.totals().feedback_to_senders, 0);
    call.core.remove_transport(1);
    assert_eq!(call.core.next_due(), None);
}

#[test]
fn receivers_do_not_get_the_numbers_of_the_sender() {
    let mut call = Call::new([wide_video()]);
    let mut receiver = Client::connect(&mut call.core, 2, PROFILES[0]);
    let format = ConsumerFormat { extension_ids: [WIDE].into(), ..format() };
    call.core.add_consumer(2, 20, 10, &ConsumerSpec::new(&format, 7000), 1).unwrap();
    let mut sealed = call.sealed(VIDEO, 96, (WIDE, &[0, 1]), VP8_KEY);
    call.core.receive(&mut sealed, path(1), 1.0);
    let [(_, datagram)] = &leaving(&mut call.core, 1.0)[..] else { panic!() };
    let (header, _) = receiver.open(datagram).unwrap();
    assert_eq!((header.ssrc, header.size), (7000, 12));
}

#[test]
fn a_client_with_two_ids_is_understood_under_both() {
    let other = EncodingSpec { ssrc: Some(AUDIO), ..EncodingSpec::default() };
    let mut call = Call::new([wide_video(), ProducerSpec { wide_id: Some(3), encodings: vec![other], ..audio() }]);
    call.arrive(VIDEO, 96, 1, 1.0);
    let mut sealed = call.sealed(AUDIO, 111, (3, &[0, 2]), b"voice");
    call.core.receive(&mut sealed, path(1), 1.01);
    assert_eq!(call.feedback(1.2), [(AUDIO, vec![(1, Some(1.0)), (2, Some(1.01))])]);
}
