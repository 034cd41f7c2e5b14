//! What leaves: bursts to their receivers, and how they are counted.

use super::Core;
use super::address::Path;
use super::burst::{Burst, Receipt};
use super::drops::Drop;

/// A datagram that is to be sent by itself, and then settled.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Leaving {
    pub path: Path,
    pub datagram: Vec<u8>,
    pub receipt: Receipt,
}

impl Core {
    /// Send what is due at `now`, in seconds.
    ///
    /// `send` gets where to, the bytes and the size of a segment: all segments but the last, which may be smaller, have
    /// it, and there are at most `max_segments`.  It says why they could not be sent.
    pub fn flush(
        &mut self,
        now: f64,
        max_segments: usize,
        mut send: impl FnMut(Path, &[u8], usize) -> Result<(), Drop>,
    ) {
        self.each_due(now, |core, path, burst| {
            let mut sent = Vec::new();
            std::mem::swap(&mut sent, &mut core.outcomes);
            let wanted = |receipt: &Receipt| core.may_leave(receipt);
            burst.runs(max_segments, wanted, |bytes, receipts| {
                let outcome = send(path, bytes, usize::from(receipts[0].size)).err();
                sent.extend(receipts.iter().map(|receipt| (*receipt, outcome)));
            });
            for (receipt, outcome) in sent.drain(..) {
                core.settle(&receipt, outcome);
            }
            core.outcomes = sent;
        });
    }

    /// Everything that waits, one by one, for a shell that sends by itself and calls [`Core::settle`] for each.
    pub fn drain(&mut self) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        self.each_due(f64::INFINITY, |core, path, burst| {
            let wanted = |receipt: &Receipt| core.may_leave(receipt);
            burst.runs(1, wanted, |bytes, receipts| {
                leaving.push(Leaving { path, datagram: bytes.to_vec(), receipt: receipts[0] });
            });
        });
        leaving
    }

    /// When [`Core::flush`] has something to do next, in seconds.
    pub fn next_flush(&self) -> Option<f64> {
        let dues = self.dirty.iter().filter_map(|&key| self.transports.get(key)).map(|transport| transport.burst.due());
        dues.min_by(f64::total_cmp)
    }

    /// Count a datagram of a consumer that was sent, or was not.
    pub fn settle(&mut self, receipt: &Receipt, refused: Option<Drop>) {
        if let Some(reason) = refused {
            self.drops.count(reason);
            return;
        }
        self.count_sent(usize::from(receipt.size));
        if let Some(consumer) = self.consumers.get_mut(receipt.consumer) {
            consumer.packets += 1;
            consumer.bytes += u64::from(receipt.plain);
            consumer.octets += u64::from(receipt.payload);
        }
    }

    /// Count a datagram that left, with its size in bytes.
    pub fn count_sent(&mut self, size: usize) {
        self.packets_out += 1;
        self.bytes_out += size as u64;
    }

    /// What a consumer that is gone, or whose producer is, has waiting in a burst stays there.
    fn may_leave(&self, receipt: &Receipt) -> bool {
        self.consumers.get(receipt.consumer).is_some_and(|consumer| consumer.producer.is_some())
    }

    fn each_due(&mut self, now: f64, mut each: impl FnMut(&mut Self, Path, &Burst)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|&key| {
            let Some(transport) = self.transports.get_mut(key) else { return false };
            if transport.burst.due() > now {
                return true;
            }
            let mut burst = std::mem::take(&mut transport.burst);
            if let Some(path) = transport.send_path {
                each(self, path, &burst);
            }
            burst.clear();
            self.transports[key].burst = burst;
            false
        });
        self.dirty = dirty;
    }
}
