//! The packet path without sockets and clocks: datagrams and `now` in, bursts and events out.
//!
//! [`Core`] holds no policy.  It opens, rewrites, seals, forwards and counts, and hands up what it cannot decide.  A
//! shell hands in datagrams through [`Core::receive`], sends what [`Core::flush`] gives, and takes events.

mod address;
mod burst;
mod clock;
mod commands;
mod consent;
mod copies;
mod demux;
mod drops;
mod events;
mod extensions;
mod feedback;
#[cfg(test)]
mod hex;
mod incoming;
mod leaving;
mod moving;
mod numbering;
mod outgoing;
mod packet_path;
mod payload;
mod reception;
mod reports;
mod routing;
mod rtp;
mod spec;
mod srtp;
mod statistics;
mod stun;
mod table;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::{HashMap, VecDeque};

use consent::Answer;
use incoming::Producer;
use outgoing::Consumer;
use rtp::Element;
use table::{ConsumerKey, ProducerKey, Table, TransportKey};
use transport::Transport;

pub use address::Path;
pub use clock::SourceClock;
pub use drops::{Drop, Drops};
pub use events::{ConsumerStats, EncodingStats, Event, MAX_EVENTS, ProducerStats, Totals};
pub use feedback::Reception;
pub use leaving::{Leaving, Receipt};
pub use reception::IDLE_AFTER;
pub use spec::{ConsumerSpec, EncodingSpec, Id, ProducerSpec, Refused};
pub use srtp::{MAX_DATAGRAM, MAX_SOURCES, Profile, Srtp};
pub use stun::Credentials;

/// The tables, what waits to leave, what waits to be told.
#[derive(Default)]
pub struct Core {
    transports: Table<TransportKey, Transport>,
    producers: Table<ProducerKey, Producer>,
    consumers: Table<ConsumerKey, Consumer>,
    by_path: HashMap<Path, TransportKey>,
    datagrams: VecDeque<Event>,
    /// Producer, encoding, SSRC.
    learned: Vec<(Id, usize, u32)>,
    changed: Vec<ConsumerKey>,
    /// Producers and their encodings that flow again.
    flowing: Vec<(Id, usize)>,
    /// Who has fallen silent, is lost, or came back: at most one of each transport.
    lives: Vec<Event>,
    /// How many datagrams were handed out while these waited.
    lives_behind: usize,
    /// Nobody falls silent before.
    silence_at: Option<f64>,
    /// To Binding requests, empty between calls of a shell.
    answers: Vec<Answer>,
    /// Transports whose bursts are not empty.
    dirty: Vec<TransportKey>,
    drops: Drops,
    packets_in: u64,
    bytes_in: u64,
    packets_out: u64,
    bytes_out: u64,
    serial: u64,
    /// How many sender reports became due.
    reports: u64,
    /// Empty between calls; its memory is kept.
    report: Vec<u8>,
    hold: f64,
    #[cfg(test)]
    sabotaged: bool,
    elements: Vec<Element>,
    /// Empty between calls; its memory is kept.
    outcomes: Vec<(Receipt, Option<Drop>)>,
    /// The same, for packets that are made equal.
    padded: Vec<u8>,
}

impl Core {
    /// `hold` is how long a video frame's packets may wait for its last, in seconds.
    pub fn new(hold: f64) -> Self {
        Self { hold, ..Self::default() }
    }

    /// Whether there is anything to tell.
    pub fn has_events(&self) -> bool {
        let changed = !(self.learned.is_empty() && self.flowing.is_empty() && self.changed.is_empty());
        changed || !(self.lives.is_empty() && self.datagrams.is_empty())
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

    /// What came of the datagrams since the last call: changes first, then what the slow path has to read, of which at
    /// most `limit`, and at last who is silent: what is still to be read may be a sign of life.  That waits for no more
    /// than there was to read, or whoever floods us would keep everybody alive.
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
        let read = limit.min(self.datagrams.len());
        events.extend(self.datagrams.drain(..read));
        self.lives_behind = if self.lives.is_empty() { 0 } else { self.lives_behind + read };
        if self.datagrams.is_empty() || self.lives_behind >= MAX_EVENTS {
            events.append(&mut self.lives);
        }
        events
    }
}
