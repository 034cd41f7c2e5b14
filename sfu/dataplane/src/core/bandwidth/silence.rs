//! Whether feedback comes at all.

/// Seconds of sending without feedback after which the estimate is worth nothing.
const BLIND: f64 = 2.0;
/// Seconds after which the estimate falls, and between two steps.
const FALL: f64 = 3.0;
const STEP: f64 = 1.0;

/// What a deadline showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Fine,
    /// We send, and no feedback comes.
    Blind,
    /// It has come before, and does not come for longer: the path may be full.
    Fall,
}

/// Watches for feedback while there is something to watch.
#[derive(Debug)]
pub struct Silence {
    /// When the first packet without feedback left, in seconds.
    unanswered_since: Option<f64>,
    /// There was feedback once.
    heard: bool,
    blind: bool,
    said_blind: bool,
    fell: bool,
    due: f64,
}

impl Default for Silence {
    fn default() -> Self {
        Self { unanswered_since: None, heard: false, blind: false, said_blind: false, fell: false, due: f64::INFINITY }
    }
}

impl Silence {
    /// A packet leaves.
    pub fn on_sent(&mut self, now: f64) {
        if self.unanswered_since.is_none() {
            self.unanswered_since = Some(now);
        }
    }

    /// Whether [`Verdict::Blind`] was given, and no feedback has come since.
    pub fn said_blind(&self) -> bool {
        self.said_blind
    }

    /// Feedback came.  Returns whether the estimate fell without it.
    pub fn on_feedback(&mut self, now: f64) -> bool {
        let fell = self.fell;
        *self = Self { heard: true, due: if self.due.is_finite() { now + BLIND } else { self.due }, ..Self::default() };
        fell
    }

    /// Watch, or not.
    pub fn watch(&mut self, watch: bool, now: f64) {
        match (watch, self.due.is_finite()) {
            (true, false) => self.due = now + BLIND,
            (false, _) => *self = Self { heard: self.heard, said_blind: self.said_blind, ..Self::default() },
            _ => {}
        }
    }

    /// When to call `check`; infinite if never.
    pub fn due(&self) -> f64 {
        self.due
    }

    /// Look at the clock.
    pub fn check(&mut self, now: f64) -> Verdict {
        if now < self.due {
            return Verdict::Fine;
        }
        let Some(since) = self.unanswered_since.filter(|since| now - since >= BLIND) else {
            self.due = self.unanswered_since.unwrap_or(now) + BLIND;
            return Verdict::Fine;
        };
        if !self.blind {
            (self.blind, self.said_blind) = (true, true);
            self.due = since + FALL;
            return Verdict::Blind;
        }
        self.due = now + STEP;
        if !self.heard {
            return Verdict::Fine; // the estimate never was worth more
        }
        self.fell = true;
        Verdict::Fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(silence: &mut Silence, until: f64) -> Vec<(f64, Verdict)> {
        let mut seen = Vec::new();
        while silence.due() <= until {
            let at = silence.due();
            seen.push((at, silence.check(at)));
            assert!(silence.due() > at);
        }
        seen.retain(|(_, verdict)| *verdict != Verdict::Fine);
        seen
    }

    #[test]
    fn a_receiver_that_never_answers_is_blind_once() {
        let mut silence = Silence::default();
        silence.watch(true, 0.0);
        silence.on_sent(1.0);
        assert!(!silence.said_blind());
        assert_eq!(verdicts(&mut silence, 20.0), [(3.0, Verdict::Blind)]);
        silence.watch(false, 20.0);
        assert!(silence.said_blind());
        silence.on_feedback(21.0);
        assert!(!silence.said_blind());
    }

    #[test]
    fn the_estimate_falls_when_feedback_ends() {
        let mut silence = Silence::default();
        silence.watch(true, 0.0);
        silence.on_sent(0.5);
        assert!(!silence.on_feedback(1.0));
        silence.on_sent(1.0);
        let expected = [(3.0, Verdict::Blind), (4.0, Verdict::Fall), (5.0, Verdict::Fall)];
        assert_eq!(verdicts(&mut silence, 5.5), expected);
        assert!(silence.on_feedback(5.6));
        assert_eq!(verdicts(&mut silence, 20.0), [], "nothing was sent");
        silence.watch(false, 20.0);
        silence.on_sent(20.0);
        assert_eq!(silence.due(), f64::INFINITY);
    }
}
