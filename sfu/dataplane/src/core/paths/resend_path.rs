//! A receiver asks for packets that it misses (RFC 4585 section 6.2.1), and gets them again (RFC 4588).

use crate::core::engine::Core;
use crate::core::engine::timers::Timer;
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::{ConsumerKey, EncodingKey, ProducerKey, TransportKey};
use crate::core::receive::packet::{Opened, Packet};
use crate::core::receive::packet_store::StoredPacket;
use crate::core::receive::producer::Producer;
use crate::core::send::consumer::{Consumer, Rewritten};
use crate::core::send::queued_packet::{Delivery, QueuedPacket, Seal};
use crate::core::send::resender::first_trip;
use crate::core::wire::rtcp::Nack;
use crate::core::wire::rtp::{Element, FIXED_HEADER_SIZE, parse_header_untrusted};

/// A receiver that asks at once for so many packets that are not kept any more was cut off, unless its feedback came all
/// the time.  Then its path is too narrow, and a key frame would make that worse.
const CUT_OFF: usize = 16;
/// Numbers of one NACK that are read.  A receiver that misses more of them needs a key frame.
const MOST_READ: usize = 1024;

impl Core {
    /// Answer a NACK: send those packets of a consumer again that its receiver misses.
    ///
    /// A request about another SSRC, or to a consumer without retransmissions, has no effect.  All requests of one
    /// datagram share its `look_ups`.
    pub(in crate::core) fn on_nack(
        &mut self,
        transport: TransportKey,
        nack: &Nack<'_>,
        look_ups: &mut usize,
        now: f64,
    ) {
        let Some(key) = self.transports[transport].sender_of(nack.media_ssrc) else { return };
        let Some(resender) = self.consumers.get_mut(key).and_then(|consumer| consumer.resender()) else { return };
        let requested = nack.count();
        resender.counts.requested += requested as u64;
        self.traffic.requested_by_receivers += requested as u64;
        self.keep_for_longer(key, now);
        let mut elements = std::mem::take(&mut self.scratch.elements);
        let (mut too_old, mut read) = (0, 0);
        for number in nack.numbers().take(MOST_READ) {
            // After a switch a receiver goes on to ask for packets from before it.  These cost no look-up.
            if self.consumers[key].is_from_before(number) {
                self.count_not_resent(key, DropReason::ResendNotStored, 1);
            } else if *look_ups == 0 || !self.transports[transport].resend_limits().take_look_up(now) {
                break;
            } else {
                *look_ups -= 1;
                if let Err(reason) = self.resend(key, number, &mut elements, &mut too_old, now) {
                    self.count_not_resent(key, reason, 1);
                }
            }
            read += 1;
        }
        self.scratch.elements = elements;
        let bandwidth = self.transports[transport].bandwidth.as_ref();
        if too_old >= CUT_OFF && self.gets_video(key) && !bandwidth.is_some_and(|bandwidth| bandwidth.is_fed(now)) {
            // Browsers wait for the packets, and ask for a key frame only after some seconds.
            self.want_key_frame(key, now);
        }
        self.count_not_resent(key, DropReason::TooManyNacks, requested - read);
    }

    fn count_not_resent(&mut self, key: ConsumerKey, reason: DropReason, packets: usize) {
        self.drops.count_many(reason, packets);
        if let Some(resender) = &mut self.consumers[key].resender {
            resender.counts.not_resent += packets as u64;
        }
    }

    /// Queue one packet again.  Fails with the reason if the receiver does not get it.  Counts in `too_old` if it was
    /// sent too long ago.
    fn resend(
        &mut self,
        key: ConsumerKey,
        number: u16,
        elements: &mut Vec<Element>,
        too_old: &mut usize,
        now: f64,
    ) -> Result<(), DropReason> {
        let round_trip = self.transports[self.consumers[key].transport].round_trip;
        let missing = self.consumers[key].find_missing(number, round_trip, now)?;
        let at = self.source_of(key).ok_or(DropReason::ResendNotStored)?;
        // Take the store out of the core meanwhile, because the packet in it stays borrowed.
        let store = self.producers[at.producer].encodings[at.index].store.take();
        let stored = missing.incoming.and_then(|incoming| store.as_ref()?.get(incoming));
        let is_too_old = |incoming| store.as_ref().is_none_or(|store| store.is_too_old(incoming));
        *too_old += usize::from(missing.incoming.is_some_and(is_too_old));
        let queued = match stored {
            None if missing.incoming.is_some() => Err(DropReason::ResendNotStored),
            // The receiver asked before the packet could have come: it is still on its way.
            Some(stored) if now - stored.at < first_trip(round_trip) => Err(DropReason::ResendTooSoon),
            stored => self.queue_again(key, missing.index, at, stored, elements, now),
        };
        self.producers[at.producer].encodings[at.index].store = store;
        queued
    }

    /// The encoding that a consumer gets now.
    pub(in crate::core) fn source_of(&self, key: ConsumerKey) -> Option<EncodingKey> {
        let consumer = &self.consumers[key];
        Some(EncodingKey { producer: consumer.producer?, index: consumer.current? })
    }

