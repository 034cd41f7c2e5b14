//! Repair: the core asks publishers for the packets that it lacks, and takes in those that come again.

use crate::core::engine::timers::{Timer, TransportTimer};
use crate::core::engine::{Core, OwnDatagram};
use crate::core::interface::drop_reason::DropReason;
use crate::core::keys::{EncodingKey, TransportKey};
use crate::core::receive::gap::Gap;
use crate::core::receive::missing_packets::Progress;
use crate::core::receive::packet::{Opened, Place};
use crate::core::wire::rtcp::Nack;
use crate::core::wire::rtp::{Element, Header};
use crate::core::wire::rtx::unwrap_rtx_untrusted;

/// The largest packet of NACKs, in bytes before encryption.
const MAX_NACKS: usize = 1100;
/// Bytes of one NACK without its pairs, and of one pair (RFC 4585 section 6.2.1).
const NACK_HEADER: usize = 12;
const NACK_PAIR: usize = 4;
/// Seconds between two packets of NACKs to one client.  It bounds them to 200 packets a second.
const NACK_INTERVAL: f64 = 0.005;

impl Core {
    /// Take in a packet that came by itself.
    pub(in crate::core) fn take_packet(&mut self, at: EncodingKey, packet: &Opened<'_>) -> Result<(), DropReason> {
        let producer = &mut self.producers[at.producer];
        let (wanted, awaited) = (producer.asks_for_missing(at.index), producer.is_awaited(at.index));
        let again_by_itself = producer.spec.rtx_payload_types.0.is_empty();
        let encoding = &mut producer.encodings[at.index];
        let sequence_number = packet.header.sequence_number;
        // A client without RTX sends a missing packet again as it was.
        if again_by_itself && !encoding.missing.is_quiet() {
            let trip = self.transports[producer.transport].round_trip;
            let can_be_answer = |number| encoding.missing.can_be_answer(number, trip, packet.now);
            if encoding.lacks(sequence_number).is_some_and(can_be_answer) {
                return self.take_recovered(at, packet);
            }
        }
        let (timestamp_before, lowest) = (encoding.stats.last_timestamp, encoding.stats.lowest_sequence());
        let place = encoding.count(sequence_number, packet.header.timestamp, packet.plain.len(), packet.now);
        if !encoding.take_in(place.number) {
            return Err(DropReason::RepairNotNeeded);
        }
        encoding.missing.on_packet(place.number, place.highest, wanted, packet.now);
        if awaited && place.is_behind_interruption() {
            encoding.missing.on_interruption();
        }
        if let Some(lowest) = lowest.filter(|&lowest| wanted && place.number < lowest) {
            encoding.note_overtaken(place.number, lowest, packet.now);
        }
        if place.number > place.highest + 1 {
            let span = packet.header.timestamp.wrapping_sub(timestamp_before);
            let gap = Gap { packets: place.number - place.highest - 1, span };
            self.take_redundant_blocks_untrusted(at, packet, gap);
        }
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        if !encoding.missing.is_quiet() {
            self.plan_repair(at, packet.now);
        }
        self.forward_opened(at, packet, place)
    }

    /// Take in a packet that was lost and came after all: again, or inside a later packet.
    ///
    /// It takes its place like a late packet.  Receiver reports still count it as lost, because the network lost it.
    /// Fails with [`DropReason::RepairNotNeeded`] if nobody misses it.
    pub(in crate::core) fn take_recovered(&mut self, at: EncodingKey, packet: &Opened<'_>) -> Result<(), DropReason> {
        let encoding = &mut self.producers[at.producer].encodings[at.index];
        let number = encoding.lacks(packet.header.sequence_number).ok_or(DropReason::RepairNotNeeded)?;
        encoding.take_in(number);
        encoding.missing.on_repaired(number, packet.now);
        let place = Place { number, highest: encoding.stats.highest_sequence, pause: None };
        self.forward_opened(at, packet, place)
    }

