//! The thread with real sockets, on loopback.

mod arrivals;
mod streams;

use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::segmentation::{each_way, open as as_it_is, refuse_segmented_sends};
use super::*;
use crate::core::Credentials;
use crate::core::{ConsumerFormat, ConsumerSpec, DropReason, EncodingSpec, Path, ProducerSpec, Profile, Srtp};

const KEYS: [u8; 28] = [7; 28];

fn bound() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn path(socket: &UdpSocket) -> Path {
    Path { remote: socket.local_addr().unwrap(), local: 0 }
}

/// A core with its thread, and the path to it.
fn started(open: impl Fn(Vec<UdpSocket>) -> Sockets) -> (Shell, Arc<FairMutex<Core>>, Path) {
    let ours = bound();
    let address = path(&ours);
    let core = Arc::new(FairMutex::new(Core::new(HOLD)));
    let sockets = Arc::new(open(vec![ours]));
    (Shell::start(Arc::clone(&core), sockets, 100.0).unwrap(), core, address)
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing happened within 5 s");
}

fn first_event(shell: &Shell) -> Event {
    wait_for(|| shell.take_events(1).pop())
}

/// Whether the descriptor becomes readable in time.
fn events_are_signalled(shell: &Shell) -> bool {
    let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
    poll(&mut [PollFd::new(&shell.shared.events_ready, PollFlags::IN)], Some(&timeout)) == Ok(1)
}

fn connect(core: &FairMutex<Core>, transport: u64, remote: &UdpSocket) {
    let mut core = core.lock();
    core.add_transport(transport).unwrap();
    core.set_keys(transport, Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
    core.add_path(transport, path(remote)).unwrap();
    core.set_credentials(transport, &format!("ours{transport}"), "a password").unwrap();
    core.take_events(usize::MAX);
}

/// Watch the transport for silence.
fn watch(core: &mut Core, transport: u64, silent_after: f64) {
    core.watch(transport, 100.0, silent_after, 2000.0).unwrap();
}

/// A sealed packet of a video, the last one of its frame or not.
fn packet(number: u16, last: bool) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | if last { 0x80 } else { 0 }];
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 0, 9, 0, 0, 0, 5, 0x10, 0x00, 1, 2, 3]);
    let sealing = Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
    packet.extend([0; 16]);
    sealing.seal_rtp(&mut packet, 12, 5, u64::from(number));
    packet
}

/// A video from one socket to another.
fn call(core: &FairMutex<Core>, sender: &UdpSocket, receiver: &UdpSocket) {
    connect(core, 1, sender);
    connect(core, 2, receiver);
    let spec = ProducerSpec {
        codec: "video/vp8".into(),
        video: true,
        clock_rate: 90000,
        payload_types: [(96, 96)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(5), ..EncodingSpec::default() }],
        ..ProducerSpec::default()
    };
    let format = ConsumerFormat { payload_types: [96].into(), ..ConsumerFormat::default() };
    let consumer = ConsumerSpec::new(&format, 6);
    core.lock().add_producer(1, 1, spec).unwrap();
    core.lock().add_consumer(2, 1, 1, &consumer, 1).unwrap();
}

/// A DTLS record, as far as the core reads it.
const DTLS: &[u8] = b"\x16dtls";

#[test]
fn datagrams_and_key_frame_requests_come_up() {
    each_way(|open| {
        let (shell, core, address) = started(open);
        let (sender, receiver) = (bound(), bound());
        call(&core, &sender, &receiver);
        sender.send_to(DTLS, address.remote).unwrap();
        assert_eq!(first_event(&shell), Event::DtlsArrived { transport: 1, data: DTLS.to_vec() });
        let mut loss = b"\x81\xce\x00\x02\x00\x00\x00\x05\x00\x00\x00\x06".to_vec();
        Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap().seal_rtcp(&mut loss).unwrap();
        receiver.send_to(&loss, address.remote).unwrap();
        assert_eq!(first_event(&shell), Event::KeyFrameRequested { consumer: 1 });
    });
}

#[test]
fn a_frame_is_forwarded_even_without_its_last_packet() {
    each_way(|open| {
        let (_shell, core, address) = started(open);
        let (sender, receiver) = (bound(), bound());
        call(&core, &sender, &receiver);
        for (number, last) in [(0, false), (1, false), (2, true), (3, false)] {
            sender.send_to(&packet(number, last), address.remote).unwrap();
        }
        let mut buffer = [0; 2048];
        for number in 1..=4 {
            let size = receiver.recv(&mut buffer).unwrap();
            assert_eq!((size, buffer[3]), (12 + 5 + 16, number));
        }
    });
}

