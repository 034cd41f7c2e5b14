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

#[derive(Default)]
pub struct Done {
    pub packets: u64,
    pub sends: u64,
}

/// One socket for all receivers, as a gateway with one media port has.
pub struct Sender {
    socket: UdpSocket,
    payload: Vec<u8>,
    buffer: Vec<u8>,
    indices: Vec<u64>,
    segment: usize,
    done: Done,
}

impl Sender {
    pub fn new(plan: &Plan, socket: UdpSocket) -> Self {
        let largest = plan.streams.iter().map(|stream| stream.size).max().unwrap_or(0);
        let burst = plan.streams.iter().map(|stream| stream.burst).max().unwrap_or(0);
        Self {
            socket,
            payload: vec![0; largest],
            buffer: vec![0; burst * (HEADER + largest + TAG)],
            indices: vec![0; plan.streams.len()],
            segment: 0,
            done: Done::default(),
        }
    }

    /// Send every burst at its time until the plan's end.
    pub fn follow(mut self, plan: &Plan) -> Result<Done, Box<dyn Error>> {
        let begun = Instant::now();
        let mut due: BinaryHeap<_> =
            plan.streams.iter().enumerate().map(|(number, stream)| Reverse((stream.phase, number))).collect();
        while let Some(Reverse((moment, number))) = due.pop() {
            if moment >= plan.length {
                break;
            }
            sleep((begun + moment).saturating_duration_since(Instant::now()));
            let timestamp = u32::try_from(moment.as_millis())?.wrapping_mul(TICKS);
            let stream = &plan.streams[number];
            if plan.segmented {
                // The whole burst to one receiver, then to the next.
                self.set_segment(HEADER + stream.size + TAG)?;
                self.send(plan, number, 0, stream.burst, timestamp)?;
            } else {
                // One packet to all receivers, then the next, as a server that forwards each packet at once.
                for offset in 0..stream.burst {
                    self.send(plan, number, offset, 1, timestamp)?;
                }
            }
            self.indices[number] += stream.burst as u64;
            due.push(Reverse((moment + stream.period, number)));
        }
        Ok(self.done)
    }

    fn set_segment(&mut self, size: usize) -> Result<(), Box<dyn Error>> {
        if self.segment != size {
            setsockopt(&self.socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
            self.segment = size;
        }
        Ok(())
    }

    /// Send `count` packets of a burst, from `first` on, to each receiver in one call.
    fn send(
        &mut self,
        plan: &Plan,
        number: usize,
        first: usize,
        count: usize,
        timestamp: u32,
    ) -> Result<(), Box<dyn Error>> {
        let (stream, ssrc) = (&plan.streams[number], u32::try_from(1 + number)?);
        let size = HEADER + stream.size + TAG;
        for receiver in stream.receivers.iter().map(|&one| &plan.receivers[one]) {
            for (offset, place) in self.buffer[..count * size].chunks_exact_mut(size).enumerate() {
                let index = self.indices[number] + (first + offset) as u64;
                receiver
                    .seal
                    .write(place, &self.payload[..stream.size], ssrc, index, timestamp)
                    .map_err(|_| "a packet could not be sealed")?;
            }
            self.socket.send_to(&self.buffer[..count * size], receiver.address)?;
            self.done.packets += count as u64;
            self.done.sends += 1;
        }
        Ok(())
    }
}
