//! A stream that goes on under another SSRC (RFC 8843 section 9.2): how often, and not back at once.

const BURST: f64 = 100.0; // moves that may come together
const PER_SECOND: f64 = 1.0; // in the long run: each costs every receiver a key frame
const LATE: f64 = 1.0; // seconds in which packets with the SSRC before come late, rather than begin anew

/// The moves of one encoding.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    left: f64,
    last: Option<Move>,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    from: u32,
    at: f64,
}

impl Default for Moves {
    fn default() -> Self {
        Self { left: BURST, last: None }
    }
}

impl Moves {
    /// Move away from an SSRC at `now` (seconds), to another; whether that may be.
    pub fn spend(&mut self, from: u32, to: u32, now: f64) -> bool {
        let (mut left, mut late) = (self.left, false);
        if let Some(last) = self.last {
            left = BURST.min(left + (now - last.at) * PER_SECOND);
            late = last.from == to && now - last.at < LATE;
        }
        if late || left < 1.0 {
            return false;
        }
        *self = Self { left: left - 1.0, last: Some(Move { from, at: now }) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_does_not_move_the_stream_back() {
        let mut moves = Moves::default();
        assert!(moves.spend(1, 2, 0.0));
        assert!(!moves.spend(2, 1, 0.9));
        assert!(moves.spend(2, 3, 0.9));
        assert!(moves.spend(3, 1, 0.95));
        assert!(moves.spend(1, 3, 2.0));
    }

    #[test]
    fn whoever_moves_without_end_moves_once_a_second() {
        let mut moves = Moves::default();
        let mut moved = 0;
        for tick in 0..10_000u32 {
            moved += u32::from(moves.spend(tick, tick + 1, f64::from(tick) / 100.0));
        }
        assert!((199..=200).contains(&moved), "{moved} moves in 100 s");
    }
}
