//! UDP sockets with segmentation, both ways, where the system has it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use super::inbox::Inbox;
use crate::core::{DropReason, Path};

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

    fn send(&self, destination: SocketAddr, bytes: &[u8], segment: usize) -> io::Result<()> {
        if segment >= bytes.len() {
            return self.send_one(destination, bytes);
        }
        if self.has_segmentation() {
            match self.send_segmented(destination, bytes, segment) {
                // Some devices have none, and tell only now; nothing was sent.
                Err(_) if !self.has_segmentation() => {}
                done => return done,
            }
        }
        bytes.chunks(segment).try_for_each(|one| self.send_one(destination, one))
    }

    /// It may turn out with a send that there is none.
    fn has_segmentation(&self) -> bool {
        self.state.max_gso_segments() > 1
    }

    /// Without the control messages of a segmented send, which take the kernel a tenth longer.
    fn send_one(&self, destination: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.io.send_to(datagram, destination).map(|_| ())
    }

    fn send_segmented(&self, destination: SocketAddr, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit { destination, ecn: None, contents, segment_size: Some(segment), src_ip: None };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// One socket for each of our addresses; `Path::local` is the index.
///
/// A list never changes, so that nobody who sends waits for a lock.  Where an address comes or goes another list takes
/// its place, with the same sockets at the same indices.
pub struct Sockets(Vec<Option<Arc<Socket>>>);

impl Sockets {
    /// Take over bound UDP sockets.
    pub fn new(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let socket = |descriptor| Socket::new(descriptor).map(|socket| Some(Arc::new(socket)));
        descriptors.into_iter().map(socket).collect::<io::Result<_>>().map(Self)
    }

    /// The same list with this socket, or with none, at an index.
    pub fn with(&self, index: usize, descriptor: Option<OwnedFd>) -> io::Result<Self> {
        let mut sockets = self.0.clone();
        if sockets.len() <= index {
            sockets.resize_with(index + 1, || None);
        }
        sockets[index] = descriptor.map(Socket::new).transpose()?.map(Arc::new);
        Ok(Self(sockets))
    }

    /// All of them, in their order, each with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Socket)> {
        (0..).zip(&self.0).filter_map(|(index, socket)| Some((index, socket.as_deref()?)))
    }

    /// How many segments one send may have; fewer once the system turned out not to have segmentation.
    pub fn max_segments(&self) -> usize {
        self.iter().map(|(_, socket)| socket.state.max_gso_segments()).min().unwrap_or(1)
    }

    /// Send segments of this size, of which the last may be smaller, or say why not.
    ///
    /// They leave one by one where they cannot leave together; then the first that cannot leave keeps back the rest,
    /// and speaks for all.
    pub fn send(&self, path: Path, bytes: &[u8], segment: usize) -> Result<(), DropReason> {
        let socket = self.0.get(path.local as usize).and_then(Option::as_ref).ok_or(DropReason::SendFailed)?;
        if path.remote.port() == 0 {
            // Whoever sends from there wants no answer (RFC 768), and the system says the same (EINVAL) as of
            // segmentation that it has not: one such client would end it for all.
            return Err(DropReason::SendFailed);
        }
        socket.send(path.remote, bytes, segment).map_err(|error| reason(&error))
    }
}

