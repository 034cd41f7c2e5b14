//! Copies of one packet: each rewritten for its receiver, and put where that receiver's packets wait to leave.

use slotmap::SlotMap;

use crate::core::engine::Core;
use crate::core::interface::drop_reason::{Drop, Drops};
use crate::core::receive::producer::{EncodingKey, Packet, Producer, RewriterSlot};
use crate::core::send::batch::{Seal, Waiting, most_padding};
use crate::core::send::consumer::{Consumer, Rewritten};
use crate::core::send::sender_report::spread;
use crate::core::table::{ConsumerKey, Table, TransportKey};
use crate::core::transport::Transport;
use crate::core::wire::extensions::Rewriter;

/// Everything that a copy touches but its producer.
pub struct Copies<'a> {
    consumers: &'a mut Table<ConsumerKey, Consumer>,
    transports: &'a mut Table<TransportKey, Transport>,
    drops: &'a mut Drops,
    changed: &'a mut Vec<ConsumerKey>,
    dirty: &'a mut Vec<TransportKey>,
    reports: &'a mut u64,
    /// When the copies must leave, in seconds.
    due: f64,
    clock_known: bool,
}

impl Core {
    /// For the copies of this packet, beside the producer that it is of.
    pub(in crate::core) fn copies(&mut self, at: EncodingKey, packet: &Packet) -> (Copies<'_>, &mut Producer) {
        let Self { producers, consumers, transports, drops, changed, dirty, hold, reports, .. } = self;
        let producer = &mut producers[at.producer];
        // A frame ends with the marker; before it more is to come, for which the burst may wait.
        let due = if producer.spec.video && !packet.header.marker { packet.now + *hold } else { packet.now };
        let clock_known = producer.encodings[at.index].clock.get().is_some();
        (Copies { consumers, transports, drops, changed, dirty, reports, due, clock_known }, producer)
    }
}

impl Copies<'_> {
    /// Let the packet wait in its receiver's burst, as that receiver gets it; or leave it out.
    pub fn put(&mut self, key: ConsumerKey, packet: &Packet, rewriters: &mut SlotMap<RewriterSlot, Rewriter>) {
        let consumer = &mut self.consumers[key];
        let transport = &mut self.transports[consumer.transport];
        let Some(trailer) = transport.srtp.as_ref().map(|srtp| srtp.rtp_trailer()) else {
            self.drops.count(Drop::SendFailed);
            return;
        };
        let room = transport.largest_datagram() - trailer;
        let layer = consumer.temporal();
        let start = transport.burst.bytes.len();
        let rewritten = consumer.rewrite(packet, &mut rewriters[consumer.rewriter], room, &mut transport.burst.bytes);
        if consumer.temporal() != layer && !std::mem::replace(&mut consumer.changed, true) {
            self.changed.push(key);
        }
        let Some(rewritten) = rewritten else { return };
        let plain = transport.burst.bytes.len() - start;
        if let Err(reason) = admit(consumer, plain, room, rewritten.index) {
            transport.burst.bytes.truncate(start);
            self.drops.count(reason);
            return;
        }
        consumer.made(rewritten.timestamp, packet.now);
        if transport.burst.is_empty() {
            self.dirty.push(consumer.transport);
        }
        transport.burst.bytes.resize(start + plain + trailer, 0);
        let padding = most_padding(transport.burst.bytes[start], plain);
        transport.burst.push(waiting(key, consumer.ssrc, &rewritten, plain, trailer, padding), self.due);
        if self.clock_known && packet.now >= consumer.reporting.due {
            *self.reports += 1;
            consumer.reporting.made_at = packet.now;
            consumer.reporting.due = packet.now + consumer.report_interval * spread(*self.reports);
            transport.burst.reporting.push(key);
        }
    }
}

fn waiting(
    consumer: ConsumerKey,
    ssrc: u32,
    rewritten: &Rewritten,
    plain: usize,
    trailer: usize,
    padding: u16,
) -> Waiting {
    Waiting {
        consumer,
        size: (plain + trailer) as u16,
        plain: plain as u16,
        payload: rewritten.payload as u16,
        padding,
        seal: Some(Seal { header: rewritten.header as u16, ssrc, index: rewritten.index }),
    }
}

/// Whether a plain packet of this size may be sealed with this index.
fn admit(consumer: &mut Consumer, plain: usize, room: usize, index: u64) -> Result<(), Drop> {
    if plain > room {
        return Err(Drop::Oversized);
    }
    if !consumer.sealed.accepts(index) {
        return Err(Drop::SendFailed);
    }
    consumer.sealed.add(index);
    Ok(())
}
