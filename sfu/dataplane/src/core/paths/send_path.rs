//! What leaves: bursts to their receivers, and how they are counted.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::Drop;
use crate::core::paths::consent_path::Answer;
use crate::core::send::batch::{Burst, Waiting};
use crate::core::srtp::Srtp;
use crate::core::table::{ConsumerKey, TransportKey};
use crate::core::wire::address::Path;

/// Enough to count a datagram of a consumer when it has left.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    consumer: ConsumerKey,
    /// Of the sealed packet.
    size: usize,
    /// Of the whole plain packet; 0 for a report.
    plain: usize,
    /// Of its payload without padding.
    payload: usize,
}

impl Receipt {
    /// For a packet that is sent with this size, which may be more than it had.
    fn of(packet: &Waiting, size: usize) -> Self {
        let plain = if packet.seal.is_some() { usize::from(packet.plain) + size - usize::from(packet.size) } else { 0 };
        Self { consumer: packet.consumer, size, plain, payload: usize::from(packet.payload) }
    }
}

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
        let (mut sent, mut memory) = (std::mem::take(&mut self.outcomes), std::mem::take(&mut self.padded));
        self.each_due(now, |core, path, srtp, burst| {
            burst.runs(
                max_segments,
                |packet| core.may_leave(packet),
                |mut run| {
                    let segment = run.segment;
                    let outcome = send(path, run.seal(srtp, &mut memory), segment).err();
                    sent.extend(run.sizes().map(|(packet, size)| (Receipt::of(packet, size), outcome)));
                },
            );
        });
        for (receipt, outcome) in sent.drain(..) {
            self.settle_media(&receipt, outcome);
        }
        (self.outcomes, self.padded) = (sent, memory);
    }

    /// What is due at `now`, one by one, for a shell that sends by itself and calls [`Core::settle`] for each.
    pub fn drain(&mut self, now: f64) -> Vec<Leaving> {
        let answers = self.take_answers().into_iter();
        let mut leaving: Vec<Leaving> =
            answers.map(|Answer { path, datagram, .. }| Leaving { path, datagram, receipt: None }).collect();
        self.each_due(now, |core, path, srtp, burst| {
            burst.runs(
                1,
                |packet| core.may_leave(packet),
                |mut run| {
                    let receipt = run.sizes().next().map(|(packet, size)| Receipt::of(packet, size));
                    leaving.push(Leaving { path, datagram: run.seal(srtp, &mut Vec::new()).to_vec(), receipt });
                },
            );
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
        self.count_sent(receipt.size);
        let media = receipt.plain > 0;
        if let Some(consumer) = self.consumers.get_mut(receipt.consumer).filter(|_| media) {
            consumer.packets += 1;
            consumer.bytes += receipt.plain as u64;
            consumer.octets += receipt.payload as u64;
        }
    }

    /// Count a datagram that left, with its size in bytes.
    pub fn count_sent(&mut self, size: usize) {
        self.packets_out += 1;
        self.bytes_out += size as u64;
    }

    /// What a consumer that is gone, or whose producer is, has waiting in a burst stays there.
    fn may_leave(&self, packet: &Waiting) -> bool {
        self.consumers.get(packet.consumer).is_some_and(|consumer| consumer.producer.is_some())
    }

    fn each_due(&mut self, now: f64, mut each: impl FnMut(&Self, Path, &Srtp, &mut Burst)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|&key| {
            if self.transports.get(key).is_some_and(|transport| transport.burst.due() > now) {
                return true;
            }
            self.empty(key, now, &mut each);
            false
        });
        self.dirty = dirty;
    }

    /// Let everything leave that waits for this transport's receiver.
    fn empty(&mut self, key: TransportKey, now: f64, mut each: impl FnMut(&Self, Path, &Srtp, &mut Burst)) {
        let Some(path) = self.transports.get(key).map(|transport| transport.send_path) else { return };
        if path.is_some() {
            self.add_reports(key, now);
        }
        let mut burst = std::mem::take(&mut self.transports[key].burst);
        if let (Some(path), Some(srtp)) = (path, &self.transports[key].srtp) {
            each(self, path, srtp, &mut burst);
        }
        burst.clear();
        self.transports[key].burst = burst;
    }
}
