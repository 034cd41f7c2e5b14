//! Measures the least cost of forwarding on this machine. It only encrypts each packet as SRTP does, and sends it.
//!
//! It reads a [`Plan`] as JSON from standard input and follows it in real time. Then it prints one line of JSON with the
//! packets, the sends, and the processor time of this process in seconds.

mod packet;
mod sending;

use std::error::Error;
use std::io::stdin;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// What to send for how long. Segmented sends hand a whole burst for a receiver to the kernel at once.
#[derive(Deserialize)]
pub struct Plan {
    pub seconds: f64,
    pub segmented: bool,
    pub receivers: Vec<Receiver>,
    pub streams: Vec<Stream>,
}

/// A receiver with its SRTP session key and salt.
#[derive(Deserialize)]
pub struct Receiver {
    pub address: SocketAddr,
    pub key: [u8; 16],
    pub salt: [u8; 12],
}

/// A stream of bursts for some receivers, by number. Period and phase are in nanoseconds, the payload's size in bytes.
#[derive(Deserialize)]
pub struct Stream {
    pub period: u64,
    pub phase: u64,
    pub burst: usize,
    pub size: usize,
    pub receivers: Vec<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan: Plan = serde_json::from_reader(stdin())?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    setsockopt(&socket, sockopt::SndBuf, &(4 << 20))?;
    let mut sender = sending::Sender::new(&plan, socket)?;
    // Processor time of all threads, by the scheduler's clock.
    let clock = ClockId::CLOCK_PROCESS_CPUTIME_ID;
    let before = clock_gettime(clock)?;
    sender.follow()?;
    let cpu = std::time::Duration::from(clock_gettime(clock)? - before).as_secs_f64();
    println!(r#"{{"packets": {}, "sends": {}, "cpu": {cpu:.9}}}"#, sender.packets, sender.sends);
    Ok(())
}