#[test]
fn the_thread_answers_a_binding_and_reports_silence_without_any_datagram() {
    each_way(|open| {
        let (shell, core, address) = started(open);
        let remote = bound();
        connect(&core, 1, &remote);
        watch(&mut core.lock(), 1, 1.0);
        remote.send_to(&Credentials::new("ours1", "a password").request(true), address.remote).unwrap();
        let mut buffer = [0; 99];
        assert_eq!(remote.recv(&mut buffer).unwrap(), 20 + 12 + 24 + 8);
        assert!(events_are_signalled(&shell));
        let Event::FellSilent { transport: 1, last_at } = first_event(&shell) else { panic!("no silence") };
        assert!((100.0..105.0).contains(&last_at));
        assert_eq!(core.lock().totals().packets_out, 1);
    });
}

#[test]
fn a_command_that_makes_silence_due_earlier_takes_effect_in_time() {
    each_way(|open| {
        let (shell, core, _) = started(open);
        let remotes = [bound(), bound()];
        for (transport, remote) in (1..).zip(&remotes) {
            connect(&core, transport, remote);
        }
        watch(&mut core.lock(), 1, 1000.0);
        // Give the thread the time to sleep until that deadline.
        std::thread::sleep(Duration::from_millis(700));
        watch(&mut core.lock(), 2, 1.0);
        assert!(events_are_signalled(&shell));
        assert_eq!(first_event(&shell), Event::FellSilent { transport: 2, last_at: 100.0 });
    });
}

#[test]
fn a_client_whose_request_waited_during_a_stall_is_not_silent() {
    let (shell, core, address) = started(as_it_is);
    let (remote, others) = (bound(), bound());
    connect(&core, 1, &remote);
    let mut held = core.lock();
    watch(&mut held, 1, 1.0);
    for _ in 0..100 {
        others.send_to(b"\xff", address.remote).unwrap();
    }
    remote.send_to(&Credentials::new("ours1", "a password").request(true), address.remote).unwrap();
    std::thread::sleep(Duration::from_millis(1300));
    drop(held);
    assert_eq!(remote.recv(&mut [0; 99]).unwrap(), 20 + 12 + 24 + 8);
    assert_eq!(shell.take_events(9), []);
    let Event::FellSilent { transport: 1, last_at } = first_event(&shell) else { panic!("no silence") };
    assert!(last_at > 101.2);
}

#[test]
fn a_panic_in_the_core_is_reported_and_the_thread_goes_on() {
    each_way(|open| {
        let (shell, core, address) = started(open);
        let (sender, receiver) = (bound(), bound());
        call(&core, &sender, &receiver);
        core.lock().sabotage();
        sender.send_to(&packet(0, true), address.remote).unwrap();
        let Event::PlaneFailed { why } = first_event(&shell) else { panic!("no failure") };
        assert!(why.contains("sabotaged"), "{why}");
        assert_eq!(core.lock().totals().transports, 0);
        connect(&core, 1, &sender);
        sender.send_to(DTLS, address.remote).unwrap();
        assert!(matches!(first_event(&shell), Event::DtlsArrived { transport: 1, .. }));
    });
}

