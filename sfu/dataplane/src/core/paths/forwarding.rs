//! Forwarding: one packet of an encoding becomes a packet of its own for each consumer.
//!
//! The consumers of an encoding are on its `routes`.  For each of them the packet is rewritten into the send batch of
//! the consumer's transport, where it waits for [`Core::flush`].  It is sealed only there, when it is clear how it
//! leaves.

use slotmap::SlotMap;

use crate::core::engine::Core;
use crate::core::engine::table::Table;
use crate::core::engine::timers::{Timer, Timers};
use crate::core::interface::drop_reason::{DropCounts, DropReason};
use crate::core::keys::{ConsumerKey, EncodingKey, RewriterKey, TransportKey};
use crate::core::receive::packet::Packet;
use crate::core::receive::producer::Producer;
use crate::core::receive::recent_payloads::RedundantForms;
use crate::core::send::batch::most_padding;
use crate::core::send::consumer::{Consumer, Rewritten};
use crate::core::send::queued_packet::{Delivery, QueuedPacket, Seal};
use crate::core::transport::Transport;
use crate::core::wire::extensions::ExtensionRewriter;

impl Core {
    /// Forward a packet to every consumer of its encoding, and let waiting consumers begin if it starts a key frame.
    pub(in crate::core) fn forward(&mut self, at: EncodingKey, packet: &Packet) {
        #[cfg(test)]
        assert!(!self.sabotaged, "sabotaged");
        self.keep(at, packet);
        let waiting = !self.producers[at.producer].encodings[at.index].waiting.is_empty();
        // A packet that comes late can begin a stream only if the packets behind it are stored.  Where the codec is not
        // read (audio, AV1), every packet can.
        let begins = packet.newest && !packet.left_out && packet.frame.is_none_or(|frame| frame.key);
        let begins_late = waiting && self.can_begin_late(at, packet);
        let place = self.producers[at.producer].encodings[at.index].routes.len();
        if begins_late {
            self.start_late(at, packet);
        } else if waiting && begins {
            self.start_waiting_consumers(at, packet);
        }
        if !packet.newest {
            self.count_late_key_frame(at, packet);
        }
        let redundant = self.take_redundant_forms(at, packet);
        let (mut fanout, producer) = self.fanout(at, packet);
        fanout.redundant = redundant;
        for &key in &producer.encodings[at.index].routes {
            fanout.enqueue(key, packet, &mut producer.rewriters);
        }
        let Fanout { redundant, redundancy_wanted, .. } = fanout;
        self.keep_redundant_forms(at, packet, redundant, redundancy_wanted);
        if begins_late {
            self.forward_stored(at, packet, place);
        }
    }

    /// The forms of this packet for receivers of redundant audio, if one of them wanted such a form of the last packet.
    fn take_redundant_forms(&mut self, at: EncodingKey, packet: &Packet) -> Option<RedundantForms> {
        let recent = self.producers[at.producer].encodings[at.index].recent_payloads.as_ref()?;
        let mut forms = std::mem::take(&mut self.scratch.redundant);
        recent.write_forms(packet, &mut forms);
        Some(forms)
    }

    /// Remember the packet's payload for the next packets, if a receiver wants it there.
    fn keep_redundant_forms(&mut self, at: EncodingKey, packet: &Packet, forms: Option<RedundantForms>, wanted: bool) {
        let recent = &mut self.producers[at.producer].encodings[at.index].recent_payloads;
        if let Some(forms) = forms {
            self.scratch.redundant = forms;
        }
        if wanted {
            recent.get_or_insert_default().remember(packet);
        } else if recent.is_some() {
            *recent = None;
        }
    }

    /// The encoding has other layers than before: its consumers report theirs anew.
    pub(in crate::core) fn report_layers(&mut self, at: EncodingKey) {
        for place in 0..self.producers[at.producer].encodings[at.index].routes.len() {
            let consumer = self.producers[at.producer].encodings[at.index].routes[place];
            self.mark_changed(consumer);
        }
    }

    /// Split the core into the producer of this packet and everything else that its copies touch.
    pub(in crate::core) fn fanout(&mut self, at: EncodingKey, packet: &Packet) -> (Fanout<'_>, &mut Producer) {
        let Self { producers, consumers, transports, timers, drops, changed, dirty, hold, reports, .. } = self;
        let producer = &mut producers[at.producer];
        // A video frame ends with the marker.  Before that more packets follow at once, so the batch may wait for them
        // and leave in one system call.
        let due = if producer.spec.video && !packet.header.marker { packet.now + *hold } else { packet.now };
        let video = producer.spec.video;
        let clock_known = producer.encodings[at.index].clock.mapping().is_some();
        let (redundant, redundancy_wanted) = (None, false);
        let fanout = Fanout {
            consumers,
            transports,
            timers,
            drops,
            changed,
            dirty,
            reports,
            due,
            video,
            clock_known,
            redundant,
            redundancy_wanted,
        };
        (fanout, producer)
    }
}

