//! The cost of the bandwidth estimator: `cargo bench --bench bandwidth`.
//!
//! Median nanoseconds for recording a packet, and for one feedback about 15 packets.  A hundred transports take turns, so
//! that none finds its memory in the nearest cache.

use std::time::Instant;

use _dataplane::core::rtcp::{RtcpPacket, TransportFeedback, read_untrusted};
use _dataplane::core::{BandwidthEstimator, PacketKind};

const TRANSPORTS: usize = 100;
const FEEDBACKS: u32 = 1000; // for each transport
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

/// The median of the times, in nanoseconds for each of `parts`.
fn median(mut times: Vec<u128>, parts: usize) -> f64 {
    times.sort_unstable();
    times[times.len() / 2] as f64 / parts as f64
}

fn main() {
    let mut estimators: Vec<_> = (0..TRANSPORTS).map(|_| BandwidthEstimator::new(0.0)).collect();
    estimators.iter_mut().for_each(|estimator| estimator.aim(1.3e6, None, 1.3e6, 0.0));
    let (mut recording, mut following) = (Vec::new(), Vec::new());
    for interval in 0..FEEDBACKS {
        let began = f64::from(interval) * INTERVAL;
        let start = Instant::now();
        for estimator in &mut estimators {
            for packet in 0..PACKETS {
                let now = began + f64::from(packet) * INTERVAL / f64::from(PACKETS);
                estimator.record(SIZE, PacketKind::Media, now);
            }
        }
        recording.push(start.elapsed().as_nanos());
        let packet = feedback((interval * PACKETS) as u16, began);
        let start = Instant::now();
        for estimator in &mut estimators {
            for read in read_untrusted(&packet).flatten() {
                if let RtcpPacket::TransportFeedback(feedback) = read {
                    estimator.on_feedback(&feedback, began + INTERVAL + 0.04);
                }
            }
        }
        following.push(start.elapsed().as_nanos());
    }
    let recording = median(recording, TRANSPORTS * PACKETS as usize);
    let following = median(following, TRANSPORTS);
    println!("{recording:.1} ns to record a packet, {following:.0} ns for a feedback about {PACKETS} packets");
}