#[test]
fn an_added_socket_works_and_a_removed_one_is_closed() {
    each_way(|open| {
        let (ours, added) = (bound(), bound());
        let (first, second) = (path(&ours), Path { local: 2, ..path(&added) });
        let core = Arc::new(FairMutex::new(Core::new(HOLD)));
        let mut sockets = Arc::new(open(vec![ours]));
        let shell = Shell::start(Arc::clone(&core), Arc::clone(&sockets), 100.0).unwrap();
        let mut replace = |index, descriptor| {
            sockets = Arc::new(sockets.with(index, descriptor).unwrap());
            shell.replace_sockets(Arc::clone(&sockets));
            Arc::clone(&sockets)
        };
        let remote = bound();
        core.lock().add_transport(1).unwrap();
        core.lock().set_credentials(1, "ours1", "a password").unwrap();
        replace(2, Some(added.into()));
        remote.send_to(&Credentials::new("ours1", "a password").request(true), second.remote).unwrap();
        let there = Path { local: 2, ..path(&remote) };
        assert_eq!(first_event(&shell), Event::PathSelected { transport: 1, path: there });
        assert_eq!(remote.recv_from(&mut [0; 99]).unwrap(), (64, second.remote));
        let sending = replace(0, None);
        sending.send(Path { local: 2, ..path(&remote) }, b"from there", 10).unwrap();
        assert_eq!(remote.recv_from(&mut [0; 99]).unwrap(), (10, second.remote));
        assert_eq!(sending.send(path(&remote), b"from nowhere", 12), Err(DropReason::SendFailed));
        assert_eq!(sending.send(Path { local: 1, ..path(&remote) }, b"from nowhere", 12), Err(DropReason::SendFailed));
        // The port of the removed socket is free again.
        wait_for(|| UdpSocket::bind(first.remote).ok());
        remote.send_to(DTLS, second.remote).unwrap();
        assert!(matches!(first_event(&shell), Event::DtlsArrived { transport: 1, .. }));
    });
}

#[test]
fn closing_ends_the_thread_and_closing_twice_does_nothing() {
    each_way(|open| {
        let (mut shell, core, address) = started(open);
        let sender = bound();
        let (done, ended) = channel();
        let thread = std::thread::spawn(move || {
            shell.close();
            shell.close();
            done.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(5)).unwrap();
        thread.join().unwrap();
        sender.send_to(b"\x00stun", address.remote).unwrap();
        assert_eq!(core.lock().totals().packets_in, 0);
    });
}

#[test]
fn a_frame_leaves_packet_by_packet_if_the_segmented_send_is_refused() {
    each_way(|open| {
        let (_shell, core, address) = started(|sockets| {
            refuse_segmented_sends(&sockets[0]);
            open(sockets)
        });
        let (sender, receiver) = (bound(), bound());
        call(&core, &sender, &receiver);
        for number in 0..10 {
            sender.send_to(&packet(number, number % 5 == 4), address.remote).unwrap();
        }
        let mut buffer = [0; 2048];
        for number in 1..=10 {
            receiver.recv(&mut buffer).unwrap();
            assert_eq!(buffer[3], number);
        }
        let count = |core: &Core| (core.totals().packets_out, core.consumer_stats(1).unwrap().packets);
        wait_for(|| (count(&core.lock()) == (10, 10)).then_some(()));
        assert_eq!(core.lock().totals().drops.iter().map(|(_, count)| count).sum::<u64>(), 0);
    });
}

#[test]
fn a_thread_that_stands_still_or_has_ended_is_noticed_without_waiting_for_it() {
    let (mut shell, core, to) = started(as_it_is);
    let pulse = shell.pulse();
    std::thread::sleep(Duration::from_millis(700));
    assert!(pulse.stalled_for() < 0.6, "it looks around every half second");
    let held = core.lock();
    bound().send_to(&[0; 20], to.remote).unwrap();
    wait_for(|| (pulse.stalled_for() > 0.7).then_some(()));
    drop(held);
    wait_for(|| (pulse.stalled_for() < 0.6).then_some(()));
    pulse.end();
    assert_eq!(pulse.stalled_for(), f64::INFINITY);
    shell.close();
    assert_eq!(pulse.stalled_for(), 0.0, "its owner closed it");
}

#[test]
fn a_thread_is_busy_while_it_does_not_wait_for_packets() {
    let (shell, core, to) = started(as_it_is);
    let pulse = shell.pulse();
    let before = pulse.busy_seconds();
    std::thread::sleep(Duration::from_millis(300));
    assert!(pulse.busy_seconds() - before < 0.15, "it waits");
    let held = core.lock();
    bound().send_to(&[0; 20], to.remote).unwrap();
    let stands = pulse.busy_seconds();
    wait_for(|| (pulse.busy_seconds() - stands > 0.3).then_some(()));
    drop(held);
}

#[test]
fn a_thread_that_panics_again_and_again_ends_and_counts_as_stalled_for_ever() {
    let (shell, ..) = started(as_it_is);
    // A poisoned lock of its sockets does not stop it, so let each turn of the loop fail.
    shell.shared.fails.store(true, Ordering::Release);
    raise(&shell.shared.wake);
    let pulse = shell.pulse();
    wait_for(|| (pulse.stalled_for() == f64::INFINITY).then_some(()));
}
