//! Numbered payloads in the form of tools/interop/media.py.

use serde_json::{Value, json};

const FILLING: [u8; 40] = [0; 40];
const PARAMETER_SETS: [u8; 16] = [0x78, 0, 7, 0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0, 4, 0x68, 0xce, 0x3c, 0x80];

fn numbered(head: &[u8], number: u32) -> Vec<u8> {
    [head, &FILLING, &number.to_be_bytes()].concat()
}

/// The payloads of one frame.
pub fn frame(mime_type: &str, number: u32, picture: u16, key: bool) -> Vec<Vec<u8>> {
    let [high, low] = picture.to_be_bytes();
    let id = [0x80, high | 0x80, low];
    match (mime_type, key) {
        ("video/VP8", false) => {
            vec![numbered(&[&[0x90], &id[..], &[0x11, 0x02, 0x00]].concat(), number)]
        }
        ("video/VP8", true) => {
            let key_picture = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
            vec![
                numbered(&[&[0x90], &id[..], &key_picture[..]].concat(), number),
                numbered(&[&[0x80], &id[..]].concat(), number + 1),
            ]
        }
        ("video/H264", false) => vec![numbered(&[0x41, 0x9a], number)],
        ("video/H264", true) => {
            let sei = numbered(&[0x06, 0x05, 0x29], number);
            let size = u8::try_from(sei.len()).expect("a few bytes");
            vec![
                [&PARAMETER_SETS[..], &[0, size], &sei].concat(),
                numbered(&[0x7c, 0x85, 0x88], number + 1),
                numbered(&[0x7c, 0x45], number + 2),
            ]
        }
        _ => vec![numbered(&[0x78], number)],
    }
}

fn begins_key_frame(mime_type: &str, payload: &[u8]) -> bool {
    match mime_type {
        "video/VP8" if payload[0] & 0x17 == 0x10 => {
            let mut at = 1;
            if payload[0] & 0x80 != 0 {
                let flags = payload[1];
                at = 2 + usize::from(flags & 0x40 != 0) + usize::from(flags & 0x30 != 0);
                if flags & 0x80 != 0 {
                    at += if payload[2] & 0x80 != 0 { 2 } else { 1 };
                }
            }
            payload[at] & 1 == 0
        }
        "video/H264" => payload[0] & 31 == 24,
        _ => false,
    }
}

/// The packets that arrived from one stream.
#[derive(Default)]
pub struct Tally {
    numbers: Vec<u32>,
    keys: u32,
    first_is_key: bool,
}

impl Tally {
    pub fn take(&mut self, mime_type: &str, payload: &[u8]) {
        let Some(number) = payload.last_chunk::<4>().filter(|_| payload.len() > 4) else {
            return;
        };
        let key = begins_key_frame(mime_type, payload);
        self.first_is_key |= key && self.numbers.is_empty();
        self.keys += u32::from(key);
        self.numbers.push(u32::from_be_bytes(*number));
    }

    pub fn to_json(&self) -> Value {
        json!({"numbers": self.numbers, "keys": self.keys, "firstIsKey": self.first_is_key})
    }
}
