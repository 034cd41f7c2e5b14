//! How long packets wait in a queue on the way.

use crate::core::receive::windowed_minimum::WindowedMinimum;

/// The least delay of this time, in seconds, is that of an empty queue.
const BASE_WINDOW: f64 = 15.0;
/// A queue that grows by less between two feedbacks does not grow, in seconds.
const GROWS: f64 = 0.002;
/// A delay that changes by less than this for so long is no queue: the path has become longer.  In seconds.
const FLAT: f64 = 0.005;
const FLAT_TIME: f64 = 2.0;

/// The delay of the fastest packets, compared with the fastest of a longer time.
///
/// Jitter delays some packets, a queue delays all.  So the fastest packet of two feedbacks tells them apart.
#[derive(Debug)]
pub struct QueueDelay {
    base: WindowedMinimum,
    newest: f64,
    before: f64,
    long_before: f64,
    /// Since when the delay is flat, and its least and greatest value since then.
    flat: Option<(f64, f64, f64)>,
}

impl Default for QueueDelay {
    fn default() -> Self {
        let [newest, before, long_before] = [f64::INFINITY; 3];
        Self { base: WindowedMinimum::new(BASE_WINDOW), newest, before, long_before, flat: None }
    }
}

impl QueueDelay {
    /// The least delay of the packets in one feedback, in seconds from the send time to the receiver's time.
    ///
    /// `lossless`: the path loses next to nothing, so that no queue is full.  `competes`: another flow keeps the queue
    /// from emptying, so that the least delay of a long time is not that of an empty queue.
    pub fn add(&mut self, delay: f64, lossless: bool, competes: bool, now: f64) {
        let (since, least, most) = self.flat.unwrap_or((now, delay, delay));
        let (least, most) = (least.min(delay), most.max(delay));
        let is_flat = lossless && most - least <= FLAT;
        self.flat = Some(if is_flat { (since, least, most) } else { (now, delay, delay) });
        if is_flat && !competes && now - since >= FLAT_TIME {
            self.base = WindowedMinimum::new(BASE_WINDOW);
            self.flat = None;
        }
        if !competes || self.above_base(delay) == 0.0 {
            self.base.add(delay, now);
        }
        (self.long_before, self.before, self.newest) = (self.before, self.newest, delay);
    }

    /// The delay of the packets in the newest feedback, in seconds.
    pub fn newest(&self) -> f64 {
        self.above_base(self.newest)
    }

    /// The delay of the fastest packet in the two newest feedbacks, in seconds.
    pub fn standing(&self) -> f64 {
        self.above_base(self.newest.min(self.before))
    }

    /// Whether the fastest packets of the newest feedback took longer than those of the one before.
    pub fn grows(&self) -> bool {
        self.newest > self.before + GROWS
    }

    /// How much longer the fastest packets take than those of two feedbacks before, in seconds.
    pub fn growth(&self) -> f64 {
        if self.long_before.is_finite() { self.newest - self.long_before } else { 0.0 }
    }

    fn above_base(&self, delay: f64) -> f64 {
        self.base.get().filter(|_| delay.is_finite()).map_or(0.0, |base| (delay - base).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_delays_all_packets_is_a_queue() {
        let mut queue = QueueDelay::default();
        assert_eq!((queue.newest(), queue.standing()), (0.0, 0.0));
        queue.add(7.0, true, false, 0.0);
        queue.add(7.25, true, false, 0.1);
        assert_eq!((queue.newest(), queue.standing(), queue.growth()), (0.25, 0.0, 0.0));
        queue.add(7.125, true, false, 0.2);
        assert_eq!((queue.newest(), queue.standing(), queue.growth()), (0.125, 0.125, 0.125));
    }

    #[test]
    fn a_longer_path_is_no_queue() {
        let mut queue = QueueDelay::default();
        queue.add(7.0, true, false, 0.0);
        (0..15).for_each(|step| queue.add(7.5, true, false, 1.0 + 0.125 * f64::from(step)));
        assert_eq!(queue.standing(), 0.5);
        (15..20).for_each(|step| queue.add(7.5, true, false, 1.0 + 0.125 * f64::from(step)));
        assert_eq!(queue.standing(), 0.0);
        (0..100).for_each(|step| queue.add(9.0, false, false, 9.0 + 0.125 * f64::from(step)));
        assert_eq!(queue.standing(), 1.5, "it is full");
    }
}
