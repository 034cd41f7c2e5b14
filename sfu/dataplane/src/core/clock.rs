//! The wall clock of a source, as its sender reports tell it (RFC 3550 section 6.4.1).

const NTP_SECOND: f64 = 4_294_967_296.0; // in the 64-bit NTP format

/// Which NTP time of the sender belongs to which RTP timestamp, from its newest report, which came at `at` seconds.
///
/// Sender reports to receivers are made from it: the pair is moved on by the time that has passed here, so both halves
/// stay on the sender's own clocks and audio and video of one sender stay in step at every receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct SourceClock {
    pub ntp: u64,
    pub timestamp: u32,
    pub at: f64,
}

impl SourceClock {
    /// The sender's NTP time and RTP timestamp (before any offset) now.
    pub fn read(&self, clock_rate: u32, now: f64) -> (u64, u32) {
        let passed = (now - self.at).max(0.0);
        let ntp = self.ntp.wrapping_add((passed * NTP_SECOND) as u64);
        (ntp, self.timestamp.wrapping_add((passed * f64::from(clock_rate)) as u64 as u32))
    }

    /// What to add (mod 2^32) to its timestamps to get the NTP time in units of the clock rate.
    ///
    /// So all encodings of one sender meet on one timeline.
    pub fn timeline(&self, clock_rate: u32) -> i64 {
        let half = 1u128 << 31;
        let units = (u128::from(self.ntp) * u128::from(clock_rate) + half) >> 32;
        i64::from((units as u32).wrapping_sub(self.timestamp))
    }
}

/// The middle 32 bits of an NTP time, by which a receiver names a report (RFC 3550 section 6.4.1, LSR).
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SourceClock = SourceClock { ntp: 100 << 32, timestamp: 1000, at: 5.0 };

    #[test]
    fn both_halves_go_on_with_the_time_that_passes_and_never_back() {
        assert_eq!(START.read(90_000, 5.0), (100 << 32, 1000));
        assert_eq!(START.read(90_000, 5.5), ((100 << 32) + (1 << 31), 1000 + 45_000));
        assert_eq!(START.read(90_000, 4.0), (100 << 32, 1000));
        let late = SourceClock { ntp: u64::MAX, timestamp: u32::MAX, at: 0.0 };
        assert_eq!(late.read(1, 1.0), ((1 << 32) - 1, 0));
    }

    #[test]
    fn encodings_of_one_sender_meet_on_one_timeline() {
        let low = SourceClock { ntp: 100 << 32, timestamp: 4_000_000_000, at: 1.0 };
        let high = SourceClock { ntp: (100 << 32) + (1 << 31), timestamp: 7, at: 1.5 };
        let (low_now, high_now) = (low.read(90_000, 2.0).1, high.read(90_000, 2.0).1);
        let on_line = |timestamp: u32, clock: SourceClock| timestamp.wrapping_add(clock.timeline(90_000) as u32);
        assert_eq!(on_line(low_now, low), on_line(high_now, high));
    }

    #[test]
    fn a_report_is_named_by_the_middle_of_its_time() {
        assert_eq!(middle(0x1122_3344_5566_7788), 0x3344_5566);
    }
}
