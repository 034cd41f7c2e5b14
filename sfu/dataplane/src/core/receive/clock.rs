//! The sender's clock: which NTP time belongs to which RTP timestamp (RFC 3550 section 6.4.1).

const NTP_SECOND: f64 = 4_294_967_296.0; // one second in the 64-bit NTP format
const STEP: f64 = 1.0; // seconds: a smaller deviation is jitter of the network, a larger one is a step of a clock

/// A reading of the sender's two clocks.
///
/// At `at` (seconds, our clock) the sender's wall clock showed `ntp`, and its media clock showed `timestamp`.  From
/// this reading the core makes the sender reports to receivers: it adds the time that has passed since to both.  The
/// reports stay on the sender's own clocks, so every receiver plays its audio and video in step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct NtpMapping {
    pub ntp: u64,
    pub timestamp: u32,
    pub at: f64,
}

impl NtpMapping {
    /// The sender's NTP time and RTP timestamp at `now`, in seconds.
    pub fn read(&self, clock_rate: u32, now: f64) -> (u64, u32) {
        let passed = (now - self.at).max(0.0);
        let ntp = self.ntp.wrapping_add((passed * NTP_SECOND) as u64);
        (ntp, self.timestamp.wrapping_add((passed * f64::from(clock_rate)) as u64 as u32))
    }

    /// The number to add (mod 2^32) to a timestamp to get its NTP time in units of the clock rate.
    ///
    /// At one moment two encodings of one sender have the same NTP time, but different timestamps.  This number gives
    /// the distance between their timestamps: it is the difference of the two numbers.
    pub fn timeline(&self, clock_rate: u32) -> i64 {
        let half = 1u128 << 31;
        let units = (u128::from(self.ntp) * u128::from(clock_rate) + half) >> 32;
        i64::from((units as u32).wrapping_sub(self.timestamp))
    }
}

/// A sender's clock, kept in step with its packets between two reports.
///
/// Some senders stop their timestamps while they are muted.  During the mute they send no reports, or reports whose
/// timestamps go on.  After it, a mapping that only moves on with time is ahead of the media by the length of the mute.
/// A receiver would then play audio and video out of step.  So the mapping follows each step of the packets.
#[derive(Clone, Copy, Debug)]
pub struct SenderClock {
    clock_rate: u32,
    mapping: Option<NtpMapping>,
    /// How far packets are ahead of the mapping, in seconds (negative: behind).  It need not be 0:
    /// reports and media may take different times to arrive.
    offset: f64,
    /// Timestamp units by which the mapping was moved since its newest report.
    moved: i64,
    /// A report came, and no packet since.
    reported: bool,
    /// A packet came since the first report, so `offset` means something.
    known: bool,
}

impl SenderClock {
    /// A clock without a report.  `clock_rate` in Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, mapping: None, offset: 0.0, moved: 0, reported: false, known: false }
    }

    /// The mapping as it is now; `None` before the first report.
    pub fn mapping(&self) -> Option<NtpMapping> {
        self.mapping
    }

    /// Take over a sender report.
    ///
    /// Some senders report the time of their last packet instead of the time of the report.  During a mute such a
    /// report is old: its NTP time advances less than half as fast as ours.  Then `at` is the time of that last packet.
    pub fn report(&mut self, reported: NtpMapping) {
        let aged_since = self.mapping.and_then(|before| {
            let passed = reported.ntp.wrapping_sub(before.ntp) as i64 as f64 / NTP_SECOND;
            (passed >= 0.0 && 2.0 * passed < reported.at - before.at).then_some(before.at + passed)
        });
        self.mapping = Some(NtpMapping { at: aged_since.unwrap_or(reported.at), ..reported });
        self.moved = 0;
        self.reported = true;
    }

    /// Compare a packet with the mapping, and move the mapping if the packet stepped away.  Gives whether it was moved.
    ///
    /// The packet before it came `pause` seconds earlier (`None`: there was none).
    pub fn follow(&mut self, timestamp: u32, pause: Option<f64>, now: f64) -> bool {
        let Some(mapping) = &mut self.mapping else { return false };
        let rate = f64::from(self.clock_rate);
        let ahead = timestamp.wrapping_sub(mapping.read(self.clock_rate, now).1) as i32;
        let offset = f64::from(ahead) / rate;
        let step = offset - self.offset;
        let flows = pause.is_none_or(|pause| pause < STEP);
        // If packets flow on, a step right after a report comes from the report: accept it as the new offset.  But
        // some senders add the length of a mute to every later report.  Such a report is further from the packets
        // than the mapping was, so do not trust it, and let the mapping follow the packets.
        let trusted =
            !std::mem::replace(&mut self.known, true) || step.abs() < STEP || offset.abs() < self.offset.abs();
        if std::mem::replace(&mut self.reported, false) && flows && trusted {
            self.offset = offset;
            return false;
        }
        // Packets that the network held up step away, and later step back by the same amount.  Undo the move exactly,
        // so that rounding errors do not add up.  A step after a mute is never undone.
        let caught_up = self.moved != 0 && (step + self.moved as f64 / rate).abs() < STEP / 2.0;
        if !caught_up && step.abs() < STEP {
            return false;
        }
        let change = if caught_up { self.moved.wrapping_neg() } else { (step * rate) as i64 };
        mapping.timestamp = mapping.timestamp.wrapping_add(change as u32);
        self.moved = self.moved.wrapping_add(change);
        true
    }
}

