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

/// Reads a plan. The error names the wrong line.
pub fn parse(text: &str) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for line in text.lines() {
        read_line(&mut plan, line).ok_or_else(|| format!("not a line of a plan: {line}"))?;
    }
    Ok(plan)
}

fn read_line(plan: &mut Plan, line: &str) -> Option<()> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["seconds", seconds] => plan.length = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?,
        ["send", way @ ("single" | "segmented")] => plan.segmented = way == "segmented",
        ["receiver", address, key, salt] => {
            let [key, salt] = [key, salt].map(|text| u128::from_str_radix(text, 16).ok());
            plan.receivers.push(Receiver { address: address.parse().ok()?, seal: Seal::new(key?, salt?).ok()? });
        }
        ["stream", period, phase, burst, size, receivers] => {
            let known = plan.receivers.len();
            let receivers = receivers.split(',').map(|one| one.parse().ok().filter(|number| *number < known));
            plan.streams.push(Stream {
                period: Some(Duration::from_nanos(period.parse().ok()?)).filter(|period| !period.is_zero())?,
                phase: Duration::from_nanos(phase.parse().ok()?),
                burst: burst.parse().ok()?,
                size: size.parse().ok()?,
                receivers: receivers.collect::<Option<_>>()?,
            });
        }
        _ => return None,
    }
    Some(())
}
