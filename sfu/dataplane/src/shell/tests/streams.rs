//! Streams of clients without UDP.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use super::*;
use crate::core::{FIRST_STREAM, MAX_DATAGRAM};

/// A core with its thread, its sockets and the path to them.
struct Plane {
    shell: Shell,
    core: Arc<FairMutex<Core>>,
    sockets: Arc<Sockets>,
    address: Path,
}

impl Plane {
    fn start() -> Self {
        let ours = bound();
        let address = path(&ours);
        let core = Arc::new(FairMutex::new(Core::new(HOLD)));
        let sockets = Arc::new(as_it_is(vec![ours]));
        let shell = Shell::start(Arc::clone(&core), Arc::clone(&sockets), 100.0).unwrap();
        Self { shell, core, sockets, address }
    }

    /// A connection that was handed over with this first request.
    fn adopt(&self, request: &[u8]) -> Result<TcpStream, NotAdopted> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (connection, _) = listener.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        let owner = self.core.lock().recognise_untrusted(request).unwrap();
        self.sockets.streams().adopt(connection.as_fd(), owner, &framed(request)).map(|()| client)
    }

    /// A stream of this transport that has its answer.
    fn stream(&self, transport: u64) -> TcpStream {
        let mut stream = self.adopt(&request(transport)).unwrap();
        assert_eq!(receive(&mut stream)[..2], [1, 1]);
        stream
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.core.lock().totals().drops.iter().find(|(each, _)| *each == reason).unwrap().1
    }

    fn counts(&self) -> (usize, usize) {
        self.sockets.streams().counts()
    }
}

fn request(transport: u64) -> Vec<u8> {
    Credentials::new(&format!("ours{transport}"), "a password").request(true)
}

fn framed(datagram: &[u8]) -> Vec<u8> {
    [&(datagram.len() as u16).to_be_bytes(), datagram].concat()
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut datagram = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut datagram).unwrap();
    datagram
}

