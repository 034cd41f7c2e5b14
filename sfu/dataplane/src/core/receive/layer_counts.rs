//! The bytes and frames of each temporal layer of an encoding.

/// As many as a payload descriptor can name (VP9: three bits).
const LAYERS: usize = 8;

/// Counts what a receiver would get of an encoding, layer by layer.
#[derive(Clone, Debug, Default)]
pub struct LayerCounts {
    bytes: [u64; LAYERS],
    frames: [u64; LAYERS],
}

impl LayerCounts {
    /// Count a packet of `size` bytes: a whole plain packet.  The packet with the marker `ends` a frame.
    ///
    /// A stream without temporal layers is all in the lowest one.
    pub fn count(&mut self, temporal: Option<u8>, size: usize, ends: bool) {
        let layer = usize::from(temporal.unwrap_or(0)) % LAYERS;
        self.bytes[layer] += size as u64;
        self.frames[layer] += u64::from(ends);
    }

    /// The bytes of each layer, up to the highest one that came.
    pub fn bytes(&self) -> Vec<u64> {
        self.bytes[..self.layers()].to_vec()
    }

    /// The frames of each layer, up to the highest one that came.
    pub fn frames(&self) -> Vec<u64> {
        self.frames[..self.layers()].to_vec()
    }

    fn layers(&self) -> usize {
        self.bytes.iter().rposition(|&bytes| bytes > 0).map_or(0, |highest| highest + 1)
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
            counts.count(Some(temporal), size, ends);
        }
        assert_eq!((counts.bytes(), counts.frames()), (vec![1200, 0, 90], vec![1, 0, 1]));
    }

    #[test]
    fn a_stream_without_layers_is_all_in_the_lowest() {
        let mut counts = LayerCounts::default();
        counts.count(None, 100, true);
        counts.count(None, 50, true);
        assert_eq!((counts.bytes(), counts.frames()), (vec![150], vec![2]));
    }
}
