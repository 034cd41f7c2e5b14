//! Events and statistics for the slow path.

use crate::core::engine::Core;
use crate::core::interface::event::Event;
use crate::core::interface::spec::{Id, Refused};
use crate::core::interface::statistics::{ConsumerStats, PlaneTotals, ProducerStats, TransportStats};
use crate::core::paths::store_path::MAX_MEMORY;
use crate::core::receive::missing_packets::RepairCounts;
use crate::core::receive::producer::Producer;
use crate::core::send::resender::ResendCounts;

impl Core {
    /// Whether [`Core::take_events`] has something to hand over.
    pub fn has_events(&self) -> bool {
        !(self.changed.is_empty() && self.events.is_empty())
    }

    /// Hand over the events since the last call.
    ///
    /// Changes come first, once for each object and as it is now.  Then come at most `limit` datagrams and changes of
    /// liveness, in their order.
    pub fn take_events(&mut self, limit: usize) -> Vec<Event> {
        let mut events = self.events.take_changes();
        for key in std::mem::take(&mut self.changed) {
            let (encoding, layers) = self.layers(key);
            let consumer = &mut self.consumers[key];
            consumer.changed = false;
            if (encoding, layers) != consumer.reported {
                consumer.reported = (encoding, layers);
                let (temporal, spatial) = (layers.map(|layers| layers.temporal), self.spatial_layer(key, layers));
                let consumer = self.consumers[key].id;
                events.push(Event::LayersChanged { consumer, encoding, temporal, spatial });
            }
        }
        for event in self.events.take_ordered(limit) {
            if let Event::KeyFrameRequested { consumer } = event
                && let Ok(key) = self.consumers.key(consumer)
            {
                self.consumers[key].key_frame_requested = false;
            }
            events.push(event);
        }
        events
    }

    /// The reception of a producer so far.
    pub fn producer_stats(&self, producer: Id) -> Result<ProducerStats, Refused> {
        Ok(self.producers[self.producers.key(producer)?].statistics())
    }

    /// The packets of each of these transports so far, and how many of them the network lost.
    ///
    /// `None` for a transport that does not exist.
    pub fn transport_stats(&self, transports: &[Id]) -> Vec<Option<TransportStats>> {
        let statistics = |&transport: &Id| {
            let transport = &self.transports[self.transports.key(transport).ok()?];
            let encodings = || transport.producers.iter().flat_map(|&producer| &self.producers[producer].encodings);
            Some(TransportStats {
                expected: encodings().map(|encoding| encoding.stats.expected()).sum(),
                missing: encodings().map(|encoding| encoding.stats.lost()).sum(),
                reported: transport.reported.packets,
                reported_lost: transport.reported.lost,
                round_trip: transport.reported.round_trip,
            })
        };
        transports.iter().map(statistics).collect()
    }

    /// The packets sent to a consumer so far.
    pub fn consumer_stats(&self, consumer: Id) -> Result<ConsumerStats, Refused> {
        let key = self.consumers.key(consumer)?;
        let (encoding, layers) = self.layers(key);
        let consumer = &self.consumers[key];
        let again = consumer.resender.as_ref().map_or_else(ResendCounts::default, |resender| resender.counts);
        Ok(ConsumerStats {
            packets: consumer.packets,
            bytes: consumer.bytes,
            octets: consumer.octets,
            encoding,
            temporal: layers.map(|layers| layers.temporal),
            spatial: self.spatial_layer(key, layers),
            spatial_target: self.spatial_layer(key, Some(consumer.layers.target())),
            timestamp_offset: consumer.timestamps.offset,
            last_timestamp: consumer.timestamps.last,
            last_at: consumer.timestamps.last_at,
            reception_report: consumer.reports.reception_report,
            requested: again.requested,
            resent: again.resent + consumer.repeated.0,
            resent_bytes: again.resent_bytes + consumer.repeated.1,
            not_resent: again.not_resent,
            redundant: consumer.redundant,
        })
    }

    /// Totals since the start, and the number of objects now.
    pub fn totals(&self) -> PlaneTotals {
        let repairs = self.producers.values().map(Producer::repair_counts);
        let repairs = repairs.fold(self.traffic.repairs_before, RepairCounts::plus);
        let encodings = || self.producers.values().flat_map(|producer| &producer.encodings);
        let stores = || encodings().filter_map(|encoding| encoding.store.as_ref());
        let bandwidths = || self.transports.values().filter_map(|transport| transport.bandwidth.as_ref());
        PlaneTotals {
            packets_in: self.traffic.packets_in,
            bytes_in: self.traffic.bytes_in,
            packets_out: self.traffic.packets_out,
            bytes_out: self.traffic.bytes_out,
            drops: self.drops.clone(),
            transports: self.transports.len(),
            producers: self.producers.len(),
            routes: self.producers.values().map(|producer| producer.consumers.len()).sum(),
            paths: self.by_path.len(),
            usernames: self.by_username.len(),
            requested_of_senders: repairs.requested,
            repaired: repairs.repaired,
            given_up: repairs.given_up,
            requested_by_receivers: self.traffic.requested_by_receivers,
            resent: self.traffic.resent,
            stored_packets: stores().map(|store| store.packets()).sum(),
            stored_bytes: self.store_memory,
            stored_bytes_limit: MAX_MEMORY,
            feedback_to_senders: self.traffic.feedback_to_senders,
            feedback_of_receivers: self.traffic.feedback_of_receivers,
            probe_bytes: self.traffic.probe_bytes,
            short_transports: bandwidths().filter(|bandwidth| bandwidth.is_short()).count(),
        }
    }

    /// The totals without the datagrams that still wait for the slow path.
    ///
    /// The shell with a thread uses this.  Its slow path runs later, and the totals must not count a datagram that the
    /// slow path has not taken yet.
    pub fn totals_handed_up(&self) -> PlaneTotals {
        let mut totals = self.totals();
        let (packets, bytes) = self.events.waiting_datagrams();
        totals.packets_in -= packets;
        totals.bytes_in -= bytes;
        totals
    }
}