/// Why a datagram was not sent: only a full buffer passes by itself.
fn reason(error: &io::Error) -> DropReason {
    if error.kind() == ErrorKind::WouldBlock { DropReason::SendWouldBlock } else { DropReason::SendFailed }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::segmentation::{each_way, open as as_it_is, refuse_segmented_sends};
    use super::*;

    #[test]
    fn a_full_buffer_is_told_from_what_cannot_be_sent() {
        assert_eq!(reason(&ErrorKind::WouldBlock.into()), DropReason::SendWouldBlock);
        assert_eq!(reason(&ErrorKind::ConnectionRefused.into()), DropReason::SendFailed);
    }

    fn bound() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    fn path(socket: &UdpSocket) -> Path {
        Path { remote: socket.local_addr().unwrap(), local: 0 }
    }

    fn received<const N: usize>(socket: &UdpSocket) -> [Vec<u8>; N] {
        std::array::from_fn(|_| {
            let mut buffer = vec![0; 99];
            let size = socket.recv(&mut buffer).unwrap();
            buffer.truncate(size);
            buffer
        })
    }

    /// How many messages the next look at the first socket brings, and the datagrams in them.
    fn look(sockets: &Sockets) -> (usize, Vec<Vec<u8>>) {
        let mut inbox = Inbox::default();
        let start = Instant::now();
        loop {
            let messages = sockets.iter().next().unwrap().1.receive(&mut inbox);
            if messages > 0 {
                return (messages, inbox.datagrams(messages).map(|(datagram, _)| datagram.to_vec()).collect());
            }
            assert!(start.elapsed() < Duration::from_secs(5), "nothing came");
        }
    }

    #[test]
    fn a_burst_arrives_as_its_segments() {
        each_way(|open| {
            let (ours, receiver) = (bound(), bound());
            let sockets = open(vec![ours]);
            sockets.send(path(&receiver), b"onetwotri4", 3).unwrap();
            assert_eq!(received(&receiver), [&b"one"[..], b"two", b"tri", b"4"]);
            assert_eq!(sockets.send(Path { local: 1, ..path(&receiver) }, b"x", 1), Err(DropReason::SendFailed));
        });
    }

    #[test]
    fn a_burst_leaves_together_only_where_the_system_has_segmentation() {
        each_way(|open| {
            let ours = bound();
            let remote = path(&ours);
            let (sender, receiver) = (open(vec![bound()]), as_it_is(vec![ours]));
            sender.send(remote, b"onetwotri4", 3).unwrap();
            let (messages, datagrams) = look(&receiver);
            assert_eq!(datagrams, [&b"one"[..], b"two", b"tri", b"4"]);
            assert_eq!(messages, if sender.max_segments() > 1 { 1 } else { 4 });
        });
    }

    #[test]
    fn a_socket_that_refuses_segmented_sends_loses_nothing_and_is_not_asked_again() {
        each_way(|open| {
            let (ours, receiver) = (bound(), bound());
            refuse_segmented_sends(&ours);
            let sockets = open(vec![ours, bound()]);
            sockets.send(path(&receiver), b"onetwotri4", 3).unwrap();
            assert_eq!(received(&receiver), [&b"one"[..], b"two", b"tri", b"4"]);
            assert_eq!(sockets.max_segments(), 1);
            sockets.send(path(&receiver), b"fiveandsix", 4).unwrap();
            assert_eq!(received(&receiver), [&b"five"[..], b"ands", b"ix"]);
        });
    }

    #[test]
    fn what_cannot_be_sent_does_not_end_segmentation() {
        each_way(|open| {
            let (ours, receiver) = (bound(), bound());
            let sockets = open(vec![ours]);
            let segments = sockets.max_segments();
            let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
            let elsewhere = "[2001:db8::1]:9".parse().unwrap();
            for remote in [nobody, elsewhere] {
                assert_eq!(sockets.send(Path { remote, local: 0 }, b"x", 1), Err(DropReason::SendFailed));
                assert_eq!(sockets.send(Path { remote, local: 0 }, b"onetwo", 3), Err(DropReason::SendFailed));
            }
            assert_eq!(sockets.send(path(&receiver), &[0; 70_000], 70_000), Err(DropReason::SendFailed));
            assert_eq!(sockets.max_segments(), segments);
            sockets.send(path(&receiver), b"onetwo", 3).unwrap();
            assert_eq!(received(&receiver), [&b"one"[..], b"two"]);
        });
    }

    #[test]
    fn what_comes_together_is_told_apart_and_an_empty_datagram_too() {
        each_way(|open| {
            let ours = bound();
            let remote = path(&ours);
            let (sockets, theirs) = (open(vec![ours]), as_it_is(vec![bound()]));
            theirs.send(remote, b"onetwo3", 3).unwrap();
            theirs.send(remote, b"", 0).unwrap();
            let mut received = Vec::new();
            while received.len() < 4 {
                received.extend(look(&sockets).1);
            }
            assert_eq!(received, [&b"one"[..], b"two", b"3", b""]);
        });
    }
}
