//! How often the audio to one client is repeated (RFC 2198), by the signs of loss on its path.

use crate::core::send::receiver_bandwidth::Room;

const TRIAL: f64 = 10.0; // seconds: browsers report about audio every 2.5 to 7.5 s
const HOLD: f64 = 25.0; // seconds: three reports about audio at least
// Seconds on a path that is too narrow for all video.  Our own video causes most losses there, until it takes less.
const NARROW_HOLD: f64 = 3.0;
const LIGHT: f64 = 0.0075; // share of packets: 2/256, the smallest share that single losses do not reach
const HEAVY: f64 = 0.03; // two packets in a row are lost once in 1,000 packets
const STILL_HEAVY: f64 = 0.015;
const MIN_LOST: i32 = 2; // packets: one alone is no sign of more
const NACK_INTERVAL: f64 = 2.0; // seconds in which a request for a second packet makes a sign

/// How many earlier payloads each audio packet to a client repeats.
///
/// A path without loss gets nothing twice, except at the beginning: no report has come then, and speech that is lost
/// does not come back.  A client that takes no redundant payloads gets whole packets twice, but only after a sign of
/// loss, as they cost more.
#[derive(Debug, Default)]
pub struct AudioRedundancy {
    /// When the first packet left, in seconds; `None` before that.
    began_at: Option<f64>,
    /// When the newest sign of loss came, in seconds; `None` before the first.
    lost_at: Option<f64>,
    /// When the newest sign of heavy loss came, in seconds.
    heavy_at: Option<f64>,
    /// The last packet that the receiver asked for again, and when it first did, in seconds.
    asked: Option<(AskedPacket, f64)>,
}

/// The SSRC and the sequence number of a packet.
pub type AskedPacket = (u32, u16);

impl AudioRedundancy {
    /// How many earlier payloads to repeat in a packet that leaves at `now` (seconds).
    ///
    pub fn depth(&mut self, room: Room, now: f64) -> usize {
        let trial = now < *self.began_at.get_or_insert(now) + TRIAL && room != Room::Tight;
        if holds(self.heavy_at, room, now) { 2 } else { usize::from(trial || holds(self.lost_at, room, now)) }
    }

    /// Whether a whole packet that leaves at `now` (seconds) is sent twice to a client without redundant payloads.
    pub fn repeats(&self, room: Room, now: f64) -> bool {
        holds(self.lost_at, room, now)
    }

    /// The client lost this share of packets (0 to 1), and this number of them, since its last report.
    pub fn on_report(&mut self, share: f64, lost: i32, now: f64) {
        let is_light = lost >= MIN_LOST && share >= LIGHT;
        let repeats = self.began_at.is_some_and(|at| now < at + TRIAL) || holds(self.lost_at, Room::Wide, now);
        if is_light || (lost > 0 && repeats) {
            self.lost_at = Some(now);
        }
        let limit = if holds(self.heavy_at, Room::Wide, now) { STILL_HEAVY } else { HEAVY };
        if lost >= MIN_LOST && share >= limit {
            self.heavy_at = Some(now);
        }
    }

    /// The client asks for packets that were sent, `newest` the last of them.  Such requests come long before the next
    /// report.
    ///
    /// Browsers repeat a request until the packet comes, so only the request for another packet counts.
    pub fn on_nack(&mut self, newest: AskedPacket, now: f64) {
        let before = self.asked.filter(|(_, at)| now - at < NACK_INTERVAL);
        if before.is_some_and(|(asked, _)| asked == newest) {
            return;
        }
        self.asked = Some((newest, now));
        if before.is_some() {
            self.lost_at = Some(now);
        }
    }
}