    /// Take in a retransmission (RFC 4588).  It holds an earlier packet of the encoding, so turn it into that packet.
    pub(in crate::core) fn take_retransmission_untrusted(
        &mut self,
        at: EncodingKey,
        plain: &mut [u8],
        header: &Header,
        elements: &[Element],
        now: f64,
    ) -> Result<(), DropReason> {
        let producer = &self.producers[at.producer];
        let repeated = producer.repeated_payload_type(header.payload_type).ok_or(DropReason::UnknownPayloadType)?;
        let ssrc = producer.encodings[at.index].ssrc.ok_or(DropReason::RepairNotNeeded)?;
        let unwrapped = unwrap_rtx_untrusted(plain, header, repeated, ssrc).map_err(|_| DropReason::MalformedRtp)?;
        let (header, original) = unwrapped.ok_or(DropReason::PaddingOnly)?;
        let packet = Opened::split_untrusted(original, &header, elements, now).map_err(|_| DropReason::MalformedRtp)?;
        self.take_recovered(at, &packet)
    }

    /// Something is missing, or could not be repaired: arm the timer, or tell the slow path.
    fn plan_repair(&mut self, at: EncodingKey, now: f64) {
        let producer = &self.producers[at.producer];
        let missing = &producer.encodings[at.index].missing;
        let (key, due) = (producer.transport, missing.next_due());
        if missing.failure_is_due(now) {
            self.tell_failure(at, now);
        }
        if let Some(due) = due {
            self.arm_nacks(key, due);
        }
    }

    /// Tell the slow path that only a key frame helps the receivers of this encoding.  Sound goes on without one.
    ///
    /// If the client caused too many such events lately, the next packet tries again.
    fn tell_failure(&mut self, at: EncodingKey, now: f64) {
        let producer = &mut self.producers[at.producer];
        let video = producer.spec.video;
        if video && !self.transports[producer.transport].failure_limit.take(now) {
            return;
        }
        let narrow = producer.encodings[at.index].missing.on_failure_reported(now);
        if video {
            self.events.repair_failed(producer.id, at.index, narrow);
        }
    }

    fn arm_nacks(&mut self, key: TransportKey, due: f64) {
        let due = due.max(self.transports[key].asked_at + NACK_INTERVAL);
        self.timers.arm(Timer::Transport(TransportTimer::Nack, key), due);
    }

    /// The timer of the missing packets fired: ask for all that are due, in one packet (reduced size, RFC 5506).
    pub(in crate::core) fn ask_for_missing(&mut self, key: TransportKey, now: f64) {
        let (mut nacks, mut failed, mut next_due) = (Vec::new(), Vec::new(), f64::INFINITY);
        let sender_ssrc = self.rtcp_source.ssrc;
        for &producer_key in &self.transports[key].producers {
            let producer = &mut self.producers[producer_key];
            for index in 0..producer.encodings.len() {
                let wanted = producer.asks_for_missing(index);
                let encoding = &mut producer.encodings[index];
                let Some(ssrc) = encoding.ssrc.filter(|_| wanted) else {
                    encoding.missing.give_up_all();
                    continue;
                };
                let pairs = MAX_NACKS.saturating_sub(nacks.len() + NACK_HEADER) / NACK_PAIR;
                let mut numbers = std::mem::take(&mut self.scratch.numbers);
                let stats = &encoding.stats;
                let progress = Progress { received: stats.packets, highest: stats.highest_sequence };
                encoding.missing.take_due(progress, now, pairs, &mut numbers);
                if !numbers.is_empty() {
                    Nack::write(sender_ssrc, ssrc, &numbers, &mut nacks);
                }
                numbers.clear();
                self.scratch.numbers = numbers;
                if encoding.missing.failure_is_due(now) {
                    failed.push(EncodingKey { producer: producer_key, index });
                }
                next_due = encoding.missing.next_due().map_or(next_due, |due| next_due.min(due));
            }
        }
        failed.into_iter().for_each(|at| self.tell_failure(at, now));
        if !nacks.is_empty() {
            self.transports[key].asked_at = now;
            if let Some((path, datagram)) = self.seal_compound(key, nacks) {
                self.own_datagrams.push(OwnDatagram { transport: key, path, datagram });
            }
        }
        if next_due.is_finite() {
            self.arm_nacks(key, next_due);
        }
    }
}
