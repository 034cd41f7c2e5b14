//! UDP sockets, with segmentation in both directions (GSO and GRO) if the system has it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use super::receive_buffers::ReceiveBuffers;
use super::streams::Streams;
use crate::core::{Departure, DropReason, Path};

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

    /// Fill the buffers with what has arrived.  Gives the number of messages.
    pub fn receive(&self, buffers: &mut ReceiveBuffers) -> usize {
        // An error here is about an earlier send (ICMP), not about the datagrams that come next.
        buffers.fill(|slices, metas| self.state.recv(UdpSockRef::from(&self.io), slices, metas)).unwrap_or(0)
    }

    fn send(&self, destination: SocketAddr, bytes: &[u8], segment: usize) -> io::Result<()> {
        if segment >= bytes.len() {
            return self.send_one(destination, bytes);
        }
        if self.has_segmentation() {
            match self.send_segmented(destination, bytes, segment) {
                // Some devices have no segmentation, and only a send tells.  Nothing was sent.
                Err(_) if !self.has_segmentation() => {}
                done => return done,
            }
        }
        bytes.chunks(segment).try_for_each(|one| self.send_one(destination, one))
    }

    /// Whether segmented sends work, as far as we know.  A send may tell otherwise.
    fn has_segmentation(&self) -> bool {
        self.state.max_gso_segments() > 1
    }

    /// Send one datagram without control messages, which would cost the kernel a tenth more.
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

/// One socket for each of our addresses, by the index in `Path::local`, and the streams.
///
/// A list never changes, so that sending needs no lock.  When an address comes or goes, a new list takes its place,
/// with the same sockets at the same indices and the same streams.
pub struct Sockets {
    datagrams: Vec<Option<Arc<Socket>>>,
    streams: Arc<Streams>,
}

impl Sockets {
    /// Take over bound UDP sockets.
    pub fn new(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let socket = |descriptor| Socket::new(descriptor).map(|socket| Some(Arc::new(socket)));
        let datagrams = descriptors.into_iter().map(socket).collect::<io::Result<_>>()?;
        Ok(Self { datagrams, streams: Arc::new(Streams::new()?) })
    }

    /// A list with this socket, or with none, at an index, and otherwise the same.
    pub fn with(&self, index: usize, descriptor: Option<OwnedFd>) -> io::Result<Self> {
        let mut datagrams = self.datagrams.clone();
        if datagrams.len() <= index {
            datagrams.resize_with(index + 1, || None);
        }
        datagrams[index] = descriptor.map(Socket::new).transpose()?.map(Arc::new);
        Ok(Self { datagrams, streams: Arc::clone(&self.streams) })
    }

    /// The streams.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// All UDP sockets in their order, each with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Socket)> {
        (0..).zip(&self.datagrams).filter_map(|(index, socket)| Some((index, socket.as_deref()?)))
    }

    /// Segments that one send may have: 1 once the system proved to have no segmentation.
    pub fn max_segments(&self) -> usize {
        self.iter().map(|(_, socket)| socket.state.max_gso_segments()).min().unwrap_or(1)
    }

    /// Send segments of this size, the last of which may be smaller.  Fails with the reason.
    ///
    /// Without segmentation they leave one by one.  If one of them fails, the rest is not sent, and all count as
    /// failed.
    pub fn send(&self, path: Path, bytes: &[u8], segment: usize) -> Result<(), DropReason> {
        if path.is_stream() {
            let pushed = bytes.chunks(segment.max(1)).try_for_each(|one| self.streams.push(path, one, false));
            self.streams.write();
            return pushed;
        }
        let socket = self.datagrams.get(path.local as usize).and_then(Option::as_ref).ok_or(DropReason::SendFailed)?;
        if path.remote.port() == 0 {
            // Source port 0 means that no answer is wanted (RFC 768).  A send there fails with EINVAL, like a segmented
            // send on a device without segmentation.  So one such client would end segmentation for all.
            return Err(DropReason::SendFailed);
        }
        socket.send(path.remote, bytes, segment).map_err(|error| reason(&error))
    }

    /// Send datagrams of the core.  Those on a stream wait for [`Streams::write`], and leave together.
    pub fn depart(&self, one: &Departure<'_>) -> Result<(), DropReason> {
        if one.path.is_stream() {
            return self.streams.push(one.path, one.bytes, one.video);
        }
        self.send(one.path, one.bytes, one.segment)
    }
}

/// Why a datagram was not sent.  Only a full send buffer clears by itself.
fn reason(error: &io::Error) -> DropReason {
    if error.kind() == ErrorKind::WouldBlock { DropReason::SendWouldBlock } else { DropReason::SendFailed }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::segmentation::{each_way, open as as_it_is, refuse_segmented_sends};
    use super::*;

    #[test]
    fn a_full_buffer_is_distinguished_from_other_errors() {
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

    /// Read the first socket: the number of messages, and the datagrams in them.
    fn look(sockets: &Sockets) -> (usize, Vec<Vec<u8>>) {
        let mut buffers = ReceiveBuffers::default();
        let start = Instant::now();
        loop {
            let messages = sockets.iter().next().unwrap().1.receive(&mut buffers);
            if messages > 0 {
                return (messages, buffers.datagrams(messages).map(|(datagram, ..)| datagram.to_vec()).collect());
            }
            assert!(start.elapsed() < Duration::from_secs(5), "nothing came");
        }
    }

    #[test]
    fn a_segmented_send_arrives_as_its_segments() {
        each_way(|open| {
            let (ours, receiver) = (bound(), bound());
            let sockets = open(vec![ours]);
            sockets.send(path(&receiver), b"onetwotri4", 3).unwrap();
            assert_eq!(received(&receiver), [&b"one"[..], b"two", b"tri", b"4"]);
            assert_eq!(sockets.send(Path { local: 1, ..path(&receiver) }, b"x", 1), Err(DropReason::SendFailed));
        });
    }

    #[test]
    fn segments_leave_together_only_if_the_system_has_segmentation() {
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
    fn a_socket_that_refuses_a_segmented_send_loses_nothing_and_gets_no_other() {
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
    fn an_unsendable_datagram_does_not_end_segmentation() {
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
    fn joined_datagrams_are_separated_and_an_empty_one_is_kept() {
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
