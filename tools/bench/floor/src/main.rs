//! Measures the least cost of forwarding on this machine. It only encrypts each packet as SRTP does, and sends it.
//!
//! It reads a plan from standard input (see `plan`) and follows it in real time. Then it prints one line of JSON with
//! the packets, the sends, and the processor time of this process in seconds.

mod packet;
mod plan;
mod sending;

use std::error::Error;
use std::io::{Read, stdin};
use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let plan = plan::parse(&text)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    setsockopt(&socket, sockopt::SndBuf, &(4 << 20))?;
    let mut sender = sending::Sender::new(&plan, socket);
    // Processor time of all threads, by the scheduler's clock.
    let before = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    sender.follow(&plan)?;
    let cpu = Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - before).as_secs_f64();
    println!(r#"{{"packets": {}, "sends": {}, "cpu": {cpu:.9}}}"#, sender.packets, sender.sends);
    Ok(())
}
