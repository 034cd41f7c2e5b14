//! The H.264 parameter sets that a consumer sent by itself, kept for a receiver that misses them.

/// Parameter sets that were sent before a key frame without them, each in a packet of its own.
///
/// No packet of the publisher stands behind their numbers, so the packet store does not have them.
#[derive(Debug)]
pub struct SentParameterSets {
    /// The index of the first one.  The others follow.
    pub first_index: u64,
    /// The router's payload type.
    pub payload_type: u8,
    /// The timestamp under which they were sent.
    pub timestamp: u32,
    /// Whole NAL units.
    pub units: Box<[Vec<u8>]>,
}

impl SentParameterSets {
    /// The parameter set that was sent with this index.
    pub fn get(&self, index: u64) -> Option<&[u8]> {
        let place = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.units.get(place).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_set_has_the_index_behind_the_one_before() {
        let units = Box::new([b"sps".to_vec(), b"pps".to_vec()]);
        let sent = SentParameterSets { first_index: 7, payload_type: 105, timestamp: 0, units };
        assert_eq!([6, 7, 8, 9].map(|index| sent.get(index)), [None, Some(&b"sps"[..]), Some(b"pps"), None]);
    }
}
