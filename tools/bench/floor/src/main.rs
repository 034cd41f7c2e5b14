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
use std::process::ExitCode;

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let plan = plan::parse(&text)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SndBuf, &(4 << 20))?;
    let sender = sending::Sender::new(&plan, socket);
    let before = cpu_nanoseconds()?;
    let done = sender.follow(&plan)?;
    #[allow(clippy::cast_precision_loss)] // a run's length is far below 2**53 ns
    let cpu = (cpu_nanoseconds()? - before) as f64 / 1e9;
    Ok(format!(r#"{{"packets": {}, "sends": {}, "cpu": {cpu:.9}}}"#, done.packets, done.sends))
}

/// Processor time of all threads, by the scheduler's clock.
fn cpu_nanoseconds() -> nix::Result<i64> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.num_nanoseconds())
}
