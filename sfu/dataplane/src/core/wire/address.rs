//! Paths: where datagrams come from and go to.

use std::net::SocketAddr;

/// The first number of our end of a stream, as [`Path::local`].  Smaller numbers are those of UDP sockets.
pub const FIRST_STREAM: u32 = 1 << 31;

/// The remote address of a datagram, and the socket of ours that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The address of the other end.
    pub remote: SocketAddr,
    /// The index of our UDP socket, or the number of a stream, which is never used again.
    pub local: u32,
}

impl Path {
    /// Whether the path is a stream (RFC 6544): it loses nothing, and ends when its connection does.
    pub fn is_stream(&self) -> bool {
        self.local >= FIRST_STREAM
    }
}
