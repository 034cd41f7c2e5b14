//! Datagrams in a TCP stream (RFC 4571).

use crate::core::MAX_DATAGRAM;
use crate::shell::streams::framing::{Frames, LENGTH, MAX_FRAME, append};

/// The first byte is the size of the pieces in which the rest arrives: it must not matter.
pub fn try_untrusted(input: &[u8]) {
    let [piece, stream @ ..] = input else { return };
    let at_once = read(stream, stream.len().max(1));
    assert_eq!(read(stream, usize::from(*piece).max(1)), at_once);
    let (datagrams, ended) = at_once;
    let mut again = Vec::new();
    datagrams.iter().for_each(|datagram| append(datagram, &mut again));
    assert!(again.len() <= stream.len());
    assert_eq!(read(&again, again.len().max(1)), (datagrams, false), "{ended}");
}

/// The datagrams, and whether the stream ended with one that nobody sends.
fn read(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut kept, mut datagrams) = (Vec::new(), Vec::new());
    for bytes in stream.chunks(piece) {
        kept.extend_from_slice(bytes);
        let mut frames = Frames::of_untrusted(&mut kept);
        for datagram in frames.by_ref() {
            assert!((LENGTH..=MAX_DATAGRAM).contains(&datagram.len()));
            datagrams.push(datagram.to_vec());
        }
        let Some(rest) = frames.rest().map(<[u8]>::to_vec) else { return (datagrams, true) };
        assert!(rest.len() < MAX_FRAME);
        kept = rest;
    }
    (datagrams, false)
}
