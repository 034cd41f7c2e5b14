//! Goodbyes (RFC 3550 section 6.6): sources that end.

use super::items::{Items, write_items};
use super::raw_packet::{BadPacket, GOODBYE, write_packet};

/// A goodbye.  A reason behind the sources is ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goodbye<'a> {
    /// The sources that end.
    pub ssrcs: Items<'a, u32>,
}

impl<'a> Goodbye<'a> {
    pub(super) fn read_untrusted(count: u8, body: &'a [u8]) -> Result<Self, BadPacket> {
        Ok(Self { ssrcs: Items::first_untrusted(body, usize::from(count))? })
    }

    /// Append a goodbye of these sources, at most 31.
    pub fn write(ssrcs: &[u32], out: &mut Vec<u8>) {
        write_packet(out, GOODBYE, ssrcs.len(), |out| write_items(ssrcs, out));
    }
}
