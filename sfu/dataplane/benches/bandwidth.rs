//! The cost of the bandwidth estimator: `cargo bench --bench bandwidth`.
//!
//! Nanoseconds for recording a packet, and for one feedback about 15 packets, the best of five rounds.  A hundred
//! transports take turns, so that none finds its memory in the nearest cache.

use std::time::Instant;

use _dataplane::core::rtcp::{RtcpPacket, TransportFeedback, read_untrusted};
use _dataplane::core::{BandwidthEstimator, PacketKind};

const ROUNDS: usize = 5;
const TRANSPORTS: usize = 100;
const FEEDBACKS: u32 = 200; // in a round, for each transport
const PACKETS: u32 = 15; // in a feedback
const INTERVAL: f64 = 0.1; // seconds
const SIZE: usize = 1100;

fn feedback(base: u16, began: f64) -> Vec<u8> {
    let arrival = |packet| ((began + f64::from(packet) * INTERVAL / f64::from(PACKETS) + 0.02) / 250e-6) as i64;
    let arrivals: Vec<_> = (0..PACKETS).map(|packet| Some(arrival(packet))).collect();
    let mut packet = Vec::new();
    TransportFeedback::write((1, 2), 0, base, &arrivals, &mut packet);
    packet
}

fn main() {
    let mut estimators: Vec<_> = (0..TRANSPORTS).map(|_| BandwidthEstimator::new(0.0)).collect();
    estimators.iter_mut().for_each(|estimator| estimator.aim(1.3e6, None, 1.3e6, 0.0));
    let (mut recording, mut following) = (f64::INFINITY, f64::INFINITY);
    for round in 0..ROUNDS as u32 {
        let (mut recorded, mut followed) = (0, 0);
        for interval in round * FEEDBACKS..(round + 1) * FEEDBACKS {
            let began = f64::from(interval) * INTERVAL;
            let start = Instant::now();
            for estimator in &mut estimators {
                for packet in 0..PACKETS {
                    let now = began + f64::from(packet) * INTERVAL / f64::from(PACKETS);
                    estimator.record(SIZE, PacketKind::Media, now);
                }
            }
            recorded += start.elapsed().as_nanos();
            let packet = feedback((interval * PACKETS) as u16, began);
            let start = Instant::now();
            for estimator in &mut estimators {
                for read in read_untrusted(&packet).flatten() {
                    if let RtcpPacket::TransportFeedback(feedback) = read {
                        estimator.on_feedback(&feedback, began + INTERVAL + 0.04);
                    }
                }
            }
            followed += start.elapsed().as_nanos();
        }
        let feedbacks = f64::from(FEEDBACKS) * TRANSPORTS as f64;
        recording = recording.min(recorded as f64 / feedbacks / f64::from(PACKETS));
        following = following.min(followed as f64 / feedbacks);
    }
    println!("{recording:.1} ns to record a packet, {following:.0} ns for a feedback about {PACKETS} packets");
}
