//! Datagrams in a stream: each stands behind its length, in two bytes (RFC 4571 section 2).

use crate::core::MAX_DATAGRAM;

/// Bytes of the length in front of each datagram.
pub const LENGTH: usize = 2;
/// The largest frame that we take, with its length.
pub const MAX_FRAME: usize = LENGTH + MAX_DATAGRAM;

/// The smallest datagram of any protocol on a path: a DTLS record of one byte has 14.
const MIN_DATAGRAM: usize = 12;

/// The whole frames at the beginning of what was read.
///
/// Its items are their datagrams.  Empty ones, which RFC 4571 allows, are left out.  Afterwards [`Frames::rest`] has
/// the bytes behind the last whole frame.
pub struct Frames<'a> {
    bytes: &'a mut [u8],
    malformed: bool,
}

impl<'a> Frames<'a> {
    /// The frames in these bytes, which begin with a length.
    pub fn of_untrusted(bytes: &'a mut [u8]) -> Self {
        Self { bytes, malformed: false }
    }

    /// The beginning of a frame whose end is still to come.  `None` after a datagram of a size that no client sends.
    pub fn rest(&self) -> Option<&[u8]> {
        (!self.malformed).then_some(self.bytes)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a mut [u8];

    fn next(&mut self) -> Option<Self::Item> {
        while !self.malformed && self.bytes.len() >= LENGTH {
            let size = size_of(self.bytes);
            self.malformed = size > MAX_DATAGRAM || (1..MIN_DATAGRAM).contains(&size);
            if self.malformed || self.bytes.len() < LENGTH + size {
                return None;
            }
            let (frame, behind) = std::mem::take(&mut self.bytes).split_at_mut(LENGTH + size);
            self.bytes = behind;
            if size > 0 {
                return Some(&mut frame[LENGTH..]);
            }
        }
        None
    }
}

/// The size that the first two bytes say.
fn size_of(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Append a datagram behind its length.
pub fn append(datagram: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
    to.extend_from_slice(datagram);
}

/// Bytes of the frame that begins here.
pub fn frame_size(bytes: &[u8]) -> usize {
    LENGTH + size_of(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        datagrams.iter().for_each(|datagram| append(datagram, &mut bytes));
        bytes
    }

    /// The datagrams, and the bytes behind them.
    fn read(bytes: &mut [u8]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut frames = Frames::of_untrusted(bytes);
        let datagrams = frames.by_ref().map(|datagram| datagram.to_vec()).collect();
        (datagrams, frames.rest().map(<[u8]>::to_vec))
    }

    #[test]
    fn frames_come_out_whole_wherever_the_bytes_are_cut() {
        let datagrams: [&[u8]; 3] = [&[1; 12], &[2; MAX_DATAGRAM], &[3; 700]];
        let bytes = framed(&datagrams);
        for cut in 0..=bytes.len() {
            let (mut found, rest) = read(&mut bytes[..cut].to_vec());
            let (more, rest) = read(&mut [&rest.unwrap(), &bytes[cut..]].concat());
            found.extend(more);
            assert_eq!((found, rest), (datagrams.map(<[u8]>::to_vec).into(), Some(vec![])), "{cut}");
        }
    }

    #[test]
    fn an_empty_frame_is_left_out() {
        assert_eq!(read(&mut framed(&[b"", &[1; 20], b"", b""])), (vec![vec![1; 20]], Some(vec![])));
    }

    #[test]
    fn a_frame_of_a_size_that_nobody_sends_ends_the_stream() {
        for size in [1, MIN_DATAGRAM - 1, MAX_DATAGRAM + 1, 65_535] {
            let mut bytes = framed(&[&[1; 20]]);
            bytes.extend((size as u16).to_be_bytes());
            assert_eq!(read(&mut bytes), (vec![vec![1; 20]], None), "{size}");
        }
    }
}
