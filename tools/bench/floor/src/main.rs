//! Measures the least cost of forwarding on this machine: encrypt each packet as SRTP does, and send it.
//!
//! It reads a plan from standard input (see `plan`) and follows it in real time. Then it prints one line of JSON with
//! the packets, the processor time of this process in seconds, and the delay of bursts.

mod packet;
mod plan;
mod sending;

use std::error::Error;
use std::io::{Read, stdin};
use std::net::UdpSocket;
use std::process::ExitCode;

use nix::sys::resource::{UsageWho, getrusage};
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
    let mut sender = sending::Sender::new(&plan, socket);
    let (cpu, split) = (cpu_nanoseconds()?, user_and_system()?);
    let done = sender.follow(&plan)?;
    let (user, system) = user_and_system()?;
    Ok(format!(
        r#"{{"packets": {}, "sends": {}, "cpu": {:.9}, "user": {:.6}, "system": {:.6}, "late_p99": {:.6}}}"#,
        done.packets,
        done.sends,
        seconds(cpu_nanoseconds()? - cpu),
        user - split.0,
        system - split.1,
        done.late_p99().as_secs_f64(),
    ))
}

/// Processor time of all threads, by the scheduler's clock.
fn cpu_nanoseconds() -> nix::Result<i64> {
    let spec = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(spec.num_nanoseconds())
}

fn user_and_system() -> nix::Result<(f64, f64)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |microseconds: i64| seconds(microseconds * 1000);
    Ok((seconds(usage.user_time().num_microseconds()), seconds(usage.system_time().num_microseconds())))
}

#[allow(clippy::cast_precision_loss)] // a run's length is far below 2**53 ns
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}