    /// Append a retransmission to the batch of its transport: of the stored packet, or of one of the consumer's own.
    fn queue_again(
        &mut self,
        key: ConsumerKey,
        index: u64,
        at: EncodingKey,
        stored: Option<StoredPacket<'_>>,
        elements: &mut Vec<Element>,
        now: f64,
    ) -> Result<(), DropReason> {
        let Self { consumers, transports, .. } = self;
        let consumer = &consumers[key];
        let transport = &mut transports[consumer.transport];
        let trailer = transport.srtp.as_ref().ok_or(DropReason::SendFailed)?.rtp_trailer();
        let own_size = FIXED_HEADER_SIZE + consumer.own_set(index).map_or(0, <[u8]>::len);
        let size = stored.map_or(own_size, |stored| stored.plain.len()) + trailer;
        let media_bytes = transport.media_bytes;
        let path = transport.bandwidth.as_ref().and_then(|bandwidth| bandwidth.repair_path(now));
        if !transport.resend_limits().take_bytes(size, media_bytes, path, now) {
            return Err(DropReason::ResendOverBudget);
        }
        let appended = self.append_rtx((key, at.producer), Delivery::Again, now, |consumer, producer, paper| {
            let Some(stored) = stored else { return consumer.own_again(index, paper.out, now) };
            let packet = read_again_untrusted(producer, at.index, &stored, elements, paper.serial);
            let packet = packet.ok_or(DropReason::ResendNotStored)?;
            let rewriter = &mut producer.rewriters[consumer.rewriter];
            consumer.rewrite_again(index, &packet, rewriter, paper.room, paper.out, Some(now))
        });
        appended.map(|_| ())
    }

    /// Append a packet with the SSRC of retransmissions to the batch of its transport.  It leaves at once.
    ///
    /// `write` appends the plain packet.  Gives the bytes of the sealed one.
    pub(super) fn append_rtx(
        &mut self,
        (key, producer): (ConsumerKey, ProducerKey),
        delivery: Delivery,
        now: f64,
        write: impl FnOnce(&mut Consumer, &mut Producer, Paper<'_>) -> Result<Rewritten, DropReason>,
    ) -> Result<usize, DropReason> {
        let Self { consumers, transports, producers, timers, dirty, serial, .. } = self;
        let (consumer, producer) = (&mut consumers[key], &mut producers[producer]);
        let transport = &mut transports[consumer.transport];
        let trailer = transport.srtp.as_ref().ok_or(DropReason::SendFailed)?.rtp_trailer();
        let room = transport.largest_datagram() - trailer;
        *serial += 1;
        let batch = &mut transport.batch;
        let start = batch.bytes.len();
        let rewritten = write(consumer, producer, Paper { out: &mut batch.bytes, room, serial: *serial })?;
        let plain = batch.bytes.len() - start;
        if plain > room {
            batch.bytes.truncate(start);
            return Err(DropReason::Oversized);
        }
        if batch.is_empty() {
            dirty.push(consumer.transport);
        }
        batch.bytes.resize(start + plain + trailer, 0);
        let ssrc = consumer.rtx_ssrc.unwrap_or(consumer.ssrc);
        let seal = Seal {
            header: rewritten.header as u16,
            delivery,
            video: producer.spec.video,
            ssrc,
            index: rewritten.index,
        };
        batch.push(queued(key, seal, &rewritten, plain, trailer), now);
        timers.arm(Timer::Flush, now);
        Ok(plain + trailer)
    }
}

/// Where a packet is written, how many bytes it may have, and the serial number that it gets.
pub(super) struct Paper<'a> {
    pub out: &'a mut Vec<u8>,
    pub room: usize,
    pub serial: u64,
}

fn queued(consumer: ConsumerKey, seal: Seal, rewritten: &Rewritten, plain: usize, trailer: usize) -> QueuedPacket {
    // The bytes of a probe count for no consumer.
    let counted = if seal.delivery == Delivery::Probe { 0 } else { plain };
    QueuedPacket {
        consumer,
        size: (plain + trailer) as u16,
        plain: counted as u16,
        payload: rewritten.payload as u16,
        padding: 0,
        number_at: rewritten.number_at as u8,
        seal: Some(seal),
    }
}

/// Read a stored packet again, as it was read when it came.  The result lacks the marks of its frame that depend on
/// earlier packets, since a retransmission does not need them.  It is never `None` for a packet that was forwarded.
pub(in crate::core) fn read_again_untrusted<'a>(
    producer: &Producer,
    index: usize,
    stored: &StoredPacket<'a>,
    elements: &'a mut Vec<Element>,
    serial: u64,
) -> Option<Packet<'a>> {
    let plain = stored.plain;
    let header = parse_header_untrusted(plain, elements).ok()?;
    let opened = Opened::split_untrusted(plain, &header, elements, stored.at).ok()?;
    let (payload_type, payload) = producer.unpack(header.payload_type, opened.body).ok()?;
    let descriptor = producer.descriptor(plain, elements);
    let encoding = &producer.encodings[index];
    let inspect = |codec| encoding.inspect_again(codec, payload, descriptor, stored.extended);
    Some(Packet {
        plain,
        payload,
        padding: opened.padding,
        header,
        elements,
        extended: stored.extended,
        newest: false,
        payload_type: payload_type?,
        left_out: false,
        frame: producer.codec.map(inspect),
        picture: stored.picture,
        serial,
        now: stored.at,
    })
}
