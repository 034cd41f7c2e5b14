//! A retransmission is exactly the packet that was sent first, whatever happened in between.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::*;

/// A packet as its receiver got it first.
#[derive(Clone, Debug, PartialEq)]
struct First {
    timestamp: u32,
    marker: bool,
    /// The value of its header extension.
    extension: Option<Vec<u8>>,
    payload: Vec<u8>,
}

fn without_padding(header: &Header, payload: &[u8]) -> Vec<u8> {
    let padding = if header.padding { usize::from(*payload.last().unwrap()) } else { 0 };
    payload[..payload.len() - padding].to_vec()
}

/// A publisher of two encodings with three temporal layers, and everything that its receiver got.
struct Stage {
    core: Core,
    sender: Client,
    receiver: Client,
    codec: &'static str,
    /// The next sequence number and picture of each encoding.
    next: [(u16, u16); 2],
    held_back: Vec<Vec<u8>>,
    got: BTreeMap<u64, First>,
    highest: u64,
    answers: usize,
}

impl Stage {
    fn new(codec: &'static str) -> Self {
        let spec = ProducerSpec {
            codec: codec.into(),
            payload_types: [(96, 101)].into(),
            encodings: simulcast(),
            extension_ids: [(1, 10)].into(),
            ..video()
        };
        let format = ConsumerFormat { extension_ids: [10].into(), mid_id: Some(4), ..rtx_format() };
        let mut core = Core::new(0.0);
        let sender = Client::connect(&mut core, 1, PROFILES[0]);
        let receiver = Client::connect(&mut core, 2, PROFILES[2]);
        core.add_producer(1, 10, spec).unwrap();
        core.add_consumer(2, 20, 10, &ConsumerSpec { mid: Some("m"), ..resending(&format) }, 0x7FFF).unwrap();
        let next = [(65_500, 0x7FF0), (100, 100)];
        let (held_back, got) = (Vec::new(), BTreeMap::new());
        Self { core, sender, receiver, codec, next, held_back, got, highest: 0, answers: 0 }
    }

