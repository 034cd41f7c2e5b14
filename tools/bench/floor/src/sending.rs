//! Follows a plan in real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};

use crate::packet::{HEADER, TAG};
use crate::plan::Plan;

const TICKS: u32 = 90; // of the RTP clock in a millisecond

/// One socket for all receivers, as a gateway with one media port has. It counts what it sends.
pub struct Sender {
    socket: UdpSocket,
    buffer: Vec<u8>,
    segment: usize,
    pub packets: u64,
    pub sends: u64,
}

impl Sender {
    pub fn new(plan: &Plan, socket: UdpSocket) -> Self {
        let burst = |stream: &crate::plan::Stream| stream.burst * (HEADER + stream.size + TAG);
        let largest = plan.streams.iter().map(burst).max().unwrap_or(0);
        Self { socket, buffer: vec![0; largest], segment: 0, packets: 0, sends: 0 }
    }

    /// Sends every burst at its time until the plan's end.
    pub fn follow(&mut self, plan: &Plan) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        let mut indices = vec![0; plan.streams.len()];
        let phases = plan.streams.iter().enumerate().map(|(number, stream)| Reverse((stream.phase, number)));
        let mut due: BinaryHeap<_> = phases.collect();
        while let Some(Reverse((moment, number))) = due.pop() {
            if moment >= plan.length {
                break;
            }
            sleep((begun + moment).saturating_duration_since(Instant::now()));
            let timestamp = u32::try_from(moment.as_millis())?.wrapping_mul(TICKS);
            let burst = plan.streams[number].burst;
            // Segmented: the whole burst to one receiver, then to the next. Otherwise: one packet to all receivers, then
            // the next, as a server that forwards each packet at once.
            let count = if plan.segmented { burst } else { 1 };
            for _ in 0..burst / count {
                self.send(plan, number, indices[number], count, timestamp)?;
                indices[number] += count as u64;
            }
            due.push(Reverse((moment + plan.streams[number].period, number)));
        }
        Ok(())
    }

    /// Sends `count` packets of a stream, from `index` on, to each receiver in one call.
    fn send(
        &mut self,
        plan: &Plan,
        number: usize,
        index: u64,
        count: usize,
        timestamp: u32,
    ) -> Result<(), Box<dyn Error>> {
        let (stream, ssrc) = (&plan.streams[number], u32::try_from(1 + number)?);
        let size = HEADER + stream.size + TAG;
        if plan.segmented && self.segment != size {
            setsockopt(&self.socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
            self.segment = size;
        }
        let place = &mut self.buffer[..count * size];
        for receiver in stream.receivers.iter().map(|&one| &plan.receivers[one]) {
            for (index, packet) in (index..).zip(place.chunks_exact_mut(size)) {
                receiver.seal.write(packet, ssrc, index, timestamp).map_err(|_| "a packet could not be sealed")?;
            }
            self.socket.send_to(place, receiver.address)?;
            self.packets += count as u64;
            self.sends += 1;
        }
        Ok(())
    }
}
