//! Receive statistics of one SSRC, as receiver reports need them (RFC 3550 appendices A.1, A.3, A.8).

const MAX_DROPOUT: i64 = 3000; // RFC 3550 appendix A.1: a sender that skips more numbers began anew and lost nothing
const MAX_OVERTAKEN: i64 = 100; // numbers by which packets may overtake the first one of a stream
const MAX_PAUSE: f64 = 5.0; // seconds: a timestamp that jumps further says nothing about the network
/// An encoding without a packet for this long (seconds) does not flow.
pub const IDLE_AFTER: f64 = 2.0;
const TIMESTAMPS: f64 = 4_294_967_296.0;

/// Counts packets, and extends their sequence numbers so that they never wrap.
///
/// The probation of appendix A.1 is not needed, as every packet has authenticated and is no replay.  A sequence number
/// is within half a cycle of the newest one, and that decides its cycle.
#[derive(Clone, Debug)]
pub struct ReceiveStats {
    clock_rate: f64,
    /// The lowest sequence number.
    base: i64,
    /// In timestamp units.
    jitter: f64,
    /// Arrival time less timestamp of the newest packet, in timestamp units.
    transit: f64,
    /// Packets that came.
    pub packets: u64,
    /// Their bytes: whole plain packets.
    pub bytes: u64,
    /// The highest sequence number, extended by its cycles.
    pub highest_sequence: i64,
    /// The timestamp of the newest packet.
    pub last_timestamp: u32,
    /// When the newest packet came, in seconds.
    pub last_at: Option<f64>,
}

