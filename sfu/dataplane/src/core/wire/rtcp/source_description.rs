//! Source descriptions (RFC 3550 section 6.5): the names of sources.

use super::raw_packet::{BadPacket, SOURCE_DESCRIPTION, write_packet};
use crate::core::wire::rtp::be32;

const CNAME: u8 = 1;
const MAX_ITEM: usize = 255; // the size of an item is one byte

/// The canonical names (CNAME) of some sources; other items are checked and skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    chunks: u8,
    body: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    pub(super) fn read_untrusted(count: u8, body: &'a [u8]) -> Result<Self, BadPacket> {
        let description = Self { chunks: count, body };
        description.cnames_untrusted().try_for_each(|name| name.map(|_| ()))?;
        Ok(description)
    }

    /// Each name with the SSRC of its source.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        self.cnames_untrusted().map_while(Result::ok)
    }

    fn cnames_untrusted(&self) -> Cnames<'a> {
        Cnames { chunks: self.chunks, rest: self.body, ssrc: None, item_bytes: 0 }
    }

    /// Append the name of one source.  A name of more than 255 bytes loses the characters behind them.
    pub fn write(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
        let size = (0..=cname.len().min(MAX_ITEM)).rev().find(|&size| cname.is_char_boundary(size)).unwrap_or(0);
        let name = &cname.as_bytes()[..size];
        write_packet(out, SOURCE_DESCRIPTION, 1, |out| {
            out.extend(ssrc.to_be_bytes());
            out.extend([CNAME, name.len() as u8]);
            out.extend_from_slice(name);
            // At least one zero ends the items, and they fill whole words.
            out.resize(out.len() + 4 - (2 + name.len()) % 4, 0);
        });
    }
}

/// Iterates over chunks.  A chunk is an SSRC and items, and a zero byte ends it.
struct Cnames<'a> {
    chunks: u8,
    rest: &'a [u8],
    /// SSRC of the current chunk.
    ssrc: Option<u32>,
    /// Bytes of its items read so far.
    item_bytes: usize,
}

impl<'a> Cnames<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], BadPacket> {
        let (taken, behind) = self.rest.split_at_checked(size).ok_or(BadPacket)?;
        self.rest = behind;
        Ok(taken)
    }

    /// The next name; `None` at the end of the chunks.
    fn next_untrusted(&mut self) -> Result<Option<(u32, &'a str)>, BadPacket> {
        loop {
            let Some(ssrc) = self.ssrc else {
                if self.chunks == 0 {
                    return Ok(None);
                }
                self.chunks -= 1;
                self.ssrc = Some(be32(self.take(4)?, 0));
                self.item_bytes = 0;
                continue;
            };
            if *self.rest.first().ok_or(BadPacket)? == 0 {
                // Zeros end the items and fill the word.  At the beginning of a word there are four of them.
                self.take(4 - self.item_bytes % 4)?;
                self.ssrc = None;
                continue;
            }
            let head = self.take(2)?;
            let value = self.take(usize::from(head[1]))?;
            self.item_bytes += 2 + value.len();
            if head[0] == CNAME {
                return Ok(Some((ssrc, std::str::from_utf8(value).map_err(|_| BadPacket)?)));
            }
        }
    }
}

impl<'a> Iterator for Cnames<'a> {
    type Item = Result<(u32, &'a str), BadPacket>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_untrusted().transpose()
    }
}
