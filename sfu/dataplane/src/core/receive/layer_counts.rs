//! The bytes and frames of each layer of an encoding.

use crate::core::wire::payload::LayerIds;

/// As many of each sort as a payload descriptor can name (VP9: three bits).
const LAYERS: u8 = 8;

/// The bytes and the frames of one layer.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    bytes: u64,
    frames: u64,
}

/// Counts what a receiver would get of an encoding, layer by layer.
///
/// A layer's index is eight times its spatial layer, and its temporal layer.
#[derive(Clone, Debug, Default)]
pub struct LayerCounts(Vec<Count>);

impl LayerCounts {
    /// Count a packet of `size` bytes: a whole plain packet.  `ends`: it is the last one of a frame.
    ///
    /// A stream without layers is all in the lowest one.
    pub fn count(&mut self, layer: Option<LayerIds>, size: usize, ends: bool) {
        let LayerIds { spatial, temporal } = layer.unwrap_or_default();
        let index = usize::from(spatial % LAYERS * LAYERS + temporal % LAYERS);
        if index >= self.0.len() {
            self.0.resize(index + 1, Count::default());
        }
        let count = &mut self.0[index];
        count.bytes += size as u64;
        count.frames += u64::from(ends);
    }

    /// The bytes of each layer, up to the highest one that came.
    pub fn bytes(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.bytes).collect()
    }

    /// The frames of each layer, up to the highest one that came.
    pub fn frames(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.frames).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_came_yet() {
        let counts = LayerCounts::default();
        assert_eq!((counts.bytes(), counts.frames()), (vec![], vec![]));
    }

    #[test]
    fn each_layer_counts_its_own_packets_and_the_frames_that_they_end() {
        let mut counts = LayerCounts::default();
        for (temporal, size, ends) in [(0, 1000, false), (0, 200, true), (2, 90, true)] {
            counts.count(Some(LayerIds { spatial: 0, temporal }), size, ends);
        }
        assert_eq!((counts.bytes(), counts.frames()), (vec![1200, 0, 90], vec![1, 0, 1]));
        counts.count(Some(LayerIds { spatial: 1, temporal: 1 }), 700, true);
        assert_eq!(counts.bytes(), [1200, 0, 90, 0, 0, 0, 0, 0, 0, 700]);
    }

    #[test]
    fn a_stream_without_layers_is_all_in_the_lowest() {
        let mut counts = LayerCounts::default();
        counts.count(None, 100, true);
        counts.count(None, 50, true);
        assert_eq!((counts.bytes(), counts.frames()), (vec![150], vec![2]));
    }
}
