//! The core's state: its tables and what waits to leave or to be told.

use std::collections::{HashMap, VecDeque};

use crate::core::interface::drop_reason::{Drop, Drops};
use crate::core::interface::event::Event;
use crate::core::interface::spec::Id;
use crate::core::paths::consent_path::Answer;
use crate::core::paths::send_path::Receipt;
use crate::core::receive::producer::Producer;
use crate::core::send::consumer::Consumer;
use crate::core::table::{ConsumerKey, ProducerKey, Table, TransportKey};
use crate::core::transport::Transport;
use crate::core::wire::address::Path;
use crate::core::wire::rtp::Element;

/// The tables, what waits to leave, what waits to be told.
#[derive(Default)]
pub struct Core {
    pub(super) transports: Table<TransportKey, Transport>,
    pub(super) producers: Table<ProducerKey, Producer>,
    pub(super) consumers: Table<ConsumerKey, Consumer>,
    pub(super) by_path: HashMap<Path, TransportKey>,
    /// For the slow path to read; and behind what came before it, who fell silent, is lost, or came back.
    pub(super) datagrams: VecDeque<Event>,
    /// Producer, encoding, SSRC.
    pub(super) learned: Vec<(Id, usize, u32)>,
    pub(super) changed: Vec<ConsumerKey>,
    /// Producers and their encodings that flow again.
    pub(super) flowing: Vec<(Id, usize)>,
    /// Nobody falls silent before.
    pub(super) silence_at: Option<f64>,
    /// To Binding requests, empty between calls of a shell.
    pub(super) answers: Vec<Answer>,
    /// Transports whose bursts are not empty.
    pub(super) dirty: Vec<TransportKey>,
    pub(super) drops: Drops,
    pub(super) packets_in: u64,
    pub(super) bytes_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) serial: u64,
    /// How many sender reports became due.
    pub(super) reports: u64,
    /// Empty between calls; its memory is kept.
    pub(super) report: Vec<u8>,
    pub(super) hold: f64,
    #[cfg(test)]
    pub(super) sabotaged: bool,
    pub(super) elements: Vec<Element>,
    /// Empty between calls; its memory is kept.
    pub(super) outcomes: Vec<(Receipt, Option<Drop>)>,
    /// The same, for packets that are made equal.
    pub(super) padded: Vec<u8>,
}

impl Core {
    /// `hold` is how long a video frame's packets may wait for its last, in seconds.
    pub fn new(hold: f64) -> Self {
        Self { hold, ..Self::default() }
    }

    /// Whether there is anything to tell.
    pub fn has_events(&self) -> bool {
        let changed = !(self.learned.is_empty() && self.flowing.is_empty() && self.changed.is_empty());
        changed || !self.datagrams.is_empty()
    }

    /// Make the next packet that is forwarded panic.
    #[cfg(test)]
    pub fn sabotage(&mut self) {
        self.sabotaged = true;
    }

    /// Forget everything but the totals: what this core did went wrong.  The slow path is told.
    pub fn fail(&mut self, why: String) {
        let hold = self.hold;
        let Self { drops, packets_in, bytes_in, packets_out, bytes_out, .. } = std::mem::take(self);
        let datagrams = VecDeque::from([Event::Failed { why }]);
        *self = Self { datagrams, drops, packets_in, bytes_in, packets_out, bytes_out, hold, ..Self::default() };
    }

    /// What came of the datagrams since the last call: changes first, then what the slow path has to read and who fell
    /// silent, in their order, of which at most `limit`.
    pub fn take_events(&mut self, limit: usize) -> Vec<Event> {
        let learned = self.learned.drain(..);
        let mut events: Vec<Event> =
            learned.map(|(producer, encoding, ssrc)| Event::Learned { producer, encoding, ssrc }).collect();
        events.extend(self.flowing.drain(..).map(|(producer, encoding)| Event::Flows { producer, encoding }));
        for key in std::mem::take(&mut self.changed) {
            let layers = self.layers(key);
            let consumer = &mut self.consumers[key];
            consumer.changed = false;
            if layers != consumer.reported {
                consumer.reported = layers;
                events.push(Event::Layers { consumer: consumer.id, encoding: layers.0, temporal: layers.1 });
            }
        }
        events.extend(self.datagrams.drain(..limit.min(self.datagrams.len())));
        events
    }
}
