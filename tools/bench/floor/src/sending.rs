//! Follows a plan in real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::packet::{HEADER, Seal, TAG};
use crate::{Plan, Stream};

const TICKS: u32 = 90; // of the RTP clock in a millisecond

/// One socket for all receivers, as a gateway with one media port has. It counts what it sends.
pub struct Sender<'a> {
    plan: &'a Plan,
    receivers: Vec<(SocketAddr, Seal)>,
    socket: UdpSocket,
    buffer: Vec<u8>,
    segment: usize,
    pub packets: u64,
    pub sends: u64,
}

impl<'a> Sender<'a> {
    pub fn new(plan: &'a Plan, socket: UdpSocket) -> Result<Self, Box<dyn Error>> {
        let seal = |one: &crate::Receiver| Seal::new(&one.key, one.salt).map(|seal| (one.address, seal));
        let receivers = plan.receivers.iter().map(seal).collect::<Result<_, _>>().map_err(|_| "not a session key")?;
        let largest = plan.streams.iter().map(|stream| stream.burst * packet_size(stream)).max().unwrap_or(0);
        Ok(Self { plan, receivers, socket, buffer: vec![0; largest], segment: 0, packets: 0, sends: 0 })
    }

    /// Sends every burst at its time until the plan's end.
    pub fn follow(&mut self) -> Result<(), Box<dyn Error>> {
        let (begun, plan) = (Instant::now(), self.plan);
        let length = Duration::try_from_secs_f64(plan.seconds)?;
        let phases = plan.streams.iter().enumerate();
        let mut due: BinaryHeap<_> = phases.map(|(number, stream)| Reverse((stream.phase, number, 0))).collect();
        while let Some(Reverse((at, number, index))) = due.pop() {
            let (stream, moment) = (&plan.streams[number], Duration::from_nanos(at));
            if moment >= length {
                break;
            }
            sleep((begun + moment).saturating_duration_since(Instant::now()));
            let timestamp = u32::try_from(moment.as_millis())?.wrapping_mul(TICKS);
            // Segmented: the whole burst to one receiver, then to the next. Otherwise: one packet to all receivers, then
            // the next, as a server that forwards each packet at once.
            let end = index + stream.burst as u64;
            let count = if plan.segmented { stream.burst } else { 1 };
            for first in (index..end).step_by(count) {
                self.send(stream, u32::try_from(1 + number)?, first, count, timestamp)?;
            }
            due.push(Reverse((at + stream.period, number, end)));
        }
        Ok(())
    }

    /// Sends `count` packets of a stream, from `index` on, to each receiver in one call.
    fn send(
        &mut self,
        stream: &Stream,
        ssrc: u32,
        index: u64,
        count: usize,
        timestamp: u32,
    ) -> Result<(), Box<dyn Error>> {
        let size = packet_size(stream);
        if self.plan.segmented && self.segment != size {
            setsockopt(&self.socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
            self.segment = size;
        }
        let place = &mut self.buffer[..count * size];
        for (address, seal) in stream.receivers.iter().map(|&one| &self.receivers[one]) {
            for (index, packet) in (index..).zip(place.chunks_exact_mut(size)) {
                seal.write(packet, ssrc, index, timestamp).map_err(|_| "a packet could not be sealed")?;
            }
            self.socket.send_to(place, address)?;
            self.packets += count as u64;
            self.sends += 1;
        }
        Ok(())
    }
}

fn packet_size(stream: &Stream) -> usize {
    HEADER + stream.size + TAG
}