/// Whether a sign of loss at this time still counts at `now`, in seconds.
fn holds(sign: Option<f64>, room: Room, now: f64) -> bool {
    let hold = match room {
        Room::Wide => HOLD,
        Room::Narrow => NARROW_HOLD,
        Room::Tight => 0.0,
    };
    sign.is_some_and(|at| now < at + hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the trial, without a sign of loss.
    fn quiet() -> AudioRedundancy {
        let mut redundancy = AudioRedundancy::default();
        assert_eq!(redundancy.depth(Room::Wide, 0.0), 1);
        assert_eq!(redundancy.depth(Room::Wide, TRIAL), 0);
        redundancy
    }

    #[test]
    fn the_first_seconds_are_repeated_once() {
        let mut redundancy = AudioRedundancy::default();
        assert_eq!([100.0, 109.9, 110.0].map(|now| redundancy.depth(Room::Wide, now)), [1, 1, 0]);
    }

    #[test]
    fn a_report_of_loss_switches_it_on_until_nothing_was_lost_for_a_while() {
        let mut redundancy = quiet();
        redundancy.on_report(0.01, 3, 50.0);
        assert_eq!([50.0, 74.9, 75.0].map(|now| redundancy.depth(Room::Wide, now)), [1, 1, 0]);
        redundancy.on_report(0.05, 12, 80.0);
        assert_eq!(redundancy.depth(Room::Wide, 80.0), 2);
        // A single loss keeps it on, but not at twice.
        redundancy.on_report(0.004, 1, 100.0);
        assert_eq!([104.9, 105.0, 124.9, 125.0].map(|now| redundancy.depth(Room::Wide, now)), [2, 1, 1, 0]);
    }

    #[test]
    fn on_a_narrow_path_it_ends_soon_after_the_last_sign_of_loss() {
        let mut redundancy = quiet();
        redundancy.on_report(0.2, 30, 50.0);
        assert_eq!([50.0, 52.9, 53.0].map(|now| redundancy.depth(Room::Narrow, now)), [2, 2, 0]);
        assert_eq!([52.9, 53.0].map(|now| redundancy.repeats(Room::Narrow, now)), [true, false]);
        assert_eq!((redundancy.depth(Room::Tight, 50.1), redundancy.repeats(Room::Tight, 50.1)), (0, false));
        assert_eq!(redundancy.depth(Room::Wide, 53.0), 2, "the path is wide again");
        assert_eq!(AudioRedundancy::default().depth(Room::Tight, 1.0), 0, "not even at the beginning");
    }

    #[test]
    fn a_single_lost_packet_switches_nothing_on() {
        let mut redundancy = quiet();
        redundancy.on_report(0.02, 1, 50.0);
        redundancy.on_report(0.004, 5, 50.0);
        [50.0, 50.1, 50.2, 51.9].iter().for_each(|&now| redundancy.on_nack((7, 1), now));
        redundancy.on_nack((7, 2), 52.0);
        assert_eq!(redundancy.depth(Room::Wide, 52.0), 0);
    }

    #[test]
    fn requests_for_two_packets_switch_it_on_before_the_first_report() {
        let mut redundancy = quiet();
        redundancy.on_nack((7, 1), 50.0);
        redundancy.on_nack((7, 2), 50.1);
        assert_eq!([50.1, 75.0, 75.1].map(|now| redundancy.depth(Room::Wide, now)), [1, 1, 0]);
    }

    #[test]
    fn whole_packets_are_repeated_only_after_a_sign_of_loss() {
        let mut redundancy = AudioRedundancy::default();
        assert_eq!((redundancy.depth(Room::Wide, 0.0), redundancy.repeats(Room::Wide, 0.0)), (1, false));
        let mut quiet = AudioRedundancy::default();
        quiet.on_report(0.01, 1, 3.0);
        assert!(!quiet.repeats(Room::Wide, 3.0));
        quiet.on_report(0.01, 2, 6.0);
        // Twice the packets hide nearly all losses.  One that is left shows that the others are still needed.
        quiet.on_report(0.004, 1, 20.0);
        assert_eq!([6.0, 44.9, 45.0].map(|now| quiet.repeats(Room::Wide, now)), [true, true, false]);
    }

    #[test]
    fn heavy_loss_does_not_flap() {
        let mut redundancy = quiet();
        redundancy.on_report(0.05, 9, 50.0);
        redundancy.on_report(0.02, 5, 70.0);
        assert_eq!(redundancy.depth(Room::Wide, 94.9), 2);
        redundancy.on_report(0.014, 5, 94.9);
        assert_eq!([95.0, 119.8, 119.9].map(|now| redundancy.depth(Room::Wide, now)), [1, 1, 0]);
    }
}
