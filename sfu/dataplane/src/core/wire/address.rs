//! Paths: where datagrams come from and go to.

use std::net::SocketAddr;

/// The remote address of a datagram, and the socket of ours that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The address of the other end.
    pub remote: SocketAddr,
    /// The index of our socket.
    pub local: u32,
}
