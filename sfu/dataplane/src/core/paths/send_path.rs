//! Sends batches to their receivers, and counts their packets.

use crate::core::bandwidth::BandwidthEstimator;
use crate::core::engine::table::Table;
use crate::core::engine::timers::Timer;
use crate::core::engine::{Core, OwnDatagram};
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::{ConsumerKey, TransportKey};
use crate::core::send::batch::SendBatch;
use crate::core::send::consumer::Consumer;
use crate::core::send::queued_packet::QueuedPacket;
use crate::core::send::run_numbers::RunNumbers;
use crate::core::send::transmit::{Departure, SendReceipt, Transmit};
use crate::core::srtp::Srtp;
use crate::core::transport::Transport;
use crate::core::wire::address::Path;

type Consumers = Table<ConsumerKey, Consumer>;

/// A batch on its way out.
struct Leaving<'a> {
    transport: TransportKey,
    consumers: &'a Consumers,
    path: Path,
    srtp: &'a Srtp,
    batch: &'a mut SendBatch,
    /// Where its packets take their numbers; `None` if none of them has a number.
    estimator: Option<&'a mut BandwidthEstimator>,
}

impl Core {
    /// Send everything that is due at `now`, in seconds.
    ///
    /// `send` gets the path, the bytes and the size of a segment.  All segments have that size but the last, which may
    /// be smaller; there are at most `max_segments`.  If it cannot send them, `send` returns the reason.
    pub fn flush(
        &mut self,
        now: f64,
        max_segments: usize,
        mut send: impl FnMut(Path, &[u8], usize) -> Result<(), DropReason>,
    ) {
        self.flush_departures(now, max_segments, || now, |one| send(one.path, one.bytes, one.segment));
    }