/// The middle 32 bits of an NTP time, by which a receiver names a report (RFC 3550 section 6.4.1, LSR).
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: NtpMapping = NtpMapping { ntp: 100 << 32, timestamp: 1000, at: 5.0 };

    #[test]
    fn a_mapping_moves_on_with_time_and_never_back() {
        assert_eq!(START.read(90_000, 5.0), (100 << 32, 1000));
        assert_eq!(START.read(90_000, 5.5), ((100 << 32) + (1 << 31), 1000 + 45_000));
        assert_eq!(START.read(90_000, 4.0), (100 << 32, 1000));
        let late = NtpMapping { ntp: u64::MAX, timestamp: u32::MAX, at: 0.0 };
        assert_eq!(late.read(1, 1.0), ((1 << 32) - 1, 0));
    }

    #[test]
    fn two_encodings_of_one_sender_have_one_timeline() {
        let low = NtpMapping { ntp: 100 << 32, timestamp: 4_000_000_000, at: 1.0 };
        let high = NtpMapping { ntp: (100 << 32) + (1 << 31), timestamp: 7, at: 1.5 };
        let (low_now, high_now) = (low.read(90_000, 2.0).1, high.read(90_000, 2.0).1);
        let on_line = |timestamp: u32, clock: NtpMapping| timestamp.wrapping_add(clock.timeline(90_000) as u32);
        assert_eq!(on_line(low_now, low), on_line(high_now, high));
    }

    fn followed(timestamp: u32) -> SenderClock {
        let mut clock = SenderClock::new(48_000);
        clock.report(NtpMapping { ntp: 100 << 32, timestamp, at: 0.0 });
        clock
    }

    /// What the clock says at `now`, in seconds of timestamps.
    fn reads(clock: &SenderClock, now: f64) -> f64 {
        f64::from(clock.mapping().unwrap().read(48_000, now).1) / 48_000.0
    }

    #[test]
    fn a_clock_follows_timestamps_that_stopped_over_a_mute() {
        let mut clock = followed(0);
        assert!(!clock.follow(960, Some(0.02), 0.02));
        assert!(clock.follow(1920, Some(8.0), 8.04));
        assert_eq!(reads(&clock, 8.04), 0.04);
        assert!(!clock.follow(2880, Some(0.02), 8.06));
    }

    #[test]
    fn reports_during_a_mute_do_not_matter_whatever_they_say() {
        for reported in [4 * 48_000, 960] {
            let mut clock = followed(0);
            clock.follow(960, Some(0.02), 0.02);
            clock.report(NtpMapping { ntp: 104 << 32, timestamp: reported, at: 4.0 });
            clock.follow(1920, Some(8.0), 8.02);
            assert!((reads(&clock, 8.02) - 0.04).abs() < 0.03, "{reported}");
        }
    }

    #[test]
    fn timestamps_that_go_on_over_a_mute_move_nothing() {
        let mut clock = followed(0);
        clock.follow(960, Some(0.02), 0.02);
        assert!(!clock.follow(8 * 48_000, Some(8.0), 8.0));
    }

    #[test]
    fn media_that_arrives_later_than_its_reports_keeps_its_distance() {
        let mut clock = followed(48_000);
        assert!(!clock.follow(0, None, 0.0), "a second behind the report from the beginning");
        assert!(!clock.follow(960, Some(0.02), 0.02));
        clock.report(NtpMapping { ntp: 105 << 32, timestamp: 6 * 48_000, at: 5.0 });
        assert!(!clock.follow(5 * 48_000, Some(0.02), 5.0));
        assert_eq!(reads(&clock, 5.0), 6.0);
    }

    #[test]
    fn a_report_that_counts_a_mute_is_corrected_and_a_better_one_trusted() {
        let mut clock = followed(0);
        clock.follow(960, None, 0.02);
        clock.follow(1920, Some(8.0), 8.04);
        for second in 9..12u32 {
            let at = f64::from(second);
            clock.report(NtpMapping { ntp: 0, timestamp: second * 48_000, at });
            clock.follow((second - 8) * 48_000, Some(0.02), at);
            assert_eq!(reads(&clock, at), at - 8.0, "{second}");
        }
        let mut wrong = followed(3 * 48_000);
        wrong.follow(0, None, 0.0);
        wrong.report(NtpMapping { ntp: 0, timestamp: 48_000, at: 1.0 });
        assert!(!wrong.follow(48_000, Some(0.02), 1.0));
        assert_eq!(reads(&wrong, 1.0), 1.0);
    }

    #[test]
    fn a_report_that_aged_over_a_mute_belongs_to_the_last_packet() {
        let mut clock = followed(0);
        clock.follow(960, None, 0.02);
        for second in 1..8u32 {
            clock.report(NtpMapping { ntp: 100 << 32, timestamp: 0, at: f64::from(second) });
        }
        assert!(clock.follow(1920, Some(8.0), 8.0));
        let (ntp, timestamp) = clock.mapping().unwrap().read(48_000, 8.0);
        assert_eq!((ntp >> 32, timestamp), (108, 1920));
    }

    #[test]
    fn a_burst_after_a_stall_leaves_the_mapping_as_it_was() {
        let mut clock = followed(0);
        for packet in 1..100u32 {
            let due = f64::from(packet) * 0.02;
            let (now, pause) =
                if (20..70).contains(&packet) { (1.4, if packet == 20 { 1.0 } else { 0.0 }) } else { (due, 0.02) };
            clock.follow(packet * 960, Some(pause), now);
        }
        assert_eq!(reads(&clock, 2.0), 2.0);
    }

    #[test]
    fn a_report_is_named_by_the_middle_of_its_ntp_time() {
        assert_eq!(middle(0x1122_3344_5566_7788), 0x3344_5566);
    }
}
