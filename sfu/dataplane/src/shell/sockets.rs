//! UDP sockets with segmentation, both ways, where the system has it.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use super::inbox::Inbox;
use crate::core::{Drop, Path};

/// One of our sockets.
pub struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let io = UdpSocket::from(descriptor);
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        Ok(Self { io, state })
    }

    /// Fill the inbox with what is there; how many messages, 0 where nothing is.
    pub fn receive(&self, inbox: &mut Inbox) -> usize {
        // An error is about something that was sent earlier, not about what comes next.
        inbox.fill(|buffers, metas| self.state.recv(UdpSockRef::from(&self.io), buffers, metas)).unwrap_or(0)
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.try_send(UdpSockRef::from(&self.io), transmit)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// One socket for each of our addresses; `Path::local` is the index.
pub struct Sockets(Vec<Socket>);

impl Sockets {
    /// Take over bound UDP sockets.
    pub fn new(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        descriptors.into_iter().map(Socket::new).collect::<io::Result<_>>().map(Self)
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.0.iter()
    }

    /// How many segments one send may have; fewer once the system turned out not to have segmentation.
    pub fn max_segments(&self) -> usize {
        self.0.iter().map(|socket| socket.state.max_gso_segments()).min().unwrap_or(1)
    }

    /// Send segments of this size, of which the last may be smaller, or say why not.
    pub fn send(&self, path: Path, bytes: &[u8], segment: usize) -> Result<(), Drop> {
        let socket = self.0.get(path.local as usize).ok_or(Drop::SendFailed)?;
        let segment_size = (segment < bytes.len()).then_some(segment);
        let transmit = Transmit { destination: path.remote, ecn: None, contents: bytes, segment_size, src_ip: None };
        match socket.send(&transmit) {
            Err(error) if error.kind() != ErrorKind::WouldBlock && segment_size.is_some() => {
                // Some devices have no segmentation and tell only now.
                bytes.chunks(segment).try_for_each(|contents| {
                    socket.send(&Transmit { contents, segment_size: None, ..transmit.clone() })
                })
            }
            sent => sent,
        }
        .map_err(|error| reason(&error))
    }
}

/// Why a datagram was not sent: only a full buffer passes by itself.
fn reason(error: &io::Error) -> Drop {
    if error.kind() == ErrorKind::WouldBlock { Drop::SendWouldBlock } else { Drop::SendFailed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_is_told_from_what_cannot_be_sent() {
        assert_eq!(reason(&ErrorKind::WouldBlock.into()), Drop::SendWouldBlock);
        assert_eq!(reason(&ErrorKind::ConnectionRefused.into()), Drop::SendFailed);
    }

    #[test]
    fn a_burst_arrives_as_its_segments() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let sockets = Sockets::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap().into()]).unwrap();
        let path = Path { remote: receiver.local_addr().unwrap(), local: 0 };
        sockets.send(path, b"onetwotri4", 3).unwrap();
        let mut buffer = [0; 99];
        for expected in [&b"one"[..], b"two", b"tri", b"4"] {
            let size = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..size], expected);
        }
        assert_eq!(sockets.send(Path { local: 1, ..path }, b"x", 1), Err(Drop::SendFailed));
    }

    #[test]
    fn what_comes_together_is_told_apart_and_an_empty_datagram_too() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = ours.local_addr().unwrap();
        let sockets = Sockets::new(vec![ours.into()]).unwrap();
        let theirs = Sockets::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap().into()]).unwrap();
        theirs.send(Path { remote: address, local: 0 }, b"onetwo3", 3).unwrap();
        theirs.send(Path { remote: address, local: 0 }, b"", 0).unwrap();
        let (mut inbox, mut received) = (Inbox::default(), Vec::new());
        while received.len() < 4 {
            let messages = sockets.0[0].receive(&mut inbox);
            received.extend(inbox.datagrams(messages).map(|(datagram, _)| datagram.to_vec()));
        }
        assert_eq!(received, [b"one".to_vec(), b"two".to_vec(), b"3".to_vec(), b"".to_vec()]);
    }
}
