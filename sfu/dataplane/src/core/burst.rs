//! What waits to leave to one receiver: a frame's packets come in a burst, and leave as one.

use super::table::ConsumerKey;

const MAX_RUN_BYTES: usize = 65_000; // a datagram is at most 65,535 with its headers, and so is a segmented send
const MAX_BYTES_KEPT: usize = 32 * 1024; // several frames; a key frame's memory is given back

/// Enough to count a datagram of a consumer when it has left.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// Nothing of it leaves once it is gone.
    pub consumer: ConsumerKey,
    /// Of the sealed packet.
    pub size: u16,
    /// Of the whole plain packet.
    pub plain: u16,
    /// Of its payload without padding; 0 for a report.
    pub payload: u16,
}

/// Sealed packets, one behind the other.
#[derive(Debug)]
pub struct Burst {
    /// The packets.
    pub bytes: Vec<u8>,
    receipts: Vec<Receipt>,
    /// Whose receivers are to be told the clock when this leaves.
    pub reporting: Vec<ConsumerKey>,
    due: f64,
}

impl Default for Burst {
    fn default() -> Self {
        Self { bytes: Vec::new(), receipts: Vec::new(), reporting: Vec::new(), due: f64::INFINITY }
    }
}

impl Burst {
    /// The newest bytes are a packet that must leave by `due`, in seconds.
    pub fn push(&mut self, receipt: Receipt, due: f64) {
        self.receipts.push(receipt);
        self.due = self.due.min(due);
    }

    /// A sealed report, which leaves with the rest.
    pub fn push_report(&mut self, consumer: ConsumerKey, report: &[u8]) {
        self.bytes.extend_from_slice(report);
        self.receipts.push(Receipt { consumer, size: report.len() as u16, plain: 0, payload: 0 });
    }

    /// When it must leave, in seconds.
    pub fn due(&self) -> f64 {
        self.due
    }

    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// All has left; the memory is kept for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(MAX_BYTES_KEPT);
        self.receipts.clear();
        self.reporting.clear();
        self.due = f64::INFINITY;
    }

    /// Cut into runs that can leave with one segmented send: all of a size but the last, which may be smaller.
    ///
    /// What `wanted` refuses is left out.  At least one packet, and at most `max_segments`, is in a run.
    pub fn runs(
        &self,
        max_segments: usize,
        mut wanted: impl FnMut(&Receipt) -> bool,
        mut take: impl FnMut(&[u8], &[Receipt]),
    ) {
        let (mut index, mut start) = (0, 0);
        while index < self.receipts.len() {
            let segment = usize::from(self.receipts[index].size);
            if !wanted(&self.receipts[index]) {
                index += 1;
                start += segment;
                continue;
            }
            let (mut last, mut end) = (index + 1, start + segment);
            while last < self.receipts.len() && last - index < max_segments {
                let size = usize::from(self.receipts[last].size);
                if size > segment || end + size - start > MAX_RUN_BYTES || !wanted(&self.receipts[last]) {
                    break;
                }
                last += 1;
                end += size;
                if size < segment {
                    break;
                }
            }
            take(&self.bytes[start..end], &self.receipts[index..last]);
            (index, start) = (last, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    fn burst(sizes: &[u16]) -> (Burst, Vec<ConsumerKey>) {
        let mut consumers: SlotMap<ConsumerKey, ()> = SlotMap::with_key();
        let mut burst = Burst::default();
        let mut keys = Vec::new();
        for &size in sizes {
            let consumer = consumers.insert(());
            keys.push(consumer);
            burst.bytes.extend(std::iter::repeat_n(keys.len() as u8, usize::from(size)));
            burst.push(Receipt { consumer, size, plain: size, payload: size }, 1.0);
        }
        (burst, keys)
    }

    fn sizes(burst: &Burst, max_segments: usize, wanted: impl FnMut(&Receipt) -> bool) -> Vec<Vec<u16>> {
        let mut runs = Vec::new();
        burst.runs(max_segments, wanted, |bytes, receipts| {
            assert_eq!(bytes.len(), receipts.iter().map(|receipt| usize::from(receipt.size)).sum::<usize>());
            runs.push(receipts.iter().map(|receipt| receipt.size).collect());
        });
        runs
    }

    #[test]
    fn a_run_is_of_one_size_but_its_last() {
        let (burst, _) = burst(&[9, 9, 9, 4, 4, 7, 7, 8]);
        assert_eq!(sizes(&burst, 64, |_| true), [vec![9, 9, 9, 4], vec![4], vec![7, 7], vec![8]]);
    }

    #[test]
    fn a_run_has_no_more_segments_than_can_be_sent() {
        let (burst, _) = burst(&[9; 5]);
        assert_eq!(sizes(&burst, 2, |_| true), [vec![9, 9], vec![9, 9], vec![9]]);
        assert_eq!(sizes(&burst, 1, |_| true).len(), 5);
        let (large, _) = self::burst(&[1400; 100]);
        assert_eq!(sizes(&large, 64, |_| true), [vec![1400; 46], vec![1400; 46], vec![1400; 8]]);
    }

    #[test]
    fn what_is_not_wanted_is_left_out_and_divides_a_run() {
        let (burst, keys) = burst(&[9, 9, 9, 9]);
        let gone = keys[1];
        let mut first = Vec::new();
        burst.runs(64, |receipt| receipt.consumer != gone, |bytes, _| first.push(bytes.to_vec()));
        assert_eq!(first, [vec![1; 9], [vec![3; 9], vec![4; 9]].concat()]);
    }

    #[test]
    fn it_is_due_with_the_first_that_is_and_empty_when_cleared() {
        let (mut burst, keys) = burst(&[9]);
        burst.push(Receipt { consumer: keys[0], size: 0, plain: 0, payload: 0 }, 0.5);
        assert_eq!((burst.due(), burst.is_empty()), (0.5, false));
        burst.clear();
        assert_eq!((burst.due(), burst.is_empty()), (f64::INFINITY, true));
    }
}
