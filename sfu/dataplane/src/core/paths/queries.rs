//! What can be asked about at any time.

use crate::core::engine::Core;
use crate::core::interface::event::{ConsumerStats, ProducerStats, Totals};
use crate::core::interface::spec::{Id, Refused};

impl Core {
    /// What was received so far.
    pub fn producer_stats(&self, producer: Id) -> Result<ProducerStats, Refused> {
        Ok(self.producers[self.producers.key(producer)?].stats())
    }

    /// What was sent so far.
    pub fn consumer_stats(&self, consumer: Id) -> Result<ConsumerStats, Refused> {
        let key = self.consumers.key(consumer)?;
        let (encoding, temporal) = self.layers(key);
        let consumer = &self.consumers[key];
        Ok(ConsumerStats {
            packets: consumer.packets,
            bytes: consumer.bytes,
            octets: consumer.octets,
            encoding,
            temporal,
            timestamp_offset: consumer.timestamp_offset,
            last_timestamp: consumer.last_timestamp,
            last_at: consumer.last_at,
            reception: consumer.reporting.reception,
        })
    }

    /// Totals, and how many there are of each.
    pub fn totals(&self) -> Totals {
        Totals {
            packets_in: self.packets_in,
            bytes_in: self.bytes_in,
            packets_out: self.packets_out,
            bytes_out: self.bytes_out,
            drops: self.drops.clone(),
            transports: self.transports.len(),
            producers: self.producers.len(),
            routes: self.producers.values().map(|producer| producer.consumers.len()).sum(),
            paths: self.by_path.len(),
        }
    }

    /// The totals without the datagrams that wait for the slow path: a shell whose slow path comes later counts them when
    /// they are handed up.
    pub fn totals_handed_up(&self) -> Totals {
        let mut totals = self.totals();
        totals.packets_in -= self.datagrams.iter().filter(|event| event.size().is_some()).count() as u64;
        totals.bytes_in -= self.datagrams.iter().filter_map(|event| event.size()).sum::<u64>();
        totals
    }
}
