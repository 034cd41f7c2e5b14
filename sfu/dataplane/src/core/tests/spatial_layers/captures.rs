//! Packets that Chromium 156 sent: 20 pictures each, of VP9 in the mode `L3T3_KEY`, and of AV1 in the mode `L3T3`.  Its rate
//! was so low that it sent two of the three spatial layers.
//!
//! The files have a packet a line: sequence number, timestamp, marker, dependency descriptor (`-` if it has none), and the
//! beginning of the payload.

use super::*;
use crate::core::wire::hex::hex;

struct Captured {
    number: u16,
    timestamp: u32,
    marker: bool,
    descriptor: Vec<u8>,
    payload: Vec<u8>,
}

fn read(file: &str) -> Vec<Captured> {
    let packet = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let [number, timestamp, marker, descriptor, payload] = fields[..] else { panic!("{line}") };
        Captured {
            number: number.parse().unwrap(),
            timestamp: timestamp.parse().unwrap(),
            marker: marker == "1",
            descriptor: if descriptor == "-" { Vec::new() } else { hex(descriptor) },
            payload: hex(payload),
        }
    };
    file.lines().map(packet).collect()
}

impl Captured {
    fn packet(&self) -> Vec<u8> {
        let mut packet = vec![0x80, 96 | u8::from(self.marker) << 7];
        packet.extend(self.number.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(VIDEO.to_be_bytes());
        if !self.descriptor.is_empty() {
            packet[0] |= 0x10;
            packet.extend(extension(&self.descriptor));
        }
        packet.extend(&self.payload);
        packet
    }
}

/// The header of a packet that arrives, its dependency descriptor and its payload.
type Arrived = (Header, Vec<u8>, Vec<u8>);

/// Send the captured packets.  Gives the call, and the packets that arrive.
fn replay(format: Format, file: &str, spatial: Option<u8>) -> (Call, Vec<Arrived>) {
    let mut call = Call::new(format, spatial, None);
    let mut got = Vec::new();
    for packet in read(file) {
        call.now += 0.001;
        call.arrive(packet.packet());
        for (to, datagram) in leaving(&mut call.core, call.now) {
            if to == path(2) {
                let mut elements = Vec::new();
                let (header, payload) = call.receiver.open(&datagram).unwrap();
                parse_header_untrusted(&datagram, &mut elements).unwrap();
                let descriptor = find(&datagram, &elements, Some(ROUTERS)).unwrap_or_default().to_vec();
                got.push((header, descriptor, payload));
            }
        }
    }
    (call, got)
}

const FILES: [(Format, &str); 2] =
    [(Format::Vp9, include_str!("vp9_l3t3_key.txt")), (Format::Av1, include_str!("av1_l3t3.txt"))];

#[test]
fn every_picture_is_whole_up_to_the_bound() {
    for (format, file) in FILES {
        let pictures: BTreeSet<u32> = read(file).iter().map(|packet| packet.timestamp).collect();
        let mut packets = Vec::new();
        for spatial in 0..2 {
            let (call, got) = replay(format, file, Some(spatial));
            assert_eq!(call.spatial(), (Some(spatial), Some(spatial)));
            for (index, (header, descriptor, payload)) in got.iter().enumerate() {
                let next = got.get(index + 1).map(|(next, ..)| next);
                let last = next.is_none_or(|next| next.timestamp != header.timestamp);
                assert_eq!(header.marker, last, "{format:?}, packet {index}");
                assert!(next.is_none_or(|next| next.sequence_number == header.sequence_number + 1));
                let frame_ends = if format == Format::Vp9 { payload[0] & 0x04 } else { descriptor[0] & 0x40 };
                assert!(!header.marker || frame_ends > 0, "{format:?}, packet {index}");
            }
            let timestamps: BTreeSet<u32> = got.iter().map(|(header, ..)| header.timestamp).collect();
            assert_eq!(timestamps.len(), pictures.len(), "{format:?}");
            packets.push(got.len());
        }
        assert!(packets[0] < packets[1], "{packets:?}");
        assert_eq!(packets[1], read(file).len(), "{format:?}");
    }
}

#[test]
fn key_pictures_and_layers_are_found() {
    for (format, file) in FILES {
        let (mut call, _) = replay(format, file, None);
        assert_eq!(call.core.producer_stats(10).unwrap().encodings[0].key_frames, 1, "{format:?}");
        let layers = Event::LayersChanged { consumer: 20, encoding: Some(0), temporal: Some(2), spatial: Some(1) };
        assert!(call.core.take_events(usize::MAX).contains(&layers), "{format:?}");
    }
}