impl ReceiveStats {
    /// Nothing came yet.  `clock_rate` in Hz.
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: f64::from(clock_rate),
            base: 0,
            jitter: 0.0,
            transit: 0.0,
            packets: 0,
            bytes: 0,
            highest_sequence: 0,
            last_timestamp: 0,
            last_at: None,
        }
    }

    /// Whether the stream does not flow at `now`, in seconds.
    pub fn idle(&self, now: f64) -> bool {
        self.last_at.is_none_or(|last_at| now - last_at > IDLE_AFTER)
    }

    /// The lowest sequence number so far, extended; `None` before the first packet.
    pub fn lowest_sequence(&self) -> Option<i64> {
        self.last_at.map(|_| self.base)
    }

    /// Extend the number of a packet that came late.  `None` unless it lies between the lowest and the highest number.
    pub fn extend_late(&self, sequence_number: u16) -> Option<i64> {
        self.last_at?;
        let extended = self.extend(sequence_number);
        (self.base..self.highest_sequence).contains(&extended).then_some(extended)
    }

    /// The number nearest to the newest one.
    fn extend(&self, sequence_number: u16) -> i64 {
        let step = sequence_number.wrapping_sub(self.highest_sequence as u16) as i16;
        self.highest_sequence + i64::from(step)
    }

    /// Count a packet of `size` bytes that came at `now` (seconds).  Gives its extended sequence number.
    pub fn on_packet(&mut self, sequence_number: u16, timestamp: u32, size: usize, now: f64) -> i64 {
        self.packets += 1;
        self.bytes += size as u64;
        if self.last_at.is_none() {
            self.base = i64::from(sequence_number);
            self.highest_sequence = self.base;
            self.transit = now * self.clock_rate - f64::from(timestamp);
        } else {
            let extended = self.extend(sequence_number);
            let step = extended - self.highest_sequence;
            if step <= 0 {
                // The first packets of a stream may have overtaken this one.  Later on it is too old to matter.
                if step > -MAX_OVERTAKEN {
                    self.base = self.base.min(extended);
                }
                return extended;
            }
            if step >= MAX_DROPOUT {
                self.base += step - 1;
            }
            self.highest_sequence = extended;
            if timestamp != self.last_timestamp {
                self.measure_jitter(timestamp, now);
            }
        }
        self.last_timestamp = timestamp;
        self.last_at = Some(now);
        self.highest_sequence
    }

    /// Update the jitter, once for each timestamp.  The packets of a video frame have one timestamp but leave as a
    /// burst, which is not the network's doing.
    fn measure_jitter(&mut self, timestamp: u32, now: f64) {
        let transit = now * self.clock_rate - f64::from(timestamp);
        // Both clocks count modulo 2^32; their difference is small.
        let half = TIMESTAMPS / 2.0;
        let change = ((transit - self.transit + half).rem_euclid(TIMESTAMPS) - half).abs();
        self.transit = transit;
        if change < MAX_PAUSE * self.clock_rate {
            self.jitter += (change - self.jitter) / 16.0;
        }
    }

    /// Packets that the sender sent, as far as we know (appendix A.3).
    pub fn expected(&self) -> i64 {
        if self.packets == 0 { 0 } else { self.highest_sequence - self.base + 1 }
    }

    /// Packets that are missing; negative with duplicates.
    pub fn lost(&self) -> i64 {
        self.expected() - self.packets as i64
    }

    /// Interarrival jitter in timestamp units (appendix A.8).
    pub fn jitter(&self) -> u64 {
        self.jitter as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(stats: &mut ReceiveStats, sequence_numbers: &[i64]) -> Vec<i64> {
        let arrive = |&number: &i64| stats.on_packet(number as u16, number as u32 * 960, 100, number as f64 * 0.02);
        sequence_numbers.iter().map(arrive).collect()
    }

    #[test]
    fn nothing_is_expected_before_the_first_packet() {
        let stats = ReceiveStats::new(48000);
        assert_eq!((stats.packets, stats.expected(), stats.lost(), stats.last_at), (0, 0, 0, None));
    }

    #[test]
    fn a_missing_packet_is_lost_until_it_comes_late() {
        let mut stats = ReceiveStats::new(48000);
        receive(&mut stats, &[10, 11, 14]);
        assert_eq!((stats.expected(), stats.lost()), (5, 2));
        assert_eq!(receive(&mut stats, &[12]), [12]);
        assert_eq!((stats.expected(), stats.lost(), stats.bytes), (5, 1, 400));
    }

    #[test]
    fn a_late_number_lies_between_the_first_and_the_newest_packet() {
        let mut stats = ReceiveStats::new(48000);
        assert_eq!(stats.extend_late(10), None);
        receive(&mut stats, &[65534, 65538]);
        let late = [65533, 65534, 65535, 0, 1, 2, 3, 32770].map(|number| stats.extend_late(number));
        assert_eq!(late, [None, Some(65534), Some(65535), Some(65536), Some(65537), None, None, None]);
        assert_eq!((stats.packets, stats.lost()), (2, 3));
    }

    #[test]
    fn more_packets_than_expected_are_a_negative_loss() {
        let mut stats = ReceiveStats::new(48000);
        receive(&mut stats, &[10, 10, 11]);
        assert_eq!(stats.lost(), -1);
    }

    #[test]
    fn a_stream_begins_with_the_packet_that_its_first_packets_overtook() {
        let mut stats = ReceiveStats::new(48000);
        assert_eq!(stats.lowest_sequence(), None);
        receive(&mut stats, &[10, 7, 11]);
        assert_eq!((stats.lowest_sequence(), stats.expected(), stats.lost()), (Some(7), 5, 2));
        assert_eq!(stats.extend_late(8), Some(8));
        receive(&mut stats, &[7 + MAX_OVERTAKEN, 6]);
        assert_eq!(stats.lowest_sequence(), Some(7), "this one comes too late");
        let mut wraps = ReceiveStats::new(48000);
        receive(&mut wraps, &[1, 65535]);
        assert_eq!((wraps.lowest_sequence(), wraps.expected()), (Some(-1), 3));
    }

    #[test]
    fn a_late_sequence_number_belongs_to_the_cycle_before() {
        let mut stats = ReceiveStats::new(48000);
        assert_eq!(receive(&mut stats, &[65534, 65536, 65535, 65537]), [65534, 65536, 65535, 65537]);
        assert_eq!((stats.highest_sequence, stats.expected(), stats.lost()), (65537, 4, 0));
    }

    #[test]
    fn a_jump_of_thousands_of_numbers_loses_none_of_them() {
        let mut stats = ReceiveStats::new(48000);
        receive(&mut stats, &[10, 11, 11 + 3000]);
        assert_eq!((stats.highest_sequence, stats.expected(), stats.lost()), (3011, 3, 0));
        receive(&mut stats, &[3012, 3012 + 2999]);
        assert_eq!(stats.lost(), 2998);
    }

    #[test]
    fn the_newest_packet_sets_the_timestamp() {
        let mut stats = ReceiveStats::new(48000);
        receive(&mut stats, &[10, 12, 11]);
        assert_eq!((stats.last_timestamp, stats.last_at), (12 * 960, Some(12.0 * 0.02)));
    }

    #[test]
    fn jitter_approaches_the_mean_deviation() {
        let mut stats = ReceiveStats::new(48000);
        for number in 0..500u16 {
            let late = if number % 2 == 1 { 0.005 } else { 0.0 };
            stats.on_packet(number, u32::from(number) * 960, 100, f64::from(number) * 0.02 + late);
        }
        assert!([239, 240].contains(&stats.jitter()));
    }

    #[test]
    fn wrapping_bursts_and_rests_of_an_even_stream_are_no_jitter() {
        let mut wraps = ReceiveStats::new(48000);
        for number in 0..100u16 {
            let timestamp = (u32::MAX - 48000).wrapping_add(u32::from(number) * 960);
            wraps.on_packet(number, timestamp, 100, f64::from(number) * 0.02);
        }
        let mut bursts = ReceiveStats::new(90000);
        for number in 0..100u16 {
            let (frame, part) = (number / 5, number % 5);
            bursts.on_packet(number, u32::from(frame) * 3000, 9, f64::from(frame) / 30.0 + f64::from(part) * 0.004);
        }
        let mut rests = ReceiveStats::new(48000);
        rests.on_packet(1, 960, 100, 1.0);
        rests.on_packet(2, 1920, 100, 61.0);
        assert_eq!((wraps.jitter(), bursts.jitter(), rests.jitter()), (0, 0, 0));
    }
}
