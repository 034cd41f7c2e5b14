//! The newest packets of an encoding, kept to be sent again (RFC 4588).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;

use crate::core::receive::packet::Packet;
use crate::core::receive::retention::Retention;

/// The most packets that the store of one encoding keeps.
pub const MAX_PACKETS: usize = 512;
/// The most bytes of these packets.
pub const MAX_BYTES: usize = 768 * 1024;

const FEWEST_SLOTS: usize = 64;
const PAGE: usize = 1024; // bytes; the memory for packets grows and shrinks by whole pages
const FIRST: usize = 13 * PAGE; // enough for a near camera of 1.2 Mbit/s: growing to that would leave holes in the heap
const REVIEW: f64 = 2.0; // seconds from one look at the memory that is not needed to the next

/// A packet that is kept.
#[derive(Clone, Copy, Debug)]
struct Entry {
    extended: i64,
    picture: i64,
    at: f64,
    /// The place of its first byte.
    place: u32,
    size: u16,
}

/// A packet out of the store.
#[derive(Clone, Copy, Debug)]
pub struct StoredPacket<'a> {
    /// The whole plain packet as it came, with header, extensions and padding.
    pub plain: &'a [u8],
    /// Its extended sequence number.
    pub extended: i64,
    /// Its extended picture id.
    pub picture: i64,
    /// When it came, in seconds.
    pub at: f64,
}

/// One copy of each packet that came lately, in whatever order they came.
///
/// The bytes of all packets lie in one ring.  `entries` has them in the order of arrival, which is that of the ring
/// too, so the oldest always goes first.  `slots` finds a packet by the lowest bits of its extended sequence number.
///
/// The store takes only as much memory as its packets need, and gives memory back some seconds after the need has
/// fallen.  [`Retention`] says how long a packet is needed.
#[derive(Debug, Default)]
pub struct PacketStore {
    pub retention: Retention,
    ring: Vec<u8>,
    /// The place of the next packet in the ring.
    head: usize,
    entries: VecDeque<Entry>,
    /// How many packets have left `entries` so far, modulo 2^16.
    gone: u16,
    /// For each slot, how many packets came into `entries` before its packet, modulo 2^16.  The number of slots is a
    /// power of two, or zero.
    slots: Vec<u16>,
    /// Bytes of the packets.
    bytes: usize,
    /// The largest part of the ring, and the most packets, that were in use since the last look.
    most: (usize, usize),
    /// When that was, in seconds.
    reviewed_at: f64,
}

impl PacketStore {
    /// How many packets are kept.
    pub fn packets(&self) -> usize {
        self.entries.len()
    }

    /// Their bytes.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that are reserved for packets.
    pub fn reserved(&self) -> usize {
        self.ring.len()
    }

