//! One encoding with several spatial layers: VP9 by its payload descriptor, AV1 by its dependency descriptor.

mod camera;
mod captures;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::camera::{DESCRIPTOR, Format, Part, extension};
use super::*;
use crate::core::Event;
use crate::core::rtcp::Nack;
use crate::core::wire::rtp::find;

const MEDIA: u32 = 7000;
const RESENDS: u32 = 8000;
const ROUTERS: u8 = 12;
const FORMATS: [Format; 2] = [Format::Vp9, Format::Av1];

fn layered(format: Format) -> ProducerSpec {
    ProducerSpec {
        codec: if format == Format::Vp9 { "video/vp9" } else { "video/av1" }.into(),
        extension_ids: [(DESCRIPTOR, ROUTERS)].into(),
        descriptor_id: Some(DESCRIPTOR),
        ..video()
    }
}

fn receiving() -> ConsumerFormat {
    ConsumerFormat {
        extension_ids: [ROUTERS].into(),
        rtx_payload_types: [(101, 102)].into(),
        ..ConsumerFormat { payload_types: [101].into(), ..ConsumerFormat::default() }
    }
}

/// A packet at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Got {
    number: u16,
    marker: bool,
    /// `None` for padding.
    part: Option<Part>,
}

struct Call {
    core: Core,
    sender: Client,
    receiver: Client,
    format: Format,
    next: u16,
    now: f64,
}

impl Call {
    /// A camera, and a receiver of these layers.
    fn new(format: Format, spatial: Option<u8>, temporal: Option<u8>) -> Self {
        let mut core = Core::new(0.0);
        let sender = Client::connect(&mut core, 1, PROFILES[0]);
        let receiver = Client::connect(&mut core, 2, PROFILES[0]);
        core.add_producer(1, 10, layered(format)).unwrap();
        let receiving = receiving();
        let spec = ConsumerSpec { rtx_ssrc: Some(RESENDS), spatial, temporal, ..ConsumerSpec::new(&receiving, MEDIA) };
        core.add_consumer(2, 20, 10, &spec, 1).unwrap();
        Self { core, sender, receiver, format, next: 0, now: 1.0 }
    }

    /// The next packet of the camera, plain.
    fn next_packet(&mut self, part: Part) -> Vec<u8> {
        self.next += 1;
        part.packet(self.format, VIDEO, self.next - 1)
    }

    fn arrive(&mut self, packet: Vec<u8>) {
        self.core.receive(&mut self.sender.seal_whole(packet), path(1), self.now);
    }

    fn send(&mut self, parts: &[Part]) {
        for &part in parts {
            let packet = self.next_packet(part);
            self.arrive(packet);
        }
    }

    /// Send these pictures, of which the first is a key picture if `key` is set.  Gives what the receiver gets.
    fn pictures(&mut self, pictures: std::ops::Range<u8>, key: bool) -> Vec<Got> {
        let first = pictures.start;
        for picture in pictures {
            self.send(&Part::of_picture(picture, key && picture == first));
        }
        self.got()
    }

    fn got(&mut self) -> Vec<Got> {
        let sent = leaving(&mut self.core, self.now).into_iter().filter(|(to, _)| *to == path(2));
        let opened: Vec<_> = sent.map(|(_, datagram)| self.receiver.open(&datagram).unwrap()).collect();
        let got = opened.iter().map(|(header, payload)| Got {
            number: header.sequence_number,
            marker: header.marker,
            part: (!header.padding).then(|| Part::read(payload)),
        });
        got.collect()
    }

    /// Bound the receiver's spatial layer.
    fn bound(&mut self, spatial: Option<u8>) {
        self.core.set_layers(20, Some(0), None, spatial).unwrap();
    }

    /// The spatial layer that the receiver gets, and the one that a key frame would bring.
    fn spatial(&self) -> (Option<u8>, Option<u8>) {
        let stats = self.core.consumer_stats(20).unwrap();
        (stats.spatial, stats.spatial_target)
    }
}

fn layers(got: &[Got]) -> BTreeSet<(u8, u8)> {
    got.iter().filter_map(|got| got.part).map(|part| (part.picture, part.spatial)).collect()
}

/// Check that no number is missing, and that the last packet of each picture alone has the marker.
fn check(got: &[Got], first: u16) {
    for (number, packet) in (first..).zip(got) {
        assert_eq!(packet.number, number, "{got:?}");
        let next = got.get(usize::from(number - first) + 1);
        let last = next.is_none_or(|next| next.part.unwrap().picture != packet.part.unwrap().picture);
        assert_eq!(packet.marker, last, "{packet:?} before {next:?}");
    }
}

