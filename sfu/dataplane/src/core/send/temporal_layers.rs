//! The choice of the temporal layers that a receiver gets.

use crate::core::wire::payload::Frame;

const ALL_LAYERS: u8 = 7;
/// Changes that are remembered for packets that come late.
const MAX_CHANGES: usize = 4;

/// The highest layer was another one before the packet with this number.
#[derive(Clone, Copy, Debug)]
struct Change {
    number: i64,
    former: u8,
}

/// Lets the packets of the lower layers pass, and moves to another highest layer where no picture breaks.
#[derive(Debug)]
pub struct TemporalLayers {
    target: u8,
    current: u8,
    /// The newest changes since the key frame that the receiver began with, the oldest first.
    changes: Vec<Change>,
}

impl TemporalLayers {
    /// The highest layer to forward; `None` for all.
    pub fn new(target: Option<u8>) -> Self {
        Self { target: target.unwrap_or(ALL_LAYERS), current: 0, changes: Vec::new() }
    }

    /// Change the highest layer as soon as the stream allows it; `None` for all.
    pub fn set_target(&mut self, target: Option<u8>) {
        self.target = target.unwrap_or(ALL_LAYERS);
    }

    /// A key frame is next: every layer can begin there.
    pub fn begin(&mut self) {
        self.current = self.target;
        self.changes = Vec::new();
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
    pub fn takes(&mut self, frame: &Frame, layer: u8, number: i64, newest: bool) -> bool {
        if !newest {
            return layer <= self.at(number);
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

    /// The highest layer when the packet with this number should have come.
    fn at(&self, number: i64) -> u8 {
        self.changes.iter().find(|change| number < change.number).map_or(self.current, |change| change.former)
    }

    fn change(&mut self, to: u8, number: i64) {
        if to != self.current {
            if self.changes.len() == MAX_CHANGES {
                self.changes.remove(0);
            }
            self.changes.push(Change { number, former: self.current });
            self.current = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next packet in order.
    fn takes(layers: &mut TemporalLayers, frame: Frame, layer: u8) -> bool {
        layers.takes(&frame, layer, 0, true)
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
        assert!(layers.takes(&BEGINS, 2, 10, true));
        layers.set_target(Some(0));
        assert!(layers.takes(&BEGINS, 2, 8, false), "the first packet of a frame whose others have passed");
        assert_eq!(layers.current(), 2, "it changes nothing");
        assert!(!layers.takes(&BEGINS, 2, 12, true));
        assert!(layers.takes(&BEGINS, 2, 11, false));
        assert!(!layers.takes(&BEGINS, 2, 13, false));
    }

    #[test]
    fn a_late_packet_finds_its_layer_behind_several_changes() {
        let mut layers = started(Some(2));
        let sync = Frame { sync: true, ..BEGINS };
        for (number, target) in [(10, 0), (20, 2), (30, 1), (40, 0), (50, 2)] {
            layers.set_target(Some(target));
            layers.takes(if target == 2 { &sync } else { &BEGINS }, target, number, true);
            assert_eq!(layers.current(), target);
        }
        let expected = [(15, 0), (20, 2), (29, 2), (35, 1), (40, 0), (49, 0), (50, 2), (60, 2)];
        assert_eq!(expected.map(|(number, _)| layers.at(number)), expected.map(|(_, layer)| layer));
        assert_eq!(layers.changes.len(), MAX_CHANGES);
        layers.begin();
        assert_eq!(layers.changes.len(), 0);
    }
}