    /// The next packet of an encoding, sealed.  `kind` selects its frame, layer and padding.
    fn packet(&mut self, encoding: usize, kind: u8) -> Vec<u8> {
        let (number, picture) = self.next[encoding];
        let key = kind.is_multiple_of(16);
        let begins = key || !kind.is_multiple_of(3);
        let picture = picture.wrapping_add(u16::from(begins)) & 0x7FFF;
        self.next[encoding] = (number.wrapping_add(1), picture);
        let padded = kind % 32 >= 28;
        let mut packet = vec![0x90 | u8::from(padded) << 5, 96 | (kind & 1) << 7];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(picture) * 3000).to_be_bytes());
        packet.extend([VIDEO, SMALL][encoding].to_be_bytes());
        packet.extend([0xBE, 0xDE, 0, 1, 0x11, kind, kind, 0]);
        if kind % 32 == 31 {
            packet.extend([0, 0, 3]);
            return self.sender.seal_whole(packet);
        }
        let layer = if key { 0 } else { kind % 3 };
        match self.codec {
            "video/vp8" => {
                let [high, low] = picture.to_be_bytes();
                packet.extend([
                    0x80 | u8::from(begins) << 4,
                    0xE0,
                    high | 0x80,
                    low,
                    picture as u8 / 4,
                    layer << 6 | 0x20,
                ]);
                packet.push(u8::from(!key));
            }
            "video/vp9" => {
                let first = 0xA0 | u8::from(begins) << 3 | u8::from(!key) << 6;
                packet.extend([first, picture as u8 & 0x7F, layer << 5 | 0x10, 0]);
            }
            // A key frame without parameter sets gets those of an earlier one from the core.
            _ => packet.extend([[0x41, 0x67, 0x65][usize::from(key) + usize::from(key && kind > 100)], 9]),
        }
        packet.extend([kind, encoding as u8, number as u8, 1]);
        if padded {
            packet.extend([0, 0, 3]);
        }
        self.sender.seal_whole(packet)
    }

    /// Let everything arrive that left.  A retransmission must be what was sent first.
    fn arrive(&mut self, now: f64) -> Result<(), TestCaseError> {
        let mut elements = Vec::new();
        for (_, datagram) in leaving(&mut self.core, now) {
            let (header, payload) = self.receiver.open(&datagram).unwrap();
            let body = without_padding(&header, &payload);
            parse_header_untrusted(&datagram, &mut elements).unwrap();
            let extension = find(&datagram, &elements, Some(10)).map(<[u8]>::to_vec);
            let first = |payload: Vec<u8>| First {
                timestamp: header.timestamp,
                marker: header.marker,
                extension: extension.clone(),
                payload,
            };
            if header.ssrc == MEDIA {
                let mut newest = RtpWindow::default();
                newest.add(self.highest.max(1));
                let index = newest.guess(header.sequence_number);
                self.highest = self.highest.max(index);
                prop_assert_eq!(self.got.insert(index, first(body)), None);
                continue;
            }
            prop_assert_eq!((header.ssrc, header.payload_type), (RESENDS, 102));
            let number = u16::from_be_bytes([body[0], body[1]]);
            let mut newest = RtpWindow::default();
            newest.add(self.highest);
            let before = &self.got[&newest.guess(number)];
            if before.payload.is_empty() {
                prop_assert_eq!(body.len(), 2);
            } else {
                let again = first(body[2..].to_vec());
                // The core's own parameter sets come again without extensions.
                let own_set = again.payload[0] == 0x67 && again.extension.is_none();
                let extension = before.extension.clone().filter(|_| !own_set);
                prop_assert_eq!(again, First { extension, ..before.clone() });
            }
            self.answers += 1;
        }
        Ok(())
    }

    fn step(&mut self, step: u8, kind: u8, now: f64) -> Result<(), TestCaseError> {
        match step {
            0..=9 => {
                let encoding = usize::from(step > 5);
                let sealed = self.packet(encoding, kind);
                match kind % 7 {
                    0 => self.held_back.push(sealed),
                    1 => {}
                    _ => self.core.receive(&mut sealed.clone(), path(1), now),
                }
            }
            10..=12 => {
                for mut late in std::mem::take(&mut self.held_back) {
                    self.core.receive(&mut late, path(1), now);
                }
            }
            13 => self.core.set_layers(20, Some(usize::from(kind & 1)), Some(kind % 3), None).unwrap(),
            14 if kind < 40 => self.core.set_consumer_paused(20, kind.is_multiple_of(2)).unwrap(),
            _ => {
                self.arrive(now)?;
                let first = self.highest.saturating_sub(u64::from(kind % 64)) as u16;
                let numbers: Vec<u16> = (0..8).map(|step| first.wrapping_add(step)).collect();
                nack(&mut self.core, &mut self.receiver, &numbers, now);
            }
        }
        self.arrive(now)
    }
}

proptest! {
    /// Over losses, late packets, padding, layers, switches and pauses, with numbers and pictures that wrap: every
    /// retransmission is what was sent first.  The transports check that no index is sealed twice with different bytes.
    #[test]
    fn a_retransmission_is_what_was_sent_first(
        codec in prop::sample::select(vec!["video/vp8", "video/vp9", "video/h264", "video/av1"]),
        steps in prop::collection::vec((0..24u8, any::<u8>()), 50..400),
    ) {
        let mut stage = Stage::new(codec);
        let mut now = 1.0;
        for (step, kind) in steps {
            now += 0.004;
            stage.step(step, kind, now)?;
            prop_assert_eq!(stage.core.store_memory > 0, stage.core.totals().stored_packets > 0);
        }
        let stats = stage.core.consumer_stats(20).unwrap();
        prop_assert_eq!(stats.resent, stage.answers as u64);
        prop_assert_eq!(stats.requested, stats.resent + stats.not_resent);
    }
}

#[test]
fn most_of_what_is_asked_for_in_a_plain_call_is_answered() {
    for codec in ["video/vp8", "video/vp9", "video/h264"] {
        let mut stage = Stage::new(codec);
        stage.step(0, 48, 1.0).unwrap();
        for number in 0..600u16 {
            stage.step(0, [5, 20, 25][usize::from(number % 3)], 1.0 + f64::from(number) * 0.008).unwrap();
            if number % 20 == 0 {
                stage.step(23, 8, 1.0 + f64::from(number) * 0.008).unwrap();
            }
        }
        assert!(stage.answers > 200, "{codec}: {} {:?}", stage.answers, dropped(&stage.core));
    }
}
