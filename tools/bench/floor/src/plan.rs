//! The plan of a run, as text: its streams and their receivers.
//!
//! ```text
//! seconds 4
//! send single                     each packet by itself; or: segmented, a burst for a receiver at once
//! receiver 10.0.0.2:5000 KEY SALT session key and salt in hexadecimal
//! stream 33333333 0 5 1100 0,1    period and phase in ns, packets in a burst, payload bytes, receivers by number
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use crate::packet::Seal;

pub struct Receiver {
    pub address: SocketAddr,
    pub seal: Seal,
}

pub struct Stream {
    pub period: Duration,
    pub phase: Duration,
    pub burst: usize,
    pub size: usize,
    pub receivers: Vec<usize>,
}

#[derive(Default)]
pub struct Plan {
    pub length: Duration,
    pub segmented: bool,
    pub receivers: Vec<Receiver>,
    pub streams: Vec<Stream>,
}

/// Reads a plan; the error names the wrong line.
pub fn parse(text: &str) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for line in text.lines() {
        read_line(&mut plan, line).ok_or_else(|| format!("not a line of a plan: {line}"))?;
    }
    let known = plan.receivers.len();
    if plan.streams.iter().any(|stream| stream.receivers.iter().any(|number| *number >= known)) {
        return Err("a stream names a receiver that the plan lacks".into());
    }
    Ok(plan)
}

fn read_line(plan: &mut Plan, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["seconds", seconds] => plan.length = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?,
        ["send", way @ ("single" | "segmented")] => plan.segmented = way == "segmented",
        ["receiver", address, key, salt] => plan.receivers.push(Receiver {
            address: address.parse().ok()?,
            seal: Seal::new(hexadecimal(key)?, hexadecimal(salt)?).ok()?,
        }),
        ["stream", period, phase, burst, size, receivers] => plan.streams.push(Stream {
            period: Some(Duration::from_nanos(period.parse().ok()?)).filter(|period| !period.is_zero())?,
            phase: Duration::from_nanos(phase.parse().ok()?),
            burst: burst.parse().ok()?,
            size: size.parse().ok()?,
            receivers: receivers.split(',').map(|one| one.parse().ok()).collect::<Option<_>>()?,
        }),
        _ => return None,
    }
    Some(())
}

fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}
