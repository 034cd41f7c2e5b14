//! What leaves: bursts to their receivers, and how they are counted.

use super::Core;
use super::address::Path;
use super::burst::{Burst, Receipt};
use super::consent::Answer;
use super::drops::Drop;

/// A datagram that is to be sent by itself, and then settled.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Leaving {
    pub path: Path,
    pub datagram: Vec<u8>,
    /// Of a consumer's.
    pub receipt: Option<Receipt>,
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
        for answer in self.take_answers() {
            match send(answer.path, &answer.datagram, answer.datagram.len()) {
                Ok(()) => self.count_sent(answer.datagram.len()),
                Err(reason) => self.drops.count(reason),
            }
        }
        self.each_due(now, |core, path, burst| {
            let mut sent = Vec::new();
            std::mem::swap(&mut sent, &mut core.outcomes);
            let wanted = |receipt: &Receipt| core.may_leave(receipt);
            burst.runs(max_segments, wanted, |bytes, receipts| {
                let outcome = send(path, bytes, usize::from(receipts[0].size)).err();
                sent.extend(receipts.iter().map(|receipt| (*receipt, outcome)));
            });
            for (receipt, outcome) in sent.drain(..) {
                core.settle_media(&receipt, outcome);
            }
            core.outcomes = sent;
        });
    }

    /// What is due at `now`, one by one, for a shell that sends by itself and calls [`Core::settle`] for each.
    pub fn drain(&mut self, now: f64) -> Vec<Leaving> {
        let answers = self.take_answers().into_iter();
        let mut leaving: Vec<Leaving> =
            answers.map(|Answer { path, datagram, .. }| Leaving { path, datagram, receipt: None }).collect();
        self.each_due(now, |core, path, burst| {
            let wanted = |receipt: &Receipt| core.may_leave(receipt);
            burst.runs(1, wanted, |bytes, receipts| {
                leaving.push(Leaving { path, datagram: bytes.to_vec(), receipt: Some(receipts[0]) });
            });
        });
        leaving
    }

    /// Answers to transports that are still there.
    fn take_answers(&mut self) -> Vec<Answer> {
        let mut answers = std::mem::take(&mut self.answers);
        answers.retain(|answer| self.transports.get(answer.transport).is_some());
        answers
    }

    /// When [`Core::flush`] has something to send next, in seconds.
    pub fn next_flush(&self) -> Option<f64> {
        let dues = self.dirty.iter().filter_map(|&key| self.transports.get(key)).map(|transport| transport.burst.due());
        dues.min_by(f64::total_cmp)
    }

    /// Count a datagram that was sent, or was not.
    pub fn settle(&mut self, leaving: &Leaving, refused: Option<Drop>) {
        match (&leaving.receipt, refused) {
            (Some(receipt), refused) => self.settle_media(receipt, refused),
            (None, Some(reason)) => self.drops.count(reason),
            (None, None) => self.count_sent(leaving.datagram.len()),
        }
    }

    /// The same for one of a consumer's: media, or a report about it.
    fn settle_media(&mut self, receipt: &Receipt, refused: Option<Drop>) {
        if let Some(reason) = refused {
            self.drops.count(reason);
            return;
        }
        self.count_sent(usize::from(receipt.size));
        let media = receipt.payload > 0;
        if let Some(consumer) = self.consumers.get_mut(receipt.consumer).filter(|_| media) {
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
            let path = transport.send_path;
            if path.is_some() {
                self.add_reports(key, now);
            }
            let mut burst = std::mem::take(&mut self.transports[key].burst);
            if let Some(path) = path {
                each(self, path, &burst);
            }
            burst.clear();
            self.transports[key].burst = burst;
            false
        });
        self.dirty = dirty;
    }
}