    /// The packet with this extended sequence number, if it is still kept.
    pub fn get(&self, extended: i64) -> Option<StoredPacket<'_>> {
        let entry = self.entries[self.position(extended)?];
        let place = entry.place as usize;
        Some(StoredPacket {
            plain: &self.ring[place..place + usize::from(entry.size)],
            extended,
            picture: entry.picture,
            at: entry.at,
        })
    }

    /// Whether nothing so old is kept any more.
    pub fn is_too_old(&self, extended: i64) -> bool {
        self.entries.front().is_none_or(|oldest| extended < oldest.extended)
    }

    /// Keep a copy of a packet.  The store may grow by `room` bytes.
    ///
    /// The oldest packets go: those that nobody needs any more, and as many more as the bounds demand.  A packet that
    /// finds no place even then is not kept.
    pub fn push(&mut self, packet: &Packet, room: usize) {
        let now = packet.now;
        self.retention.on_packet(now);
        while let Some(oldest) = self.entries.front()
            && (self.entries.len() >= MAX_PACKETS || oldest.at < self.retention.keep_since(now))
        {
            self.drop_oldest();
        }
        self.give_memory_back(now);
        let size = packet.plain.len();
        let Some(place) = self.place_for(size, room) else { return };
        self.ring[place..place + size].copy_from_slice(packet.plain);
        self.head = place + size;
        self.bytes += size;
        let Packet { extended, picture, .. } = *packet;
        self.make_findable(extended);
        self.entries.push_back(Entry { extended, picture, at: now, place: place as u32, size: size as u16 });
        self.most = (self.most.0.max(self.span()), self.most.1.max(self.entries.len()));
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.bytes -= usize::from(oldest.size);
            self.gone = self.gone.wrapping_add(1);
        }
    }

    /// The place of a packet in `entries`.
    fn position(&self, extended: i64) -> Option<usize> {
        let before = *self.slots.get(self.slot(extended))?;
        let position = usize::from(before.wrapping_sub(self.gone));
        // A slot may still name a packet that has gone.
        self.entries.get(position).is_some_and(|entry| entry.extended == extended).then_some(position)
    }

    fn slot(&self, extended: i64) -> usize {
        extended as usize & self.slots.len().wrapping_sub(1)
    }

    /// Let the slot of this number name the next entry.  Grow as long as another packet that is kept has its slot.
    fn make_findable(&mut self, extended: i64) {
        while self.slots.len() < MAX_PACKETS && self.is_taken(extended) {
            self.index_anew(2 * self.slots.len());
        }
        if self.slots.is_empty() {
            self.index_anew(FEWEST_SLOTS);
        }
        let slot = self.slot(extended);
        self.slots[slot] = self.gone.wrapping_add(self.entries.len() as u16);
    }

    /// Whether the slot of this number names a packet with another number.
    fn is_taken(&self, extended: i64) -> bool {
        let Some(before) = self.slots.get(self.slot(extended)) else { return false };
        let entry = self.entries.get(usize::from(before.wrapping_sub(self.gone)));
        entry.is_some_and(|entry| entry.extended != extended && self.slot(entry.extended) == self.slot(extended))
    }

    fn index_anew(&mut self, slots: usize) {
        self.slots = vec![0; slots];
        for (position, entry) in self.entries.iter().enumerate() {
            let slot = self.slot(entry.extended);
            self.slots[slot] = self.gone.wrapping_add(position as u16);
        }
    }

    /// A place in the ring for a packet of this size; `None` if there is none.
    ///
    /// The ring grows as far as `room` and [`MAX_BYTES`] allow.  Beyond that the oldest packets make place.
    fn place_for(&mut self, size: usize, room: usize) -> Option<usize> {
        loop {
            let free = self.free();
            if let Some(place) = free.into_iter().find(|free| free.len() >= size).map(|free| free.start) {
                return Some(place);
            }
            let wanted =
                (self.span() + size + 1).max(FIRST).max(self.ring.len() + self.ring.len() / 8).next_multiple_of(PAGE);
            let wanted = wanted.min(MAX_BYTES).min(self.ring.len() + room);
            if wanted > self.ring.len() && wanted > self.span() + size {
                self.move_to(wanted);
            } else if self.entries.is_empty() {
                return None;
            } else {
                self.drop_oldest();
            }
        }
    }

    /// The free parts of the ring in which the next packet may lie.
    ///
    /// A byte before the oldest packet always stays free, so that a full ring does not look like an empty one.
    fn free(&self) -> [Range<usize>; 2] {
        match self.entries.front().map(|oldest| oldest.place as usize) {
            None => [0..self.ring.len(), 0..0],
            Some(oldest) if oldest < self.head => [self.head..self.ring.len(), 0..oldest.saturating_sub(1)],
            Some(oldest) => [self.head..oldest - 1, 0..0],
        }
    }

    /// Bytes of the ring from the oldest packet to the newest, with the end that was too small for a packet.
    fn span(&self) -> usize {
        match self.entries.front().map(|oldest| oldest.place as usize) {
            None => 0,
            Some(oldest) if oldest < self.head => self.head - oldest,
            Some(oldest) => self.head + self.ring.len() - oldest,
        }
    }

    /// Move all packets to a ring of this size, which must be larger than their bytes.
    fn move_to(&mut self, size: usize) {
        let mut ring = Vec::with_capacity(size);
        for entry in &mut self.entries {
            let place = entry.place as usize;
            entry.place = ring.len() as u32;
            ring.extend_from_slice(&self.ring[place..place + usize::from(entry.size)]);
        }
        self.head = ring.len();
        ring.resize(size, 0);
        self.ring = ring;
    }

    /// Give back the memory that was not needed since the last look, if it is more than a third.
    fn give_memory_back(&mut self, now: f64) {
        if now - self.reviewed_at < REVIEW {
            return;
        }
        let (bytes, packets) = self.most;
        self.most = (self.span(), self.entries.len());
        self.reviewed_at = now;
        let enough = (bytes + bytes / 8).max(self.span() + 1).next_multiple_of(PAGE);
        if enough < self.ring.len() - self.ring.len() / 3 {
            self.move_to(enough);
        }
        if 2 * packets < self.entries.capacity() {
            self.entries.shrink_to(packets);
        }
        let slots = FEWEST_SLOTS.max(2 * packets.next_power_of_two());
        let numbers = || self.entries.iter().map(|entry| entry.extended);
        let spread = numbers().max().unwrap_or(0) - numbers().min().unwrap_or(0);
        if slots < self.slots.len() && spread < slots as i64 {
            self.index_anew(slots);
        }
    }
}