#[test]
fn a_receiver_gets_whole_pictures_of_the_layers_within_its_bounds() {
    for format in FORMATS {
        for (spatial, temporal) in (0..3).flat_map(|spatial| (0..3).map(move |temporal| (spatial, temporal))) {
            let mut call = Call::new(format, Some(spatial), Some(temporal));
            let got = call.pictures(0..12, true);
            check(&got, 1);
            let sent = (0..12).flat_map(|picture| Part::of_picture(picture, picture == 0));
            let within = sent.filter(|part| part.spatial <= spatial && part.temporal <= temporal);
            let parts: Vec<_> = got.iter().map(|got| got.part.unwrap()).collect();
            assert_eq!(parts, within.collect::<Vec<_>>(), "{format:?} {spatial} {temporal}");
        }
    }
}

#[test]
fn a_receiver_without_bounds_gets_everything_as_it_was_sent() {
    for format in FORMATS {
        let mut call = Call::new(format, None, None);
        let got = call.pictures(0..4, true);
        check(&got, 1);
        assert_eq!((got.len(), call.spatial()), (24, (Some(2), Some(2))), "{format:?}");
        let events = call.core.take_events(usize::MAX);
        let layers = Event::LayersChanged { consumer: 20, encoding: Some(0), temporal: Some(2), spatial: Some(2) };
        assert!(events.contains(&layers), "{events:?}");
    }
}

#[test]
fn a_lower_bound_takes_effect_with_the_next_picture_and_a_higher_one_with_the_next_key_picture() {
    for format in FORMATS {
        let mut call = Call::new(format, None, None);
        let mut got = call.pictures(0..2, true);
        let (begun, rest) = (&Part::of_picture(2, false)[..3], &Part::of_picture(2, false)[3..]);
        call.send(begun);
        call.bound(Some(0));
        call.send(rest);
        got.extend(call.pictures(3..6, false));
        assert_eq!(call.spatial(), (Some(0), Some(0)));
        call.bound(None);
        got.extend(call.pictures(6..9, false));
        assert_eq!(call.spatial(), (Some(0), Some(2)), "a key frame is missing");
        got.extend(call.pictures(9..11, true));
        assert_eq!(call.spatial(), (Some(2), Some(2)));
        check(&got, 1);
        let all = |picture| (0..3).map(move |spatial| (picture, spatial));
        let expected = (0..3).flat_map(all).chain((3..9).map(|picture| (picture, 0))).chain((9..11).flat_map(all));
        assert_eq!(layers(&got), expected.collect(), "{format:?}");
    }
}

#[test]
fn each_change_of_the_spatial_layer_is_reported() {
    for format in FORMATS {
        let mut call = Call::new(format, Some(0), None);
        let reported = |call: &mut Call| match call.core.take_events(usize::MAX)[..] {
            [.., Event::LayersChanged { consumer: 20, encoding: Some(0), temporal, spatial }] => (temporal, spatial),
            ref other => panic!("{other:?}"),
        };
        call.pictures(0..4, true);
        assert_eq!(reported(&mut call), (Some(2), Some(0)));
        call.bound(Some(1));
        call.pictures(4..6, true);
        assert_eq!(reported(&mut call), (Some(2), Some(1)));
        call.bound(Some(0));
        call.pictures(6..7, false);
        assert_eq!(reported(&mut call), (Some(2), Some(0)));
    }
}

#[test]
fn a_late_packet_takes_its_place_or_padding_fills_it() {
    for format in FORMATS {
        let mut call = Call::new(format, Some(0), None);
        call.pictures(0..1, true);
        let packets: Vec<_> = Part::of_picture(1, false).into_iter().map(|part| call.next_packet(part)).collect();
        // The end of the lowest layer, and a packet above the bound.
        let late = [1, 4];
        for (place, packet) in packets.iter().enumerate() {
            if !late.contains(&place) {
                call.arrive(packet.clone());
            }
        }
        let behind = call.pictures(2..3, false);
        assert_eq!(behind.iter().map(|got| got.number).collect::<Vec<_>>(), [3, 6, 7]);
        late.iter().for_each(|&place| call.arrive(packets[place].clone()));
        let [end, filled] = call.got()[..] else { panic!() };
        assert_eq!((end.number, end.marker, end.part.unwrap().place), (4, true, 1), "{format:?}");
        assert_eq!((filled.number, filled.marker, filled.part), (5, false, None));
    }
}

