//! One consumer's retransmissions (RFC 4588): their sequence numbers, and which packets were sent again.

use std::collections::VecDeque;

use crate::core::interface::drop_reason::DropReason;

/// A packet is sent again this often at most.  Three times were too few: at 10 % loss, one packet in 10,000 was never
/// repaired, and each of them freezes the picture until a key frame.
const MOST: u8 = 5;
/// Seconds between two retransmissions of a packet while the round trip is unknown.
const ROUND_TRIP_UNKNOWN: f64 = 0.02;
/// A receiver asks again after at most this many seconds, however long the round trip is.
const LONGEST_PAUSE: f64 = 0.1;
/// A request that repeats an answered one comes a round trip after the answer.  Jitter may bring it this much earlier,
/// as a share of the round trip.  Without this tolerance, the receiver would wait for another round trip.
const JITTER: f64 = 0.25;
/// The share of the known round trip after which a first request may come.
const SOONEST: f64 = 0.25;
/// The most resent packets that are remembered: as many as a packet store keeps.
const MAX_RESENT: usize = 512;
/// The highest first sequence number: half of all, so that no packet before the first rollover is taken for one
/// behind it (RFC 3711 section 3.3.1).
const MAX_FIRST: u32 = 0x7FFF;

/// A packet that was sent again.
#[derive(Clone, Copy, Debug)]
struct Resent {
    /// The index with which it was sent first.
    index: u64,
    /// When it was last sent, in seconds.
    at: f64,
    times: u8,
}

/// The packets that a receiver asked for, and those that it got.  All are totals.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResendCounts {
    /// Packets that the receiver asked for.
    pub requested: u64,
    /// Packets that left again.
    pub resent: u64,
    /// Their bytes: whole plain packets.
    pub resent_bytes: u64,
    /// Packets that were asked for and did not leave again.
    pub not_resent: u64,
}

/// Numbers the retransmissions to one receiver, and limits them for each packet.
///
/// Retransmissions have an SSRC of their own, so that no index is sealed twice with different bytes (RFC 7714 section
/// 8.1).  Their index only rises, and lasts as long as the consumer.
#[derive(Debug)]
pub struct Resender {
    pub counts: ResendCounts,
    next_index: u64,
    /// In rising order of the index.
    resent: VecDeque<Resent>,
}

impl Resender {
    /// Nothing was sent again yet.  The first sequence number is derived from the SSRC, which is random.
    pub fn new(rtx_ssrc: u32) -> Self {
        Self {
            counts: ResendCounts::default(),
            next_index: u64::from(rtx_ssrc % MAX_FIRST) + 1,
            resent: VecDeque::new(),
        }
    }

    /// The consumer begins anew: no packet from before is sent again.
    pub fn begin(&mut self) {
        self.resent = VecDeque::new();
    }

    /// Whether the packet that was first sent with this index may be sent again at `now`.
    ///
    /// `oldest` is the oldest index that can still be asked for.  Times are in seconds.
    pub fn check(&mut self, index: u64, oldest: u64, round_trip: Option<f64>, now: f64) -> Result<(), DropReason> {
        while self.resent.front().is_some_and(|first| first.index < oldest) {
            self.resent.pop_front();
        }
        let Ok(place) = self.resent.binary_search_by_key(&index, |one| one.index) else {
            return if self.resent.len() < MAX_RESENT { Ok(()) } else { Err(DropReason::TooManyNacks) };
        };
        let Resent { at, times, .. } = self.resent[place];
        let pause = round_trip.map_or(ROUND_TRIP_UNKNOWN, |trip| shortest_trip(Some(trip)));
        match () {
            () if times >= MOST => Err(DropReason::ResendTooOften),
            () if now - at < pause => Err(DropReason::ResendTooSoon),
            () => Ok(()),
        }
    }

