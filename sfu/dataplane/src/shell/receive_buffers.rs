//! Memory for one read of a socket: several messages, each with one or more datagrams of one sender (UDP GRO).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;

use quinn_udp::RecvMeta;

const MESSAGES: usize = 16;
const MESSAGE_SIZE: usize = 65_535; // the system joins datagrams up to the size of the largest possible one

/// Memory for received messages, used again for every read.
pub struct ReceiveBuffers {
    memory: Vec<u8>,
    metas: [RecvMeta; MESSAGES],
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self { memory: vec![0; MESSAGES * MESSAGE_SIZE], metas: [RecvMeta::default(); MESSAGES] }
    }
}

impl ReceiveBuffers {
    /// Let `receive` fill the buffers.  It returns how many it filled, like `recvmmsg`.
    pub fn fill(
        &mut self,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut chunks = self.memory.chunks_exact_mut(MESSAGE_SIZE);
        let mut buffers: [IoSliceMut<'_>; MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        receive(&mut buffers, &mut self.metas)
    }

    /// The datagrams of the first `messages`, each with the address that it came from, and the kernel's time stamp.
    ///
    /// The datagrams of one message share the stamp of the first.
    pub fn datagrams(&mut self, messages: usize) -> impl Iterator<Item = (&mut [u8], SocketAddr, Option<Duration>)> {
        let metas = &self.metas[..messages];
        self.memory.chunks_exact_mut(MESSAGE_SIZE).zip(metas).flat_map(|(memory, meta)| {
            let size = meta.len.min(MESSAGE_SIZE);
            let datagrams = memory[..size].chunks_mut(meta.stride.max(1));
            // An empty datagram has no chunk, but must be counted.
            let empty = (size == 0).then_some(Default::default());
            empty.into_iter().chain(datagrams).map(|datagram| (datagram, meta.addr, meta.timestamp))
        })
    }
}
