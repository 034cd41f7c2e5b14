//! The choice of the temporal layers that a receiver gets.

use crate::core::wire::payload::Frame;

const ALL_LAYERS: u8 = 7;

/// Lets the packets of the lower layers pass, and moves to another highest layer where no picture breaks.
#[derive(Debug)]
pub struct TemporalLayers {
    target: u8,
    current: u8,
    /// The highest layer before the last change.
    former: u8,
    /// The number of the first packet since the last change.
    changed_at: i64,
}

impl TemporalLayers {
    /// The highest layer to forward; `None` for all.
    pub fn new(target: Option<u8>) -> Self {
        Self { target: target.unwrap_or(ALL_LAYERS), current: 0, former: 0, changed_at: i64::MIN }
    }

    /// Change the highest layer as soon as the stream allows it; `None` for all.
    pub fn set_target(&mut self, target: Option<u8>) {
        self.target = target.unwrap_or(ALL_LAYERS);
    }

    /// A key frame is next: every layer can begin there.
    pub fn begin(&mut self) {
        (self.current, self.changed_at) = (self.target, i64::MIN);
    }

    /// The highest layer that is forwarded now.
    pub fn current(&self) -> u8 {
        self.current
    }

    /// Whether to forward a packet of this layer.  `number` is its extended sequence number.
    ///
    /// A frame depends on frames of its own and of lower layers.  So a layer can be dropped at the beginning of any
    /// frame.  It can be added only at a key frame, or at a frame that depends on lower layers alone (`sync`).  A frame
    /// with `switch_up` promises that the next frames are like that, so the layers can be added behind it.
    ///
    /// A packet that comes late (not `newest`) changes nothing.  The other packets of its frame may have passed already,
    /// so the highest layer of their time decides.  A frame would break if its first packet came late and was dropped.
    pub fn takes(&mut self, frame: Frame, layer: u8, number: i64, newest: bool) -> bool {
        if !newest {
            return layer <= if number < self.changed_at { self.former } else { self.current };
        }
        let before = self.current;
        if frame.begins {
            if frame.key || self.target < before {
                self.change(self.target, number);
            } else if frame.sync && before < layer && layer <= self.target {
                self.change(layer, number);
            }
        }
        let takes = layer <= self.current;
        if takes && frame.switch_up && self.current < self.target {
            self.change(self.target, number);
        }
        takes
    }

    fn change(&mut self, to: u8, number: i64) {
        if to != self.current {
            (self.former, self.current, self.changed_at) = (self.current, to, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next packet in order.
    fn takes(layers: &mut TemporalLayers, frame: Frame, layer: u8) -> bool {
        layers.takes(frame, layer, 0, true)
    }

    fn started(target: Option<u8>) -> TemporalLayers {
        let mut layers = TemporalLayers::new(target);
        layers.begin();
        layers
    }

    const BEGINS: Frame = Frame {
        begins: true,
        key: false,
        slice: false,
        parameters: false,
        temporal: None,
        sync: false,
        switch_up: false,
        picture: None,
        tl0: None,
    };

    #[test]
    fn a_lower_target_takes_effect_at_the_next_frame() {
        let mut layers = started(Some(2));
        layers.set_target(Some(0));
        assert!(takes(&mut layers, Frame { begins: false, ..BEGINS }, 2), "the rest of the frame that has begun");
        assert!(!takes(&mut layers, BEGINS, 2));
        assert_eq!(layers.current(), 0);
    }

    #[test]
    fn a_higher_target_waits_for_a_frame_that_depends_on_lower_layers_alone() {
        let mut layers = started(Some(0));
        layers.set_target(Some(1));
        assert!(!takes(&mut layers, BEGINS, 1));
        assert!(!takes(&mut layers, Frame { sync: true, ..BEGINS }, 2), "above the target");
        assert!(takes(&mut layers, Frame { sync: true, ..BEGINS }, 1));
        assert_eq!(layers.current(), 1);
    }

    #[test]
    fn a_key_frame_and_a_promise_reach_the_target_at_once() {
        let mut layers = started(Some(0));
        layers.set_target(None);
        assert!(takes(&mut layers, Frame { switch_up: true, ..BEGINS }, 0));
        assert!(takes(&mut layers, BEGINS, 3));
        let mut layers = started(Some(0));
        layers.set_target(Some(2));
        assert!(takes(&mut layers, Frame { key: true, ..BEGINS }, 2));
    }

    #[test]
    fn a_late_packet_is_treated_like_the_rest_of_its_frame() {
        let mut layers = started(Some(2));
        assert!(layers.takes(BEGINS, 2, 10, true));
        layers.set_target(Some(0));
        assert!(layers.takes(BEGINS, 2, 8, false), "the first packet of a frame whose others have passed");
        assert_eq!(layers.current(), 2, "it changes nothing");
        assert!(!layers.takes(BEGINS, 2, 12, true));
        assert!(layers.takes(BEGINS, 2, 11, false));
        assert!(!layers.takes(BEGINS, 2, 13, false));
    }
}
