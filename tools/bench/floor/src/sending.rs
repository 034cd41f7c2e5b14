//! Follows a plan in real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::packet::{HEADER, Seal, TAG};
use crate::plan::{Plan, Stream, Way};

const TICKS: u32 = 90; // of the RTP clock in a millisecond

#[derive(Default)]
pub struct Done {
    pub packets: u64,
    pub sends: u64,
    late: Vec<Duration>,
}

impl Done {
    pub fn late_p99(&self) -> Duration {
        let mut ordered = self.late.clone();
        ordered.sort_unstable();
        ordered.get(ordered.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// One socket for all receivers, as a gateway with one media port has.
pub struct Sender {
    socket: UdpSocket,
    seals: Vec<Seal>,
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
            seals: plan.receivers.iter().map(|one| Seal::new(one.key, one.salt).expect("16 bytes are a key")).collect(),
            payload: vec![0; largest],
            buffer: vec![0; burst * (HEADER + largest + TAG)],
            indices: vec![0; plan.streams.len()],
            segment: 0,
            done: Done::default(),
        }
    }

    /// Send every burst at its time until the plan's end.
    pub fn follow(&mut self, plan: &Plan) -> Result<Done, Box<dyn Error>> {
        let begun = Instant::now();
        let mut due: BinaryHeap<_> =
            plan.streams.iter().enumerate().map(|(number, stream)| Reverse((stream.phase, number))).collect();
        while let Some(Reverse((moment, number))) = due.pop() {
            if moment >= plan.length {
                break;
            }
            sleep((begun + moment).saturating_duration_since(Instant::now()));
            self.done.late.push(begun.elapsed().saturating_sub(moment));
            let stream = &plan.streams[number];
            let timestamp = u32::try_from(moment.as_millis())?.wrapping_mul(TICKS);
            match plan.way {
                Way::Single => self.send_each(plan, number, stream, timestamp)?,
                Way::Segmented => self.send_segmented(plan, number, stream, timestamp)?,
            }
            self.indices[number] += stream.burst as u64;
            due.push(Reverse((moment + stream.period, number)));
        }
        Ok(std::mem::take(&mut self.done))
    }

    /// Send one packet to all receivers, then the next, as a server that forwards each packet at once.
    fn send_each(&mut self, plan: &Plan, number: usize, stream: &Stream, timestamp: u32) -> Result<(), Box<dyn Error>> {
        let size = HEADER + stream.size + TAG;
        for offset in 0..stream.burst {
            for &receiver in &stream.receivers {
                self.write(0, number, stream, receiver, offset, timestamp)?;
                self.socket.send_to(&self.buffer[..size], plan.receivers[receiver].address)?;
                self.done.packets += 1;
                self.done.sends += 1;
            }
        }
        Ok(())
    }

    /// Send the whole burst to one receiver, then to the next.
    fn send_segmented(
        &mut self,
        plan: &Plan,
        number: usize,
        stream: &Stream,
        timestamp: u32,
    ) -> Result<(), Box<dyn Error>> {
        let size = HEADER + stream.size + TAG;
        if self.segment != size {
            setsockopt(&self.socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
            self.segment = size;
        }
        for &receiver in &stream.receivers {
            for offset in 0..stream.burst {
                self.write(offset * size, number, stream, receiver, offset, timestamp)?;
            }
            self.socket.send_to(&self.buffer[..stream.burst * size], plan.receivers[receiver].address)?;
            self.done.packets += stream.burst as u64;
            self.done.sends += 1;
        }
        Ok(())
    }

    fn write(
        &mut self,
        at: usize,
        number: usize,
        stream: &Stream,
        receiver: usize,
        offset: usize,
        timestamp: u32,
    ) -> Result<(), Box<dyn Error>> {
        let ssrc = u32::try_from(1 + number)?;
        let place = &mut self.buffer[at..at + HEADER + stream.size + TAG];
        self.seals[receiver]
            .write(place, &self.payload[..stream.size], ssrc, self.indices[number] + offset as u64, timestamp)
            .map_err(|_| "a packet could not be sealed".into())
    }
}
