//! The newest payloads of an audio stream, and the redundant payloads that repeat them (RFC 2198).

use crate::core::receive::packet::Packet;
use crate::core::wire::payload::{RedundantBlock, can_be_redundant, write_red};

/// How many earlier payloads a packet repeats at most.
pub const MAX_DEPTH: usize = 2;

const MAX_PACKET: usize = 1000; // bytes of header and payload, far below the smallest path

/// The forms in which one packet leaves to receivers of redundant audio: memory that is kept between packets.
///
/// A form is empty where it would hold nothing but the packet's own payload.
#[derive(Debug, Default)]
pub struct RedundantForms([Vec<u8>; MAX_DEPTH]);

impl RedundantForms {
    /// The form with the most earlier payloads, at most `depth` of them.  `None` if there is no such form.
    pub fn get(&self, depth: usize) -> Option<&[u8]> {
        self.0[..depth].iter().rev().find(|form| !form.is_empty()).map(|form| &form[..])
    }
}

#[derive(Debug, Default)]
struct RecentPayload {
    /// The extended sequence number of its packet.
    number: i64,
    timestamp: u32,
    payload_type: u8,
    payload: Vec<u8>,
}

/// The payloads of the last two packets of an encoding.
#[derive(Debug, Default)]
pub struct RecentPayloads([RecentPayload; MAX_DEPTH]);

impl RecentPayloads {
    /// Write the packet's payload behind one and behind two earlier ones, for all receivers at once.
    ///
    /// A receiver numbers the blocks by their places.  So block n-2 stands only before block n-1, and a packet that
    /// comes late repeats nothing.
    pub fn write_forms(&self, packet: &Packet<'_>, forms: &mut RedundantForms) {
        forms.0.iter_mut().for_each(Vec::clear);
        if !packet.newest || packet.left_out {
            return;
        }
        let mut blocks = [RedundantBlock { payload_type: 0, offset: 0, payload: &[] }; MAX_DEPTH];
        let mut size = packet.header.size + packet.payload.len() + 1;
        for depth in 1..=MAX_DEPTH {
            let Some(block) = self.block(packet, depth) else { return };
            size += 4 + block.payload.len();
            if size > MAX_PACKET {
                return;
            }
            blocks[MAX_DEPTH - depth] = block;
            write_red(&blocks[MAX_DEPTH - depth..], packet.payload_type, packet.payload, &mut forms.0[depth - 1]);
        }
    }

    /// Remember the packet's payload in the place of the one two numbers before.
    pub fn remember(&mut self, packet: &Packet<'_>) {
        let place = &mut self.0[place(packet.extended)];
        if packet.left_out || (packet.extended < place.number && !packet.newest) {
            return;
        }
        place.number = packet.extended;
        place.timestamp = packet.header.timestamp;
        place.payload_type = packet.payload_type;
        place.payload.clear();
        place.payload.extend_from_slice(packet.payload);
    }

