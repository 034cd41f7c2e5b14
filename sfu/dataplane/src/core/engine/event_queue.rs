//! Events that wait for the slow path.

use std::collections::VecDeque;

use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::event::{Event, MAX_EVENTS};
use crate::core::interface::spec::Id;

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
}

impl EventQueue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty() && self.learned.is_empty() && self.flowing.is_empty()
    }

    /// How many events wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.ordered.len() + self.learned.len() + self.flowing.len()
    }

    /// Queue a datagram of `size` bytes; fails with [`DropReason::EventsFull`] once [`MAX_EVENTS`] wait.
    pub fn push_datagram(&mut self, event: Event, size: usize) -> Result<(), DropReason> {
        if self.ordered.len() >= MAX_EVENTS {
            return Err(DropReason::EventsFull);
        }
        self.ordered.push_back((event, Some(size)));
        Ok(())
    }

    /// Queue a change of a client's liveness.  There is always room: a transport has at most one such event waiting.
    pub fn push_liveness(&mut self, event: Event) {
        self.ordered.push_back((event, None));
    }

    /// Queue the failure of the whole core, of which everything else was forgotten.
    pub fn push_failure(&mut self, why: String) {
        self.ordered.push_back((Event::PlaneFailed { why }, None));
    }

    /// Take back what waits about this client's liveness, because it is over.  Whether something did.
    pub fn retract_liveness(&mut self, transport: Id) -> bool {
        let before = self.ordered.len();
        self.ordered.retain(|(event, _)| !event.is_liveness_of(transport));
        self.ordered.len() < before
    }

    /// Whether it waits here that this client fell silent.
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

    /// Drop all events of a transport that is gone.
    pub fn forget_transport(&mut self, transport: Id) {
        self.ordered.retain(|(event, _)| !event.is_of(transport));
    }

    /// Drop all events of a producer that is gone.
    pub fn forget_producer(&mut self, producer: Id) {
        self.learned.retain(|(id, _, _)| *id != producer);
        self.flowing.retain(|(id, _)| *id != producer);
    }

    /// Hand over what was learned and what flows.
    pub fn take_changes(&mut self) -> Vec<Event> {
        let learned = self.learned.drain(..);
        let mut changes: Vec<Event> =
            learned.map(|(producer, encoding, ssrc)| Event::EncodingLearned { producer, encoding, ssrc }).collect();
        let flowing = self.flowing.drain(..);
        changes.extend(flowing.map(|(producer, encoding)| Event::EncodingFlows { producer, encoding }));
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