/// Whether the other end closes the connection in time.
fn ends(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn receiver_on_a_stream(plane: &Plane, sender: &UdpSocket) -> TcpStream {
    call(&plane.core, sender, &bound());
    plane.stream(2)
}

#[test]
fn media_goes_over_a_stream_both_ways() {
    let plane = Plane::start();
    let receiver = bound();
    call(&plane.core, &bound(), &receiver);
    let mut sender = plane.stream(1);
    let Event::PathSelected { transport: 1, path } = first_event(&plane.shell) else { panic!("no path") };
    assert_eq!((path.remote, path.local), (sender.local_addr().unwrap(), FIRST_STREAM));
    sender.write_all(&[framed(&packet(0, false)), framed(&packet(1, true))].concat()).unwrap();
    let mut buffer = [0; 2048];
    assert_eq!((receiver.recv(&mut buffer).unwrap(), buffer[3]), (33, 1));
    assert_eq!((receiver.recv(&mut buffer).unwrap(), buffer[3]), (33, 2));
    let mut receiver = plane.stream(2);
    sender.write_all(&framed(&packet(2, true))).unwrap();
    assert_eq!(receive(&mut receiver)[3], 3);
    assert_eq!(plane.core.lock().consumer_stats(1).unwrap().packets, 3);
}

#[test]
fn a_stream_may_come_byte_by_byte() {
    let plane = Plane::start();
    let receiver = bound();
    call(&plane.core, &bound(), &receiver);
    let mut sender = plane.stream(1);
    for byte in [framed(&packet(0, true)), framed(b""), framed(&packet(1, true))].concat() {
        sender.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut buffer = [0; 2048];
    for number in 1..=2 {
        receiver.recv(&mut buffer).unwrap();
        assert_eq!(buffer[3], number);
    }
}

#[test]
fn a_stream_with_frames_that_nobody_sends_is_closed() {
    let plane = Plane::start();
    connect(&plane.core, 1, &bound());
    for size in [1, MAX_DATAGRAM + 1, 65_535] {
        let mut stream = plane.stream(1);
        stream.write_all(&(size as u16).to_be_bytes()).unwrap();
        assert!(ends(&mut stream), "{size}");
    }
    wait_for(|| (plane.counts() == (0, 0)).then_some(()));
}

#[test]
fn a_stream_that_ends_leaves_its_transport_on_another_path() {
    let plane = Plane::start();
    let (sender, receiver) = (bound(), bound());
    call(&plane.core, &sender, &receiver);
    let mut stream = plane.stream(2);
    sender.send_to(&packet(0, true), plane.address.remote).unwrap();
    assert_eq!(receive(&mut stream)[3], 1);
    plane.shell.take_events(9);
    drop(stream);
    assert_eq!(first_event(&plane.shell), Event::PathSelected { transport: 2, path: path(&receiver) });
    sender.send_to(&packet(1, true), plane.address.remote).unwrap();
    let mut buffer = [0; 2048];
    receiver.recv(&mut buffer).unwrap();
    assert_eq!((buffer[3], plane.counts()), (2, (0, 0)));
}

#[test]
fn the_streams_of_a_removed_transport_are_closed_but_a_goodbye_leaves_first() {
    let plane = Plane::start();
    connect(&plane.core, 1, &bound());
    let mut stream = plane.stream(1);
    let Event::PathSelected { path, .. } = first_event(&plane.shell) else { panic!("no path") };
    plane.core.lock().remove_transport(1);
    plane.sockets.send(path, b"a goodbye", 9).unwrap();
    assert_eq!(receive(&mut stream), b"a goodbye");
    assert!(ends(&mut stream));
    assert_eq!(plane.counts(), (0, 0));
    assert_eq!(plane.sockets.send(path, b"too late", 8), Err(DropReason::SendFailed));
}

#[test]
fn a_transport_has_a_bounded_number_of_streams() {
    let plane = Plane::start();
    connect(&plane.core, 1, &bound());
    let mut streams: Vec<_> = (0..16).map(|_| plane.stream(1)).collect();
    assert!(matches!(plane.adopt(&request(1)), Err(NotAdopted::TooMany)));
    streams.pop();
    wait_for(|| plane.adopt(&request(1)).ok());
}

#[test]
fn a_receiver_that_reads_nothing_loses_whole_frames_and_costs_the_others_nothing() {
    let plane = Plane::start();
    let sender = bound();
    let mut slow = receiver_on_a_stream(&plane, &sender);
    let other = bound();
    connect(&plane.core, 3, &other);
    let format = ConsumerFormat { payload_types: [96].into(), ..ConsumerFormat::default() };
    plane.core.lock().add_consumer(3, 2, 1, &ConsumerSpec::new(&format, 7), 1).unwrap();
    let mut buffer = [0; 2048];
    let mut sent: u16 = 0;
    while plane.drops(DropReason::SendWouldBlock) < 100 {
        sender.send_to(&large_packet(sent, sent % 4 == 3), plane.address.remote).unwrap();
        other.recv(&mut buffer).unwrap();
        sent += 1;
        assert!(sent < 20_000, "nothing was dropped");
    }
    let (streams, waiting) = plane.counts();
    assert!(streams == 1 && waiting < 200_000, "{waiting}");
    // It reads again: each frame comes whole or not at all.
    let mut frames = std::collections::BTreeMap::<u32, usize>::new();
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut stream = Vec::new();
    let _ = slow.read_to_end(&mut stream);
    let mut rest = &stream[..];
    while rest.len() > 2 {
        let (frame, behind) = rest[2..].split_at(usize::from(u16::from_be_bytes([rest[0], rest[1]])));
        *frames.entry(u32::from_be_bytes(frame[4..8].try_into().unwrap())).or_default() += 1;
        rest = behind;
    }
    assert!(frames.values().all(|&packets| packets == 4) && frames.len() > 10, "{frames:?}");
    wait_for(|| (plane.counts() == (1, 0)).then_some(()));
}

/// A packet of 1,200 bytes; four of them are a frame.
fn large_packet(number: u16, last: bool) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | if last { 0x80 } else { 0 }];
    packet.extend(number.to_be_bytes());
    packet.extend(u32::from(number / 4).to_be_bytes());
    packet.extend([0, 0, 0, 5, 0x10, 0x00, 1, 2, 3]);
    packet.resize(1200, 7);
    let sealing = Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
    packet.extend([0; 16]);
    sealing.seal_rtp(&mut packet, 12, 5, u64::from(number));
    packet
}
