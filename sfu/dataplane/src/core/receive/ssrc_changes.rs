//! A limit on how often an encoding changes its SSRC (RFC 8843 section 9.2).

const BURST: f64 = 100.0; // changes that may come together
const PER_SECOND: f64 = 1.0; // changes in the long run: each costs every receiver a key frame
const LATE: f64 = 1.0; // seconds for which packets with the former SSRC count as late, not as a change back

/// The SSRC changes of one encoding: a token bucket, and the last change.
#[derive(Clone, Copy, Debug)]
pub struct SsrcChanges {
    left: f64,
    last: Option<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    from: u32,
    at: f64,
}

impl Default for SsrcChanges {
    fn default() -> Self {
        Self { left: BURST, last: None }
    }
}

impl SsrcChanges {
    /// Whether the limit allows a change from one SSRC to another at `now` (seconds).  If so, the change is counted.
    pub fn allow(&mut self, from: u32, to: u32, now: f64) -> bool {
        let (mut left, mut late) = (self.left, false);
        if let Some(last) = self.last {
            left = BURST.min(left + (now - last.at) * PER_SECOND);
            late = last.from == to && now - last.at < LATE;
        }
        if late || left < 1.0 {
            return false;
        }
        *self = Self { left: left - 1.0, last: Some(Change { from, at: now }) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_does_not_change_the_ssrc_back() {
        let mut changes = SsrcChanges::default();
        assert!(changes.allow(1, 2, 0.0));
        assert!(!changes.allow(2, 1, 0.9));
        assert!(changes.allow(2, 3, 0.9));
        assert!(changes.allow(3, 1, 0.95));
        assert!(changes.allow(1, 3, 2.0));
    }

    #[test]
    fn endless_changes_are_limited_to_one_a_second() {
        let mut changes = SsrcChanges::default();
        let mut allowed = 0;
        for tick in 0..10_000u32 {
            allowed += u32::from(changes.allow(tick, tick + 1, f64::from(tick) / 100.0));
        }
        assert!((199..=200).contains(&allowed), "{allowed} changes in 100 s");
    }
}