    /// The packet with this index is sent again at `now`, in seconds.  Gives the index of the retransmission.
    pub fn record(&mut self, index: u64, now: f64) -> u64 {
        match self.resent.binary_search_by_key(&index, |one| one.index) {
            Ok(place) => {
                self.resent[place].at = now;
                self.resent[place].times = self.resent[place].times.saturating_add(1);
            }
            Err(place) => self.resent.insert(place, Resent { index, at: now, times: 1 }),
        }
        self.take_index()
    }

    /// The index of the next packet with the SSRC of retransmissions.
    pub fn take_index(&mut self) -> u64 {
        self.next_index += 1;
        self.next_index - 1
    }
}

/// The shortest time from sending a packet to the first request for it, in seconds; 0 if unknown.
///
/// The known round trip has the receiver's own delays in it.  A receiver that asks at the gap itself is sooner, and if it
/// were refused, it would ask again only after some 100 ms.
pub fn first_trip(round_trip: Option<f64>) -> f64 {
    shortest_trip(round_trip.map(|trip| SOONEST * trip))
}

/// The shortest time from sending a packet again to a request that can be a reaction to it, in seconds; 0 if unknown.
fn shortest_trip(round_trip: Option<f64>) -> f64 {
    round_trip.map_or(0.0, |trip| (trip * (1.0 - JITTER)).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const TRIP: Option<f64> = Some(0.05);

    fn resend(resender: &mut Resender, index: u64, now: f64) -> Result<u64, DropReason> {
        resender.check(index, 0, TRIP, now).map(|()| resender.record(index, now))
    }

    #[test]
    fn a_packet_is_sent_again_five_times_with_about_a_round_trip_between() {
        let mut resender = Resender::new(7);
        for (now, expected) in [
            (1.0, Ok(8)),
            (1.01, Err(DropReason::ResendTooSoon)),
            (1.04, Ok(9)),
            (1.08, Ok(10)),
            (1.12, Ok(11)),
            (1.16, Ok(12)),
            (2.0, Err(DropReason::ResendTooOften)),
        ] {
            assert_eq!(resend(&mut resender, 5, now), expected);
        }
        assert_eq!(resend(&mut resender, 4, 2.0), Ok(13));
        resender.begin();
        assert_eq!(resend(&mut resender, 5, 2.0), Ok(14), "it is another packet");
    }

    #[test]
    fn the_pause_between_two_resends_is_bounded() {
        for (round_trip, pause) in [(None, 0.02), (Some(0.04), 0.03), (Some(4.0), 0.1), (Some(0.0), 0.0)] {
            let mut resender = Resender::new(7);
            resender.record(5, 1.0);
            assert_eq!(resender.check(5, 0, round_trip, 1.0 + pause + 0.001), Ok(()));
            if pause > 0.0 {
                let early = resender.check(5, 0, round_trip, 1.0 + pause - 0.001);
                assert_eq!(early, Err(DropReason::ResendTooSoon));
            }
        }
    }

    #[test]
    fn the_memory_of_resends_is_bounded_and_follows_the_stream() {
        let mut resender = Resender::new(7);
        for index in 0..600 {
            let allowed = resend(&mut resender, index, 1.0);
            assert_eq!(allowed.is_ok(), index < MAX_RESENT as u64, "{index}");
        }
        assert_eq!(resender.check(600, 100, TRIP, 1.0), Ok(()));
        assert_eq!(resender.resent.len(), MAX_RESENT - 100);
    }

    #[test]
    fn every_retransmission_has_an_index_of_its_own() {
        for ssrc in [0, 1, MAX_FIRST - 1, MAX_FIRST, u32::MAX] {
            let mut resender = Resender::new(ssrc);
            let first = resender.next_index;
            assert!((1..=u64::from(MAX_FIRST)).contains(&first));
            let given: BTreeSet<u64> = (0..100_000).map(|step| resender.record(step % 50, 0.0 + step as f64)).collect();
            assert_eq!((given.len(), given.first().copied()), (100_000, Some(first)));
        }
    }
}
