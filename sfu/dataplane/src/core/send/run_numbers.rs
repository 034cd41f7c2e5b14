//! Transport-wide sequence numbers of packets that leave together.

use crate::core::bandwidth::{BandwidthEstimator, PacketKind};

/// Gives the packets of one run their numbers.  All of them leave at one time.
#[derive(Debug)]
pub struct RunNumbers<'a> {
    estimator: &'a mut BandwidthEstimator,
    now: f64,
    /// The first number, once there is one.
    first: Option<u16>,
    count: usize,
}

impl<'a> RunNumbers<'a> {
    /// For packets that leave at `now`, in seconds.
    pub fn new(estimator: &'a mut BandwidthEstimator, now: f64) -> Self {
        Self { estimator, now, first: None, count: 0 }
    }

    /// The number of the next packet, which is sent with `size` bytes.
    pub fn take(&mut self, size: usize, kind: PacketKind) -> u16 {
        let number = self.estimator.record(size, kind, self.now);
        self.first.get_or_insert(number);
        self.count += 1;
        number
    }

    /// The first number that was taken.
    pub fn first(&self) -> Option<u16> {
        self.first
    }

    /// The socket did not take the packets, so their loss says nothing about the path.
    pub fn mark_unsent(self) {
        if let Some(first) = self.first {
            self.estimator.mark_unsent(first, self.count);
        }
    }
}