    /// Send everything that is due at `now`, like [`Core::flush`], and say which datagrams are those of a video.
    ///
    /// A flush to many receivers takes milliseconds.  So the time at which numbered packets leave comes from `clock`,
    /// once for each send.
    pub fn flush_departures(
        &mut self,
        now: f64,
        max_segments: usize,
        clock: impl Fn() -> f64,
        mut send: impl FnMut(&Departure<'_>) -> Result<(), DropReason>,
    ) {
        for OwnDatagram { path, datagram, .. } in self.take_own_datagrams(now) {
            match send(&Departure { path, bytes: &datagram, segment: datagram.len(), video: false }) {
                Ok(()) => self.count_sent(datagram.len()),
                Err(reason) => self.drops.count(reason),
            }
        }
        let mut outcomes = std::mem::take(&mut self.scratch.outcomes);
        let mut padded = std::mem::take(&mut self.scratch.padded);
        self.each_due(now, |Leaving { consumers, path, srtp, batch, mut estimator, .. }| {
            batch.runs(
                if path.is_stream() { 1 } else { max_segments },
                |packet| may_leave(consumers, packet),
                |mut run| {
                    let (segment, video) = (run.segment, run.begins_with_video());
                    let mut numbers = estimator.as_deref_mut().map(|estimator| RunNumbers::new(estimator, clock()));
                    let bytes = run.seal(srtp, numbers.as_mut(), &mut padded);
                    let outcome = send(&Departure { path, bytes, segment, video }).err();
                    if let Some(numbers) = numbers.filter(|_| outcome.is_some()) {
                        numbers.mark_unsent();
                    }
                    outcomes.extend(run.sizes().map(|(packet, size)| (SendReceipt::of(packet, size), outcome)));
                },
            );
        });
        for (receipt, outcome) in outcomes.drain(..) {
            self.record_receipt(&receipt, outcome);
        }
        (self.scratch.outcomes, self.scratch.padded) = (outcomes, padded);
    }

    /// Hand over every datagram that is due at `now`, for a shell that sends by itself.
    ///
    /// The shell calls [`Core::record_outcome`] for each of them.
    pub fn drain(&mut self, now: f64) -> Vec<Transmit> {
        let own = self.take_own_datagrams(now).into_iter();
        let mut transmits: Vec<Transmit> = own
            .map(|OwnDatagram { path, datagram, .. }| Transmit { path, datagram, receipt: None, number: None })
            .collect();
        self.each_due(now, |Leaving { transport, consumers, path, srtp, batch, mut estimator }| {
            batch.runs(
                1,
                |packet| may_leave(consumers, packet),
                |mut run| {
                    let receipt = run.sizes().next().map(|(packet, size)| SendReceipt::of(packet, size));
                    let mut numbers = estimator.as_deref_mut().map(|estimator| RunNumbers::new(estimator, now));
                    let datagram = run.seal(srtp, numbers.as_mut(), &mut Vec::new()).to_vec();
                    let number = numbers.and_then(|numbers| numbers.first()).map(|number| (transport, number));
                    transmits.push(Transmit { path, datagram, receipt, number });
                },
            );
        });
        transmits
    }

    /// Our own datagrams to transports that are still there, as far as their paths may be sent them.
    fn take_own_datagrams(&mut self, now: f64) -> Vec<OwnDatagram> {
        let mut own = std::mem::take(&mut self.own_datagrams);
        own.retain(|one| {
            let Some(transport) = self.transports.get_mut(one.transport) else { return false };
            let allowed = transport.paths.may_send(one.path, one.datagram.len(), now);
            self.drops.count_many(DropReason::UnprovenPath, usize::from(!allowed));
            allowed
        });
        own
    }

    /// Count a datagram as sent, or as dropped for the reason `refused`.
    pub fn record_outcome(&mut self, transmit: &Transmit, refused: Option<DropReason>) {
        if let Some((key, number)) = transmit.number.filter(|_| refused.is_some())
            && let Some(bandwidth) = self.transports.get_mut(key).and_then(|transport| transport.bandwidth.as_mut())
            && let Some(estimator) = bandwidth.existing()
        {
            estimator.mark_unsent(number, 1);
        }
        match (&transmit.receipt, refused) {
            (Some(receipt), refused) => self.record_receipt(receipt, refused),
            (None, Some(reason)) => self.drops.count(reason),
            (None, None) => self.count_sent(transmit.datagram.len()),
        }
    }

    /// Count a datagram of a consumer: media, or a sender report about it.
    fn record_receipt(&mut self, receipt: &SendReceipt, refused: Option<DropReason>) {
        if receipt.resent {
            self.record_resent(receipt, refused.is_none());
        }
        if let Some(reason) = refused {
            self.drops.count(reason);
            return;
        }
        self.count_sent(receipt.size as usize);
        let media = receipt.plain > 0 && !receipt.resent;
        if let Some(consumer) = self.consumers.get_mut(receipt.consumer).filter(|_| media) {
            consumer.packets += 1;
            consumer.bytes += u64::from(receipt.plain);
            consumer.octets += u64::from(receipt.payload);
        }
    }

    /// Count a packet that was sent before.  Sender reports do not count it: a retransmission has an SSRC of its own,
    /// and the same packet of audio counts once however often it leaves.
    fn record_resent(&mut self, receipt: &SendReceipt, left: bool) {
        let Some(consumer) = self.consumers.get_mut(receipt.consumer) else { return };
        self.traffic.resent += u64::from(left);
        let (packets, bytes) = if left { (1, u64::from(receipt.plain)) } else { (0, 0) };
        if let Some(resender) = consumer.resender() {
            resender.counts.resent += packets;
            resender.counts.resent_bytes += bytes;
            resender.counts.not_resent += u64::from(!left);
        } else {
            consumer.repeated = (consumer.repeated.0 + packets, consumer.repeated.1 + bytes);
        }
    }

    /// Count a datagram that left, with its size in bytes.
    pub fn count_sent(&mut self, size: usize) {
        self.traffic.packets_out += 1;
        self.traffic.bytes_out += size as u64;
    }

    /// Empty every batch that is due, and arm the timer for the others.
    fn each_due(&mut self, now: f64, mut each: impl FnMut(Leaving<'_>)) {
        if self.timers.deadline(Timer::Flush).is_none_or(|due| now < due) {
            return;
        }
        self.timers.disarm(Timer::Flush);
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|&key| {
            let Some(due) = self.transports.get(key).map(|transport| transport.batch.due()) else { return false };
            if due > now {
                self.timers.arm(Timer::Flush, due);
                return true;
            }
            self.empty_batch(key, now, &mut each);
            let due = self.transports[key].batch.due();
            if due.is_finite() {
                self.timers.arm(Timer::Flush, due);
            }
            due.is_finite()
        });
        self.dirty = dirty;
    }

    /// Let everything leave that waits for this transport's receiver.
    fn empty_batch(&mut self, key: TransportKey, now: f64, each: &mut impl FnMut(Leaving<'_>)) {
        let path = self.transports[key].paths.send_path();
        let pace = self.transports[key].pace();
        self.transports[key].batch.pace(pace, now);
        if path.is_some() {
            self.add_sender_reports(key, now);
        }
        let Self { transports, consumers, drops, .. } = self;
        let Transport { srtp, batch, bandwidth, round_trip, paths, .. } = &mut transports[key];
        if let Some(allowance) = paths.on_batch(now) {
            let refused = batch.keep_fitting(|packet| match packet.is_report() {
                true => allowance.take(packet.most_bytes()),
                false => allowance.take_media(packet.most_bytes()),
            });
            drops.count_many(DropReason::UnprovenPath, refused);
        }
        if let (Some(path), Some(srtp)) = (path, srtp) {
            let bandwidth = batch.is_numbered().then(|| bandwidth.get_or_insert_default());
            let estimator = bandwidth.map(|bandwidth| bandwidth.estimator(*round_trip, now));
            each(Leaving { transport: key, consumers, path, srtp, batch, estimator });
            batch.clear();
        } else {
            batch.discard();
        }
    }
}

/// Packets queued for a removed consumer, or from a removed producer, are discarded.
fn may_leave(consumers: &Consumers, packet: &QueuedPacket) -> bool {
    consumers.get(packet.consumer).is_some_and(|consumer| consumer.producer.is_some())
}
