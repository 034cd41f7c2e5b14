//! The packets that are missing right before one that came, and where a repeated frame belongs among them.

/// Missing packets between two packets of one encoding that came.
///
/// A block of redundant audio (RFC 2198) says how much older its frame is, but not the number of the frame's packet.
/// The timestamps at both ends of the gap lead to the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many packets are missing.
    pub packets: i64,
    /// Timestamp units from the packet before the gap to the packet behind it.
    pub span: u32,
}

impl Gap {
    /// Whether a frame lies in the gap.  It is `offset` timestamp units older than the packet behind the gap.
    pub fn holds(self, offset: u16) -> bool {
        (1..self.span).contains(&u32::from(offset))
    }

    /// The number of the packet behind the gap, less the number of a frame in the gap; `None` where that is not certain.
    ///
    /// `known` frames in the gap are known, and this is the `nth` of them, from 1 for the newest.  If all frames are
    /// known, their order gives the number.  Otherwise the frames must be equally long, so that the time gives it.
    pub fn distance(self, offset: u16, nth: i64, known: i64) -> Option<i64> {
        if known == self.packets {
            return Some(nth);
        }
        let (offset, span, steps) = (i64::from(offset), i64::from(self.span), self.packets + 1);
        let frame = if span % steps == 0 { span / steps } else { return None };
        (offset % frame == 0).then_some(offset / frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_lies_in_the_gap_if_it_is_newer_than_the_packet_before() {
        let gap = Gap { packets: 2, span: 2880 };
        assert_eq!([0, 1, 2879, 2880, 16_383].map(|offset| gap.holds(offset)), [false, true, true, false, false]);
        assert!(!Gap { packets: 2, span: 0 }.holds(0));
    }

    #[test]
    fn equally_long_frames_are_found_by_their_time() {
        let gap = Gap { packets: 4, span: 4800 };
        for (offset, expected) in [(960, Some(1)), (1920, Some(2)), (3840, Some(4)), (961, None), (480, None)] {
            assert_eq!(gap.distance(offset, 1, 2), expected, "{offset}");
        }
    }

    #[test]
    fn frames_of_any_length_are_found_by_their_order_if_all_are_known() {
        let gap = Gap { packets: 2, span: 10_000 };
        assert_eq!([(960, 1), (9000, 2)].map(|(offset, nth)| gap.distance(offset, nth, 2)), [Some(1), Some(2)]);
        assert_eq!(gap.distance(960, 1, 1), None, "the other one may be newer");
    }

    #[test]
    fn a_gap_without_time_holds_nothing_and_divides_nothing() {
        let gap = Gap { packets: 3, span: 0 };
        assert!((0..=u16::MAX).all(|offset| !gap.holds(offset)));
    }
}
