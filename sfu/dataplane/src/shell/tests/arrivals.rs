//! The times of arrivals, as feedback gives them to the sender.

use super::*;
use crate::core::rtcp::{RtcpPacket, read_untrusted};

/// A sealed packet of audio with this transport-wide number.
fn numbered(wide: u8) -> Vec<u8> {
    let mut packet = vec![0x90, 96, 0, wide, 0, 0, 0, 9, 0, 0, 0, 5, 0xBE, 0xDE, 0, 1, 0x51, 0, wide, 0, 1, 2, 3];
    packet.extend([0; 16]);
    Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap().seal_rtp(&mut packet, 20, 5, u64::from(wide));
    packet
}

/// The arrival times in the next feedback, in milliseconds.
fn told(sender: &UdpSocket) -> Vec<i64> {
    let mut datagram = [0; 2000];
    let size = sender.recv(&mut datagram).unwrap();
    let mut opening = Srtp::new(Profile::AeadAes128Gcm, &KEYS, &KEYS).unwrap();
    let size = opening.open_rtcp(&mut datagram[..size], |_| false).unwrap();
    let Some(Ok(RtcpPacket::TransportFeedback(feedback))) = read_untrusted(&datagram[..size]).next() else { panic!() };
    feedback.arrivals().filter_map(|(_, at)| at).map(|ticks| ticks / 4).collect()
}

#[test]
fn a_sender_learns_when_its_packets_arrived_and_not_when_they_were_read() {
    let (_shell, core, address) = started(as_it_is);
    let sender = bound();
    connect(&core, 1, &sender);
    let spec = ProducerSpec {
        codec: "audio/opus".into(),
        clock_rate: 48_000,
        payload_types: [(96, 96)].into(),
        encodings: vec![EncodingSpec { ssrc: Some(5), ..EncodingSpec::default() }],
        wide_id: Some(5),
        ..ProducerSpec::default()
    };
    core.lock().add_producer(1, 1, spec).unwrap();
    let busy = core.lock();
    let began = Instant::now();
    let mut sent = Vec::new();
    for wide in 1..4 {
        sent.push(began.elapsed().as_millis() as i64);
        sender.send_to(&numbered(wide), address.remote).unwrap();
        std::thread::sleep(Duration::from_millis(80));
    }
    drop(busy);
    let mut arrived = Vec::new();
    while arrived.len() < sent.len() {
        arrived.extend(told(&sender));
    }
    let first = arrived[0] - sent[0];
    for (sent, arrived) in sent.iter().zip(&arrived) {
        let late = arrived - first - sent;
        assert!((-3..40).contains(&late), "{late} ms");
    }
}