#[test]
fn a_retransmission_is_marked_as_the_packet_was() {
    for format in FORMATS {
        let mut call = Call::new(format, Some(1), None);
        let mut got = call.pictures(0..2, true);
        call.bound(Some(0));
        got.extend(call.pictures(2..3, false));
        // New structures may come before the request.
        got.extend(call.pictures(3..4, true));
        call.now = 1.2;
        let mut compound = Vec::new();
        let numbers: Vec<u16> = got.iter().map(|got| got.number).collect();
        Nack::write(1, MEDIA, &numbers, &mut compound);
        call.receiver.send_rtcp(&mut call.core, compound, call.now);
        let sent = leaving(&mut call.core, call.now);
        let again: Vec<_> = sent.iter().map(|(_, datagram)| call.receiver.open(datagram).unwrap()).collect();
        let again = again.iter().map(|(header, payload)| Got {
            number: u16::from_be_bytes([payload[0], payload[1]]),
            marker: header.marker,
            part: Some(Part::read(payload)),
        });
        assert_eq!(again.collect::<Vec<_>>(), got, "{format:?}");
    }
}

#[test]
fn a_key_picture_whose_beginning_came_late_answers_no_receiver_that_waits_for_spatial_layers() {
    for (bound, counted) in [(Some(0), 2), (None, 1)] {
        let mut call = Call::new(Format::Vp9, Some(0), None);
        call.pictures(0..2, true);
        call.bound(bound);
        let mut packets: Vec<_> = Part::of_picture(2, true).into_iter().map(|part| call.next_packet(part)).collect();
        let first = packets.remove(0);
        packets.into_iter().chain([first]).for_each(|packet| call.arrive(packet));
        assert_eq!(layers(&call.got()).into_iter().map(|(_, spatial)| spatial).max(), Some(0));
        assert_eq!(call.core.producer_stats(10).unwrap().encodings[0].key_frames, counted);
    }
}

#[test]
fn the_dependency_descriptor_reaches_a_receiver_that_takes_it() {
    let mut call = Call::new(Format::Av1, Some(0), None);
    let format = ConsumerFormat { payload_types: [101].into(), ..ConsumerFormat::default() };
    call.core
        .add_consumer(2, 21, 10, &ConsumerSpec { spatial: Some(0), ..ConsumerSpec::new(&format, 7001) }, 1)
        .unwrap();
    let sent = Part::of_picture(0, true)[0].packet(Format::Av1, VIDEO, 0);
    call.arrive(sent.clone());
    let [(_, with), (_, without)] = &leaving(&mut call.core, 9.0)[..] else { panic!() };
    let value = |packet: &[u8], id: u8| {
        let mut elements = Vec::new();
        parse_header_untrusted(packet, &mut elements).unwrap();
        find(packet, &elements, Some(id)).map(<[u8]>::to_vec)
    };
    let descriptor = value(&sent, DESCRIPTOR);
    assert!(descriptor.as_ref().is_some_and(|value| value.len() > 3));
    assert_eq!((value(with, ROUTERS), value(without, ROUTERS)), (descriptor, None));
}

#[test]
fn av1_without_descriptors_begins_with_a_coded_video_sequence_and_has_no_layers() {
    let mut call = Call::new(Format::Av1, Some(0), Some(0));
    for (number, payload) in
        (0..).zip([&b"\x10a delta frame"[..], b"\x18a key frame", b"\x90its end", b"\x10a delta frame"])
    {
        let mut packet = vec![0x80, 96, 0, number, 0, 0, 0, number, 0, 0, 8, 174];
        packet.extend(payload);
        call.arrive(packet);
    }
    let sent = leaving(&mut call.core, 9.0);
    assert_eq!(sent.len(), 3);
    assert_eq!((call.spatial(), call.core.producer_stats(10).unwrap().encodings[0].key_frames), ((None, None), 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any descriptors in any order cost only the stream itself: nothing panics, and no number is used twice.
    #[test]
    fn any_descriptors_can_come(
        steps in prop::collection::vec(
            (0..400u16, any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0..4u8),
            1..60,
        )
    ) {
        let mut call = Call::new(Format::Av1, Some(0), Some(1));
        call.pictures(0..1, true);
        let mut numbers = BTreeSet::new();
        for (number, structured, mut value, spatial) in steps {
            if structured && value.len() > 3 {
                value[3] |= 0x80;
            }
            call.bound((spatial < 3).then_some(spatial));
            let mut packet = Part::of_picture(1, false)[0].packet(Format::Vp9, VIDEO, 6 + number);
            packet[0] |= 0x10;
            packet.splice(12..12, extension(&value));
            call.arrive(packet);
            for (_, datagram) in leaving(&mut call.core, call.now) {
                let (header, _) = call.receiver.open(&datagram).unwrap();
                prop_assert!(numbers.insert(header.sequence_number));
            }
        }
    }
}