    /// The payload of the packet `depth` numbers before this one, as a block.
    fn block(&self, packet: &Packet<'_>, depth: usize) -> Option<RedundantBlock<'_>> {
        let number = packet.extended - depth as i64;
        let RecentPayload { number: kept, timestamp, payload_type, ref payload } = self.0[place(number)];
        let offset = packet.header.timestamp.wrapping_sub(timestamp);
        let usable = kept == number && can_be_redundant(offset, payload.len());
        usable.then_some(RedundantBlock { payload_type, offset: offset as u16, payload })
    }
}

fn place(number: i64) -> usize {
    number.rem_euclid(MAX_DEPTH as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::payload::parse_red_untrusted;
    use crate::core::wire::rtp::parse_header_untrusted;
    use proptest::prelude::*;

    const HEADER: [u8; 12] = [0x80, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    /// Forward the packet with this number.  Gives the forms in which it leaves.
    fn forward(
        recent: &mut RecentPayloads,
        number: i64,
        timestamp: u32,
        payload: &[u8],
        newest: bool,
    ) -> RedundantForms {
        let mut header = parse_header_untrusted(&HEADER, &mut Vec::new()).unwrap();
        header.timestamp = timestamp;
        let packet = Packet {
            plain: &HEADER,
            payload,
            padding: &[],
            header,
            elements: &[],
            extended: number,
            newest,
            payload_type: 100,
            left_out: false,
            frame: None,
            picture: 0,
            serial: number as u64,
            now: 0.0,
        };
        let mut forms = RedundantForms::default();
        recent.write_forms(&packet, &mut forms);
        recent.remember(&packet);
        forms
    }

    /// The blocks of a form, each with its age, and the primary one.
    fn read(form: Option<&[u8]>) -> Vec<(u16, Vec<u8>)> {
        let Some(parsed) = form.map(|form| parse_red_untrusted(form).unwrap()) else { return Vec::new() };
        let blocks = parsed.blocks.map(|block| (block.offset, block.payload.to_vec()));
        blocks.chain([(0, parsed.primary.to_vec())]).collect()
    }

    fn block(age: u16, payload: &[u8]) -> (u16, Vec<u8>) {
        (age, payload.to_vec())
    }

    #[test]
    fn a_packet_repeats_the_one_or_two_before_it() {
        let mut recent = RecentPayloads::default();
        assert_eq!(forward(&mut recent, 7, 960, b"a", true).get(2), None);
        let second = forward(&mut recent, 8, 1920, b"b", true);
        assert_eq!(second.get(0), None);
        assert_eq!(read(second.get(1)), [block(960, b"a"), block(0, b"b")]);
        assert_eq!(second.get(2), second.get(1));
        let third = forward(&mut recent, 9, 2880, b"c", true);
        assert_eq!(read(third.get(1)), [block(960, b"b"), block(0, b"c")]);
        assert_eq!(read(third.get(2)), [block(1920, b"a"), block(960, b"b"), block(0, b"c")]);
    }

    #[test]
    fn nothing_is_repeated_across_a_missing_packet() {
        let mut recent = RecentPayloads::default();
        forward(&mut recent, 7, 960, b"a", true);
        assert_eq!(forward(&mut recent, 9, 2880, b"c", true).get(2), None);
        assert_eq!(forward(&mut recent, 8, 1920, b"b", false).get(2), None);
        let next = forward(&mut recent, 10, 3840, b"d", true);
        assert_eq!(read(next.get(2)), [block(1920, b"b"), block(960, b"c"), block(0, b"d")]);
    }

    #[test]
    fn a_payload_that_is_too_old_too_long_or_empty_is_not_repeated() {
        for (offset, size, repeated) in [(1, 1, 1), (0x3FFF, 900, 1), (0x4000, 1, 0), (0, 1, 0), (1, 0, 0), (1, 990, 0)]
        {
            let mut recent = RecentPayloads::default();
            forward(&mut recent, 1, 0, &vec![5; size], true);
            let form = forward(&mut recent, 2, offset, b"b", true);
            assert_eq!(read(form.get(2)).len().saturating_sub(1), repeated, "{offset} {size}");
        }
    }

    #[test]
    fn a_stream_that_began_anew_repeats_nothing_of_the_old_one() {
        let mut recent = RecentPayloads::default();
        forward(&mut recent, 70_000, 960, b"a", true);
        assert_eq!(forward(&mut recent, 5, 4_000_000, b"b", true).get(2), None);
        assert_eq!(read(forward(&mut recent, 6, 4_000_960, b"c", true).get(2)), [block(960, b"b"), block(0, b"c")]);
    }

    proptest! {
        #[test]
        fn each_block_is_the_payload_that_was_sent_before(
            lost in prop::collection::vec(any::<bool>(), 100),
            sizes in prop::collection::vec(1usize..600, 100),
        ) {
            let mut recent = RecentPayloads::default();
            let sent = |number: usize| vec![number as u8; sizes[number]];
            for number in (0..100).filter(|&number| !lost[number]) {
                let forms = forward(&mut recent, number as i64, 960 * number as u32, &sent(number), true);
                for depth in 0..=2 {
                    let blocks = read(forms.get(depth));
                    prop_assert!(blocks.len() <= depth + 1);
                    for (age, payload) in blocks {
                        prop_assert_eq!(payload, sent(number - usize::from(age) / 960));
                    }
                }
            }
        }
    }
}
