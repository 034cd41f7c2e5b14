//! The choice of the layers that a receiver gets.

use crate::core::wire::payload::{Frame, LayerIds};

const ALL_LAYERS: u8 = 7;
/// Changes that are remembered for packets that come late.
const MAX_CHANGES: usize = 4;

/// The highest layers were others before the packet with this number.
#[derive(Clone, Copy, Debug)]
struct Change {
    number: i64,
    former: LayerIds,
}

/// Lets the packets of the lower layers pass, and moves to other highest layers where no picture breaks.
///
/// All spatial layers up to the highest one pass, even where it does not depend on the others.  So the receiver can go
/// down at any picture, without a key frame.
#[derive(Debug)]
pub struct LayerFilter {
    target: LayerIds,
    current: LayerIds,
    /// The newest changes since the key frame that the receiver began with, the oldest first.
    changes: Vec<Change>,
}

impl LayerFilter {
    /// The highest layers to forward; `None` for all.
    pub fn new(spatial: Option<u8>, temporal: Option<u8>) -> Self {
        Self { target: target(spatial, temporal), current: LayerIds::default(), changes: Vec::new() }
    }

    /// Change the highest layers as soon as the stream allows it; `None` for all.
    pub fn set_target(&mut self, spatial: Option<u8>, temporal: Option<u8>) {
        self.target = target(spatial, temporal);
    }

    /// A key frame is next: every layer can begin there.
    pub fn begin(&mut self) {
        self.current = self.target;
        self.changes = Vec::new();
    }

    /// The highest layers that are forwarded now.
    pub fn current(&self) -> LayerIds {
        self.current
    }

    /// The highest layers that a key frame would bring.
    pub fn target(&self) -> LayerIds {
        self.target
    }

    /// Whether a key frame would bring more spatial layers, in a stream with these highest layers.
    pub fn rises(&self, top: LayerIds) -> bool {
        self.current.spatial < self.target.spatial.min(top.spatial)
    }

    /// Whether to forward a packet of this layer of the `frame`.  `number` is its extended sequence number.
    /// `ends_picture`: no packet of the picture follows.
    ///
    /// A frame depends on frames of its own and of lower layers.  So a layer can be dropped at the beginning of any
    /// picture.  A spatial layer can be added only at a key frame.  A temporal layer can also be added at a frame that
    /// depends on lower layers alone (`sync`).  A frame with `switch_up` promises that the next frames are like that,
    /// so the temporal layers can be added behind it: behind the last frame of its picture that the receiver gets.
    ///
    /// A packet that comes late (not `newest`) changes nothing.  The other packets of its frame may have passed already,
    /// so the highest layers of their time decide.  A frame would break if its first packet came late and was dropped.
    pub fn takes(&mut self, frame: &Frame, layer: LayerIds, number: i64, newest: bool, ends_picture: bool) -> bool {
        if !newest {
            return self.at(number).covers(layer);
        }
        if frame.begins {
            let before = self.current;
            if frame.key {
                self.change(self.target, number);
            } else if !self.target.covers(before) {
                self.change(self.target.min(before), number);
            } else if frame.sync && before.temporal < layer.temporal && layer.temporal <= self.target.temporal {
                self.change(LayerIds { temporal: layer.temporal, ..before }, number);
            }
        }
        let takes = self.current.covers(layer);
        if takes && frame.switch_up && (ends_picture || self.ends_for_receiver(frame, layer, number)) {
            self.change(LayerIds { temporal: self.current.temporal.max(self.target.temporal), ..self.current }, number);
        }
        takes
    }

    /// Whether the receiver gets no more of the picture behind this packet, because the frames of higher spatial layers
    /// are left out.
    pub fn ends_for_receiver(&self, frame: &Frame, layer: LayerIds, number: i64) -> bool {
        frame.ends && layer.spatial == self.at(number).spatial
    }

    /// The highest layers when the packet with this number should have come.
    fn at(&self, number: i64) -> LayerIds {
        self.changes.iter().find(|change| number < change.number).map_or(self.current, |change| change.former)
    }

    fn change(&mut self, to: LayerIds, number: i64) {
        if to != self.current {
            if self.changes.len() == MAX_CHANGES {
                self.changes.remove(0);
            }
            self.changes.push(Change { number, former: self.current });
            self.current = to;
        }
    }
}

fn target(spatial: Option<u8>, temporal: Option<u8>) -> LayerIds {
    LayerIds { spatial: spatial.unwrap_or(ALL_LAYERS), temporal: temporal.unwrap_or(ALL_LAYERS) }
}

#[cfg(test)]
mod tests;
