//! The cost of a forwarded packet with its system calls, over UDP and over TCP: `cargo bench --bench streams`.
//!
//! One source on loopback has 20 receivers, all over UDP or all over TCP.  The figures are nanoseconds of the plane's
//! thread for each packet that leaves, in several rounds by turns.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use _dataplane::core::{
    ConsumerFormat, ConsumerSpec, Core, Credentials, EncodingSpec, Path, ProducerSpec, Profile, Srtp,
};
use _dataplane::fair_mutex::FairMutex;
use _dataplane::shell::{HOLD, Shell, Sockets};

const ROUNDS: usize = 5;
const RECEIVERS: u64 = 20;
const FRAMES: usize = 1500; // in a round
const PACKETS: usize = 5; // in a frame
const FRAME_EVERY: Duration = Duration::from_millis(2);
const PAYLOAD: usize = 1100;
const KEYS: [u8; 28] = [7; 28];

fn main() {
    println!("ns for each packet, {RECEIVERS} receivers: over UDP, over TCP");
    for _ in 0..ROUNDS {
        println!("{:5.0} {:5.0}", round(false), round(true));
    }
}

/// The plane, and its only UDP socket.
struct Plane {
    _shell: Shell,
    core: Arc<FairMutex<Core>>,
    sockets: Arc<Sockets>,
    address: std::net::SocketAddr,
}

fn start() -> Plane {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = ours.local_addr().unwrap();
    let core = Arc::new(FairMutex::new(Core::new(HOLD)));
    let sockets = Arc::new(Sockets::new(vec![ours.into()]).unwrap());
    let shell = Shell::start(Arc::clone(&core), Arc::clone(&sockets), 0.0).unwrap();
    Plane { _shell: shell, core, sockets, address }
}

impl Plane {
    fn connect(&self, transport: u64) {
        let mut core = self.core.lock();
        core.add_transport(transport).unwrap();
        core.set_keys(transport, Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
        core.set_credentials(transport, &format!("ours{transport}"), "a password").unwrap();
    }

    fn receive_over_tcp(&self, transport: u64) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        connection.set_nodelay(true).unwrap();
        let request = Credentials::new(&format!("ours{transport}"), "a password").request(true);
        let frame = [&(request.len() as u16).to_be_bytes(), &request[..]].concat();
        self.sockets.streams().adopt(connection.as_fd(), transport, &frame).map_err(|_| ()).unwrap();
        client
    }

    fn receive_over_udp(&self, transport: u64) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(self.address).unwrap();
        client.send(&Credentials::new(&format!("ours{transport}"), "a password").request(true)).unwrap();
        client
    }
}

fn round(over_tcp: bool) -> f64 {
    let plane = start();
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    plane.connect(0);
    plane.core.lock().add_path(0, Path { remote: source.local_addr().unwrap(), local: 0 }).unwrap();
    let spec = ProducerSpec {
        codec: "video/vp8".into(),
        video: true,
        clock_rate: 90000,
        payload_types: [(96, 96)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(5), ..EncodingSpec::default() }],
        ..ProducerSpec::default()
    };
    plane.core.lock().add_producer(0, 0, spec).unwrap();
    let format = ConsumerFormat { payload_types: [96].into(), ..ConsumerFormat::default() };
    let over = Arc::new(AtomicBool::new(false));
    for transport in 1..=RECEIVERS {
        plane.connect(transport);
        plane.core.lock().add_consumer(transport, transport, 0, &ConsumerSpec::new(&format, 6), 1).unwrap();
        let over = Arc::clone(&over);
        if over_tcp {
            let mut client = plane.receive_over_tcp(transport);
            std::thread::spawn(move || while client.read(&mut [0; 65_536]).is_ok_and(|size| size > 0) {});
        } else {
            let client = plane.receive_over_udp(transport);
            client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let _ = client.recv(&mut [0; 2048]);
                }
            });
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let (before, left) = (cpu_time(), plane.core.lock().totals().packets_out);
    send_all(&source, plane.address);
    std::thread::sleep(Duration::from_millis(100));
    let (after, totals) = (cpu_time(), plane.core.lock().totals());
    over.store(true, Ordering::Relaxed);
    let dropped: u64 = totals.drops.iter().map(|(_, count)| count).sum();
    assert!(dropped < totals.packets_out / 100, "{dropped} packets were dropped");
    (after - before) / (totals.packets_out - left) as f64
}

fn send_all(source: &UdpSocket, to: std::net::SocketAddr) {
    let sealing = Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
    let start = Instant::now();
    for frame in 0..FRAMES {
        for part in 0..PACKETS {
            let number = frame * PACKETS + part;
            let mut packet = vec![0x80, 96 | if part + 1 == PACKETS { 0x80 } else { 0 }];
            packet.extend((number as u16).to_be_bytes());
            packet.extend((frame as u32 * 3000).to_be_bytes());
            packet.extend(5u32.to_be_bytes());
            packet.extend([0x10, 0x00]);
            packet.resize(12 + PAYLOAD + 16, 1);
            sealing.seal_rtp(&mut packet, 12, 5, number as u64);
            source.send_to(&packet, to).unwrap();
        }
        std::thread::sleep((start + FRAME_EVERY * frame as u32).saturating_duration_since(Instant::now()));
    }
}

/// Nanoseconds that the plane's thread has run.
fn cpu_time() -> f64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        if std::fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim() == "data plane" {
            let times = std::fs::read_to_string(task.path().join("schedstat")).unwrap();
            return times.split(' ').next().unwrap().parse().unwrap();
        }
    }
    panic!("the plane has no thread");
}
