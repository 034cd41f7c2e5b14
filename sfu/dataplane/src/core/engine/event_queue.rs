//! Events that wait for the slow path.

use std::collections::VecDeque;

use crate::core::bandwidth::Crossing;
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::event::{Event, MAX_EVENTS, MAX_WAITING_DTLS};
use crate::core::interface::spec::Id;
use crate::core::wire::address::Path;

/// Events in their order, and changes of which only the newest state counts.
#[derive(Debug, Default)]
pub struct EventQueue {
    /// Datagrams for the slow path, each with its size on the wire in bytes.  Among them are the clients that fell
    /// silent, came back or are lost, without a size.
    ordered: VecDeque<(Event, Option<usize>)>,
    /// Producer, encoding and SSRC.
    learned: Vec<(Id, usize, u32)>,
    /// Producers and their video encodings that began to flow.
    flowing: Vec<(Id, usize)>,
    /// Producers and their encodings whose losses could not be repaired.
    unrepaired: Vec<(Id, usize, bool)>,
    /// Transports and the paths that they send on now.
    selected: Vec<(Id, Path)>,
    /// Transports and the newest watermark that their estimates crossed.
    crossed: Vec<(Id, Crossing)>,
}

impl EventQueue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
            && self.learned.is_empty()
            && self.flowing.is_empty()
            && self.unrepaired.is_empty()
            && self.selected.is_empty()
            && self.crossed.is_empty()
    }

    /// How many events wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        let changes = self.learned.len() + self.flowing.len() + self.unrepaired.len() + self.selected.len();
        self.ordered.len() + changes + self.crossed.len()
    }

    /// Queue a DTLS datagram.
    ///
    /// Fails with [`DropReason::TooMuchDtls`] once [`MAX_WAITING_DTLS`] of this transport wait, and with
    /// [`DropReason::EventsFull`] once [`MAX_EVENTS`] of all wait.
    pub fn push_dtls(&mut self, transport: Id, data: &[u8]) -> Result<(), DropReason> {
        let is_its = |event: &Event| matches!(event, Event::DtlsArrived { transport: id, .. } if *id == transport);
        if self.ordered.iter().filter(|(event, _)| is_its(event)).count() >= MAX_WAITING_DTLS {
            return Err(DropReason::TooMuchDtls);
        }
        self.push_bounded(Event::DtlsArrived { transport, data: data.to_vec() }, Some(data.len()))
    }

    /// Queue the key frame request of a consumer's receiver; fails with [`DropReason::EventsFull`] once [`MAX_EVENTS`] wait.
    pub fn push_key_frame_request(&mut self, consumer: Id) -> Result<(), DropReason> {
        self.push_bounded(Event::KeyFrameRequested { consumer }, None)
    }

    fn push_bounded(&mut self, event: Event, size: Option<usize>) -> Result<(), DropReason> {
        if self.ordered.len() >= MAX_EVENTS {
            return Err(DropReason::EventsFull);
        }
        self.ordered.push_back((event, size));
        Ok(())
    }

    /// Queue a change of a client's liveness.  There is always room: a transport has at most one such event waiting.
    pub fn push_liveness(&mut self, event: Event) {
        self.ordered.push_back((event, None));
    }

    /// Queue an event that comes once in the life of its transport, or of the core.  There is always room.
    pub fn push_rare(&mut self, event: Event) {
        self.ordered.push_back((event, None));
    }

    /// Take back a waiting event about this client's liveness, because it is outdated.  Gives whether there was one.
    pub fn retract_liveness(&mut self, transport: Id) -> bool {
        let before = self.ordered.len();
        self.ordered.retain(|(event, _)| !event.is_liveness_of(transport));
        self.ordered.len() < before
    }

    /// Whether a waiting event reports the silence of this client.
    pub fn announces_silence_of(&self, transport: Id) -> bool {
        self.ordered
            .iter()
            .any(|(event, _)| matches!(event, Event::FellSilent { transport: id, .. } if *id == transport))
    }

    /// The encoding has this SSRC now.
    pub fn learned(&mut self, producer: Id, encoding: usize, ssrc: u32) {
        match self.learned.iter_mut().find(|(id, index, _)| (*id, *index) == (producer, encoding)) {
            Some((_, _, known)) => *known = ssrc,
            None => self.learned.push((producer, encoding, ssrc)),
        }
    }

    /// The encoding flows after a break, or for the first time.
    pub fn flows(&mut self, producer: Id, encoding: usize) {
        if !self.flowing.contains(&(producer, encoding)) {
            self.flowing.push((producer, encoding));
        }
    }

    /// A loss in the encoding could not be repaired.
    pub fn repair_failed(&mut self, producer: Id, encoding: usize, narrow: bool) {
        match self.unrepaired.iter_mut().find(|(id, index, _)| (*id, *index) == (producer, encoding)) {
            Some((_, _, known)) => *known |= narrow,
            None => self.unrepaired.push((producer, encoding, narrow)),
        }
    }

    /// The transport sends on this path now.
    pub fn path_selected(&mut self, transport: Id, path: Path) {
        match self.selected.iter_mut().find(|(id, _)| *id == transport) {
            Some((_, known)) => *known = path,
            None => self.selected.push((transport, path)),
        }
    }

    /// The estimate of the bandwidth to a client crossed a watermark.
    pub fn bandwidth_crossed(&mut self, transport: Id, crossing: Crossing) {
        match self.crossed.iter_mut().find(|(id, _)| *id == transport) {
            Some((_, known)) => *known = crossing,
            None => self.crossed.push((transport, crossing)),
        }
    }

    /// Drop all events of a transport that is gone.
    pub fn forget_transport(&mut self, transport: Id) {
        self.crossed.retain(|(id, _)| *id != transport);
        self.selected.retain(|(id, _)| *id != transport);
        self.ordered.retain(|(event, _)| !event.is_of(transport));
    }

    /// Drop the request for a key frame of a consumer that is gone.
    pub fn forget_consumer(&mut self, consumer: Id) {
        self.ordered
            .retain(|(event, _)| !matches!(event, Event::KeyFrameRequested { consumer: id } if *id == consumer));
    }

    /// Drop all events of a producer that is gone.
    pub fn forget_producer(&mut self, producer: Id) {
        self.learned.retain(|(id, _, _)| *id != producer);
        self.flowing.retain(|(id, _)| *id != producer);
        self.unrepaired.retain(|(id, _, _)| *id != producer);
    }

    /// Hand over selected paths, learned SSRCs, encodings that flow, repairs that failed, and crossed watermarks.
    pub fn take_changes(&mut self) -> Vec<Event> {
        let selected = self.selected.drain(..);
        let mut changes: Vec<Event> =
            selected.map(|(transport, path)| Event::PathSelected { transport, path }).collect();
        let learned = self.learned.drain(..);
        changes.extend(learned.map(|(producer, encoding, ssrc)| Event::EncodingLearned { producer, encoding, ssrc }));
        let flowing = self.flowing.drain(..);
        changes.extend(flowing.map(|(producer, encoding)| Event::EncodingFlows { producer, encoding }));
        let unrepaired = self.unrepaired.drain(..);
        let failure = |(producer, encoding, narrow)| Event::RepairFailed { producer, encoding, narrow };
        changes.extend(unrepaired.map(failure));
        let crossed = self.crossed.drain(..);
        let crossing = |(transport, Crossing { estimate, why })| Event::BandwidthCrossed { transport, estimate, why };
        changes.extend(crossed.map(crossing));
        changes
    }

    /// Hand over at most `limit` of the ordered events.
    pub fn take_ordered(&mut self, limit: usize) -> impl Iterator<Item = Event> {
        self.ordered.drain(..limit.min(self.ordered.len())).map(|(event, _)| event)
    }

    /// How many datagrams wait, and their bytes.
    pub fn waiting_datagrams(&self) -> (u64, u64) {
        let sizes = self.ordered.iter().filter_map(|(_, size)| *size);
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size as u64))
    }
}
