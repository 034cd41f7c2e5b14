//! A camera that sends three spatial and three temporal layers as one stream, like the mode `L3T3_KEY`.

/// Temporal layers of successive pictures.
const TEMPORAL: [u8; 4] = [0, 2, 1, 2];
pub const SPATIAL: u8 = 3;
/// The client's id of the dependency descriptor.
pub const DESCRIPTOR: u8 = 9;
/// Packets of each frame.
const PACKETS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Vp9,
    Av1,
}

/// One packet: a part of the frame of one spatial layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub picture: u8,
    pub key: bool,
    pub spatial: u8,
    pub temporal: u8,
    pub place: u8,
}

impl Part {
    /// The packets of a picture, in their order.
    pub fn of_picture(picture: u8, key: bool) -> Vec<Self> {
        let temporal = if key { 0 } else { TEMPORAL[usize::from(picture) % TEMPORAL.len()] };
        let places = (0..SPATIAL).flat_map(|spatial| (0..PACKETS).map(move |place| (spatial, place)));
        places.map(|(spatial, place)| Self { picture, key, spatial, temporal, place }).collect()
    }

    /// The packet with this sequence number, plain.
    pub fn packet(self, format: Format, ssrc: u32, number: u16) -> Vec<u8> {
        let last = self.ends() && self.spatial == SPATIAL - 1;
        let mut packet = vec![0x80, 96 | u8::from(last) << 7];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(self.picture) * 3000).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        match format {
            Format::Vp9 => packet.extend(self.payload_descriptor()),
            Format::Av1 => {
                packet[0] |= 0x10;
                packet.extend(extension(&self.dependency_descriptor()));
                // What the core may not look at: it could be encrypted.
                packet.push(0xFF);
            }
        }
        packet.extend([self.picture, u8::from(self.key), self.spatial, self.temporal, self.place]);
        packet
    }

    /// The part whose payload this is.
    pub fn read(payload: &[u8]) -> Self {
        let &[.., picture, key, spatial, temporal, place] = payload else { panic!("{payload:x?}") };
        Self { picture, key: key == 1, spatial, temporal, place }
    }

    fn begins(self) -> bool {
        self.place == 0
    }

    fn ends(self) -> bool {
        self.place == PACKETS - 1
    }

    /// RFC 9628 section 4.2, in non-flexible mode.
    fn payload_descriptor(self) -> [u8; 5] {
        let flags = [(0xA0, true), (0x40, !self.key), (0x08, self.begins()), (0x04, self.ends())];
        let first = flags.iter().filter(|(_, set)| *set).fold(0, |all, (flag, _)| all | flag);
        let switch_up = u8::from(self.temporal == 0) << 4;
        let inter_layer = u8::from(self.key && self.spatial > 0);
        [first, 0x80, self.picture, self.temporal << 5 | switch_up | self.spatial << 1 | inter_layer, 0]
    }

    fn dependency_descriptor(self) -> Vec<u8> {
        let template = self.spatial * 4 + if self.key { 0 } else { 1 + self.temporal };
        let first = u8::from(self.begins()) << 7 | u8::from(self.ends()) << 6 | template;
        let mut value = vec![first, 0, self.picture * SPATIAL + self.spatial];
        if self.key && self.begins() && self.spatial == 0 {
            value.extend(structure());
        }
        value
    }
}

/// A block of two-byte elements with one of this value.
pub fn extension(value: &[u8]) -> Vec<u8> {
    let size = 2 + value.len();
    let words = size.div_ceil(4);
    let mut block = vec![0x10, 0x00, 0, words as u8, DESCRIPTOR, value.len() as u8];
    block.extend(value);
    block.resize(4 + 4 * words, 0);
    block
}

/// A structure with four templates for each spatial layer: of key pictures, and of the temporal layers.  A decode target
/// for each layer.
fn structure() -> Vec<u8> {
    let mut bits = format!("10000{:06b}{:05b}", 0, 8);
    bits += "000101100001011000010111";
    let templates =
        || (0..SPATIAL).flat_map(|spatial| [None, Some(0), Some(1), Some(2)].map(|temporal| (spatial, temporal)));
    for (spatial, temporal) in templates() {
        for target in 0..9 {
            let (above, at) = (target / 3 >= spatial, target / 3 == spatial);
            bits += match temporal {
                None if above => "10",
                Some(0) if at => "10",
                Some(1) if at && target % 3 == 1 => "01",
                Some(1) if at && target % 3 == 2 => "10",
                Some(2) if at && target % 3 == 2 => "01",
                _ => "00",
            };
        }
    }
    for (spatial, temporal) in templates() {
        bits += match (spatial, temporal) {
            (0, None) => "0",
            (_, None) => "100000",
            _ => "100100",
        };
    }
    bits += "0000"; // no chains, no resolutions
    let byte = |bits: &[u8]| u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(bits).unwrap()), 2).unwrap();
    bits.as_bytes().chunks(8).map(byte).collect()
}