/// The parts of the core that the copies of a packet touch, besides its producer.
pub(in crate::core) struct Fanout<'a> {
    consumers: &'a mut Table<ConsumerKey, Consumer>,
    transports: &'a mut Table<TransportKey, Transport>,
    timers: &'a mut Timers,
    drops: &'a mut DropCounts,
    changed: &'a mut Vec<ConsumerKey>,
    dirty: &'a mut Vec<TransportKey>,
    reports: &'a mut u64,
    /// When the copies must leave, in seconds.
    due: f64,
    /// The copies are packets of a video.
    video: bool,
    /// The sender has reported its clock, so that it can be passed on.
    clock_known: bool,
    /// The packet with earlier payloads in front of its own, for receivers that lose packets.
    redundant: Option<RedundantForms>,
    /// Such a receiver gets this stream.
    redundancy_wanted: bool,
}

impl Fanout<'_> {
    /// Rewrite the packet for this consumer and append it to the batch of its transport.
    ///
    /// Nothing is appended where the consumer leaves the packet out, or where the packet could not be sent whole.
    pub fn enqueue(
        &mut self,
        key: ConsumerKey,
        packet: &Packet,
        rewriters: &mut SlotMap<RewriterKey, ExtensionRewriter>,
    ) {
        let consumer = &mut self.consumers[key];
        let transport = &mut self.transports[consumer.transport];
        let Some(trailer) = transport.srtp.as_ref().map(|srtp| srtp.rtp_trailer()) else {
            self.drops.count(DropReason::SendFailed);
            return;
        };
        let room = transport.largest_datagram() - trailer;
        let depth = consumer.red_payload_type.map_or(0, |_| transport.redundancy_depth(packet.now));
        self.redundancy_wanted |= depth > 0;
        let payload = self.redundant.as_ref().and_then(|forms| forms.get(depth));
        let redundant = consumer.red_payload_type.zip(payload);
        let redundant = redundant.map(|(payload_type, payload)| Packet { payload_type, payload, ..*packet });
        let layer = consumer.layers.current();
        let start = transport.batch.bytes.len();
        let form = redundant.as_ref().unwrap_or(packet);
        transport.batch.make_room(form.size() + trailer);
        let rewritten = consumer.rewrite(form, &mut rewriters[consumer.rewriter], room, &mut transport.batch.bytes);
        if consumer.layers.current() != layer && !std::mem::replace(&mut consumer.changed, true) {
            self.changed.push(key);
        }
        let Some(rewritten) = rewritten else { return };
        let plain = transport.batch.bytes.len() - start;
        if let Err(reason) = admit(consumer, plain, room, rewritten.index) {
            transport.batch.bytes.truncate(start);
            self.drops.count(reason);
            return;
        }
        consumer.timestamps.record_sent(rewritten.timestamp, packet.now);
        consumer.redundant += u64::from(redundant.is_some());
        if transport.batch.is_empty() {
            self.dirty.push(consumer.transport);
        }
        transport.media_bytes += plain as u64;
        // Leave room for the authentication tag, so that the packet can be sealed in place.
        transport.batch.bytes.resize(start + plain + trailer, 0);
        let padding = most_padding(transport.batch.bytes[start], plain);
        let repeated = !self.video && is_repeated(consumer, transport, packet.now);
        let seal = seal(consumer.ssrc, self.video, &rewritten, repeated);
        transport.batch.push(queued(key, seal, plain, trailer, &rewritten, padding), self.due);
        self.timers.arm(Timer::Flush, self.due);
        if !self.video {
            transport.batch.repeat(key, repeated, packet.now, room + trailer);
        }
        if self.clock_known && consumer.reports.is_due(packet.now) {
            *self.reports += 1;
            consumer.reports.schedule(packet.now, *self.reports);
            transport.batch.reporting.push(key);
        }
    }
}

/// Whether the packet that leaves at `now` (seconds) is sent twice: the receiver loses audio, and takes no redundant
/// payloads that would cost less.
fn is_repeated(consumer: &Consumer, transport: &Transport, now: f64) -> bool {
    consumer.red_payload_type.is_none() && transport.audio_redundancy.repeats(transport.room(), now)
}

fn seal(ssrc: u32, video: bool, rewritten: &Rewritten, repeated: bool) -> Seal {
    let delivery = if repeated { Delivery::Twice } else { Delivery::Once };
    Seal { header: rewritten.header as u16, delivery, video, ssrc, index: rewritten.index }
}

fn queued(
    consumer: ConsumerKey,
    seal: Seal,
    plain: usize,
    trailer: usize,
    rewritten: &Rewritten,
    padding: u8,
) -> QueuedPacket {
    let (size, plain, payload) = ((plain + trailer) as u16, plain as u16, rewritten.payload as u16);
    QueuedPacket { consumer, size, plain, payload, padding, number_at: rewritten.number_at as u8, seal: Some(seal) }
}

/// Whether a plain packet of this size may be sealed with this index.
///
/// An index must never be sealed twice under the same key and SSRC: that would give the key stream away (RFC 3711
/// section 9.1).  The sequence numbers never repeat; this check holds even if they had a bug.
fn admit(consumer: &mut Consumer, plain: usize, room: usize, index: u64) -> Result<(), DropReason> {
    if plain > room {
        return Err(DropReason::Oversized);
    }
    if !consumer.sealed.accepts(index) {
        return Err(DropReason::SendFailed);
    }
    consumer.sealed.add(index);
    Ok(())
}
