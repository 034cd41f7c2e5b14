//! Probes of the path to a receiver: packets that it has got already, or else padding.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::{ConsumerKey, ProducerKey, TransportKey};
use crate::core::paths::resend_path::read_again_untrusted;
use crate::core::send::queued_packet::Delivery;

/// The most bytes of one send.
const MOST_BYTES: usize = 60_000;
/// Packets, from the newest on, among which there are some to send again.
const NEWEST: u64 = 64;

impl Core {
    /// Queue so many bytes that only measure the path.  A receiver without retransmissions gets none.
    pub(in crate::core) fn send_probe(&mut self, key: TransportKey, bytes: usize, now: f64) {
        let Some(prober) = self.prober_of(key) else { return };
        let bytes = bytes.min(MOST_BYTES);
        let mut sent = self.probe_with_media(prober, bytes, now);
        while sent < bytes {
            let Some(size) = self.probe_with_padding(prober, now) else { break };
            sent += size;
        }
        self.traffic.probe_bytes += sent as u64;
        if let Some(bandwidth) = &mut self.transports[key].bandwidth {
            bandwidth.probe_bytes += sent as u64;
        }
    }

    /// The consumer whose retransmissions can carry a probe: the one that sent last, if there are several.
    pub(super) fn prober_of(&self, key: TransportKey) -> Option<(ConsumerKey, ProducerKey)> {
        let transport = &self.transports[key];
        if !transport.ready() {
            return None;
        }
        let able = transport.consumers.iter().filter_map(|&key| {
            let consumer = &self.consumers[key];
            let producer = consumer.producer?;
            let numbers = self.producers[producer].rewriters[consumer.rewriter].numbers();
            (numbers && consumer.resends()).then_some((key, producer))
        });
        let sent_at = |(key, _): &(ConsumerKey, ProducerKey)| {
            let consumer = &self.consumers[*key];
            consumer.timestamps.last_at.filter(|_| consumer.current.is_some()).unwrap_or(f64::NEG_INFINITY)
        };
        able.max_by(|one, other| sent_at(one).total_cmp(&sent_at(other)))
    }

    /// Send the newest packets once more, as retransmissions that nobody asked for.  Gives their bytes.
    ///
    /// If one of the packets was lost, this even repairs the loss.  Packets that are larger than what is left of the
    /// probe are passed over: on a narrow path, a few full packets would be a queue that delays sound.
    fn probe_with_media(&mut self, prober: (ConsumerKey, ProducerKey), bytes: usize, now: f64) -> usize {
        let Some(at) = self.source_of(prober.0) else { return 0 };
        // Take the store out of the core meanwhile, because the packets in it stay borrowed.
        let Some(store) = self.producers[at.producer].encodings[at.index].store.take() else { return 0 };
        let mut elements = std::mem::take(&mut self.scratch.elements);
        let (mut sent, newest) = (0, self.consumers[prober.0].sealed.highest());
        for index in (newest.saturating_sub(NEWEST)..=newest).rev() {
            if sent >= bytes {
                break;
            }
            let incoming = self.consumers[prober.0].incoming_of(index);
            let stored = incoming.and_then(|incoming| store.get(incoming));
            let Some(stored) = stored.filter(|stored| stored.plain.len() <= bytes - sent) else { continue };
            let appended = self.append_rtx(prober, Delivery::Probe, now, |consumer, producer, paper| {
                let packet = read_again_untrusted(producer, at.index, &stored, &mut elements, paper.serial);
                let packet = packet.ok_or(DropReason::ResendNotStored)?;
                let rewriter = &mut producer.rewriters[consumer.rewriter];
                consumer.rewrite_again(index, &packet, rewriter, paper.room, paper.out, None)
            });
            sent += appended.unwrap_or(0);
        }
        self.scratch.elements = elements;
        self.producers[at.producer].encodings[at.index].store = Some(store);
        sent
    }

    /// Queue a packet of padding.  Gives its bytes.
    fn probe_with_padding(&mut self, prober: (ConsumerKey, ProducerKey), now: f64) -> Option<usize> {
        let appended = self.append_rtx(prober, Delivery::Probe, now, |consumer, producer, paper| {
            let rewriter = &producer.rewriters[consumer.rewriter];
            consumer.write_padding(rewriter, paper.out).ok_or(DropReason::SendFailed)
        });
        appended.ok()
    }
}
