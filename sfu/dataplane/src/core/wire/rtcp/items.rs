//! Lists of values of equal size on the wire.

use std::fmt;
use std::marker::PhantomData;

use super::raw_packet::BadPacket;
use crate::core::wire::rtp::be32;

/// A value of a fixed size.
pub trait Item: Copy {
    /// The size in bytes.
    const SIZE: usize;

    /// Read a value from exactly that many bytes.
    fn read(bytes: &[u8]) -> Self;

    /// Append the value.
    fn write(&self, out: &mut Vec<u8>);
}

/// An SSRC.
impl Item for u32 {
    const SIZE: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        be32(bytes, 0)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_be_bytes());
    }
}

/// A list in a received packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Items<'a, T> {
    bytes: &'a [u8],
    of: PhantomData<T>,
}

impl<'a, T: Item> Items<'a, T> {
    /// The first `count` items of these bytes.
    pub fn first_untrusted(bytes: &'a [u8], count: usize) -> Result<Self, BadPacket> {
        let bytes = bytes.get(..count * T::SIZE).ok_or(BadPacket)?;
        Ok(Self { bytes, of: PhantomData })
    }

    /// Read all of these bytes, which must be one or more whole items.
    pub fn all_untrusted(bytes: &'a [u8]) -> Result<Self, BadPacket> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(T::SIZE) {
            return Err(BadPacket);
        }
        Ok(Self { bytes, of: PhantomData })
    }

    /// The items in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(T::read)
    }
}

impl<T: Item + fmt::Debug> fmt::Debug for Items<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Append all of them.
pub fn write_items<T: Item>(items: &[T], out: &mut Vec<u8>) {
    items.iter().for_each(|item| item.write(out));
}
