//! How long the packets of an encoding are kept to be sent again.

/// No packet is kept for longer, in seconds.  A picture that is a second old helps no receiver.
const LONGEST: f64 = 1.0;
/// Seconds beside the round trips: until the receiver sees the gap, and until it sends its next request.
const MARGIN: f64 = 0.045;
/// The round trip that is assumed before a receiver's handshake has shown one, in seconds.
const ROUND_TRIP_UNKNOWN: f64 = 0.1;
/// For this long after a request, packets are kept for the longest time.  In seconds.
const ALERT: f64 = 10.0;
/// The share of a round trip that is forgotten in a second, so that a receiver that has left does not count for long.
const FORGOTTEN: f64 = 0.1;
/// A pause that divides two bursts of packets, in seconds.
const PAUSE: f64 = 0.01;
/// The part of a burst that is kept over the pause behind it, in seconds.
const BURST: f64 = 0.02;

/// Decides from when on packets are kept.
///
/// A packet may be asked for twice, so it is kept for two round trips.  More time is worth its memory only where
/// packets are lost.
#[derive(Debug)]
pub struct Retention {
    /// The longest round trip to a receiver lately, and when it was reported.
    round_trip: Option<(f64, f64)>,
    /// When a receiver last asked for a packet, in seconds.
    asked_at: f64,
    /// When the newest packet came, in seconds.
    newest_at: f64,
    /// When the newest burst of packets began, in seconds.
    burst_at: f64,
    /// When the last packet of the burst before it came, in seconds.
    pause_from: f64,
}

impl Default for Retention {
    fn default() -> Self {
        let never = f64::NEG_INFINITY;
        Self { round_trip: None, asked_at: never, newest_at: never, burst_at: never, pause_from: never }
    }
}

impl Retention {
    /// A packet came at `now`, in seconds.
    pub fn on_packet(&mut self, now: f64) {
        if now - self.newest_at >= PAUSE {
            self.pause_from = self.newest_at;
            self.burst_at = now;
        }
        self.newest_at = now;
    }

    /// A receiver reported a round trip at `now`, both in seconds.
    pub fn on_round_trip(&mut self, trip: f64, now: f64) {
        let kept = self.round_trip.map_or(0.0, |(longest, at)| longest * (1.0 - FORGOTTEN * (now - at)));
        self.round_trip = Some((trip.max(kept), now));
    }

    /// A receiver asked for a packet at `now`, in seconds.
    pub fn on_request(&mut self, now: f64) {
        self.asked_at = now;
    }

    /// Whether the stream has been silent for so long that nobody asks for its packets any more.
    pub fn is_silent(&self, now: f64) -> bool {
        now - self.newest_at > 2.0 * LONGEST
    }

    /// The time from which on packets are kept, in seconds.  Earlier ones may go.
    ///
    /// The burst before the newest one stays however long the pause between both was.  A receiver learns only from the
    /// newest burst that the end of the one before is missing.
    pub fn keep_since(&self, now: f64) -> f64 {
        let trip = self.round_trip.map_or(ROUND_TRIP_UNKNOWN, |(longest, _)| longest);
        let hold = if now - self.asked_at < ALERT { LONGEST } else { (2.0 * trip + MARGIN).min(LONGEST) };
        let since = now - hold;
        if self.burst_at < since { since } else { since.min(self.pause_from - BURST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream without pauses, up to second 100.
    fn flowing() -> Retention {
        let mut retention = Retention::default();
        (18_000..=20_000).for_each(|tick| retention.on_packet(f64::from(tick) * 0.005));
        retention
    }

    fn kept(retention: &Retention, now: f64) -> f64 {
        ((now - retention.keep_since(now)) * 1000.0).round() / 1000.0
    }

    #[test]
    fn packets_are_kept_for_two_round_trips_of_the_farthest_receiver() {
        let mut retention = flowing();
        assert_eq!(kept(&retention, 100.0), 0.245);
        for (trip, expected) in [(0.01, 0.065), (0.15, 0.345), (0.05, 0.345), (9.0, 1.0)] {
            retention.on_round_trip(trip, 100.0);
            assert_eq!(kept(&retention, 100.0), expected);
        }
    }

    #[test]
    fn a_receiver_that_reports_no_more_is_forgotten() {
        let mut retention = flowing();
        retention.on_round_trip(0.3, 100.0);
        (1..100).for_each(|second| retention.on_round_trip(0.05, 100.0 + f64::from(second)));
        assert_eq!(kept(&retention, 199.0), 0.145);
    }

    #[test]
    fn a_request_keeps_packets_for_a_second_for_a_while() {
        let mut retention = flowing();
        retention.on_round_trip(0.02, 100.0);
        retention.on_request(100.0);
        assert_eq!([100.0, 109.9, 110.1].map(|now| kept(&retention, now)), [1.0, 1.0, 0.085]);
    }

    #[test]
    fn the_picture_before_the_newest_is_kept_however_slowly_they_come() {
        let mut retention = Retention::default();
        for picture in 0..5 {
            (0..3).for_each(|packet| retention.on_packet(f64::from(picture) * 2.0 + f64::from(packet) * 0.001));
        }
        assert!((5.9..6.0).contains(&retention.keep_since(8.0)));
        // The newest burst has lasted for long, so its receivers have seen that something is missing before it.
        (0..200).for_each(|packet| retention.on_packet(8.0 + f64::from(packet) * 0.005));
        assert_eq!(kept(&retention, 9.0), 0.245);
    }
}
