//! One TCP connection with a client: it carries datagrams in frames, both ways.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::framing::MAX_FRAME;
use super::send_queue::SendQueue;
use crate::core::{Id, Path};

/// Bytes that one turn of one stream reads at most, besides the beginning of a frame that it had.
const TURN: usize = 16 * 1024;
/// The size of the memory for [`Stream::read`].
pub const READ_MEMORY: usize = MAX_FRAME + TURN;

/// No frame of a video begins while so many bytes wait in all streams together.
const CROWDED: usize = 64 * 1024 * 1024;
/// No datagram is taken while so many bytes wait in all streams together.
const FULL: usize = 96 * 1024 * 1024;

/// The parts that all streams share: the epoll instance that watches them, and how many bytes wait in them.
pub struct Common {
    pub epoll: OwnedFd,
    pub queued: AtomicUsize,
}

/// One stream.
pub struct Stream {
    io: TcpStream,
    pub path: Path,
    /// The transport whose password its client knew.
    pub owner: Id,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The beginning of a frame whose end is still to come.
    partial: Vec<u8>,
    queue: SendQueue,
    /// It is in the list of those that have something to write.
    listed: bool,
    /// The epoll instance waits for room to write.
    awaits_room: bool,
    broken: bool,
    /// Since when no transport takes datagrams from it.
    unknown_since: Option<Instant>,
}

/// The fate of a pushed datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.  `first` says that the caller must put the stream into the list of those that write.
    Waits { first: bool },
    /// There was no room.
    NoRoom,
    /// The connection is gone.
    Broken,
}

/// The result of one turn of reading.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Bytes in the memory.
    pub size: usize,
    /// Nothing more will come.
    pub ended: bool,
}

impl Stream {
    /// A stream on a connection that does not block.  `first` are the bytes that were read from it already.
    pub fn new(io: TcpStream, path: Path, owner: Id, first: &[u8]) -> Self {
        let state = State { partial: first.to_vec(), ..State::default() };
        Self { io, path, owner, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Read once into the memory, behind the beginning of a frame that was kept.
    pub fn read(&self, memory: &mut [u8]) -> Reading {
        let kept = {
            let partial = &mut self.state().partial;
            memory[..partial.len()].copy_from_slice(partial);
            let kept = partial.len();
            partial.clear();
            kept
        };
        let (read, ended) = match (&self.io).read(&mut memory[kept..]) {
            Ok(read) => (read, read == 0),
            Err(error) => (0, !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)),
        };
        Reading { size: kept + read, ended }
    }

    /// Keep the beginning of a frame for the next turn.
    pub fn keep(&self, partial: &[u8]) {
        self.state().partial.extend_from_slice(partial);
    }

    /// Let the epoll instance watch it, also for room to write.
    pub fn watch(&self, common: &Common) -> io::Result<()> {
        self.state().awaits_room = true;
        Ok(epoll::add(&common.epoll, &self.io, self.event_data(), EventFlags::IN | EventFlags::OUT)?)
    }

    fn event_data(&self) -> EventData {
        EventData::new_u64(u64::from(self.path.local))
    }

    /// Append a datagram to those that wait.
    pub fn push(&self, datagram: &[u8], video: bool, common: &Common) -> Pushed {
        let queued = common.queued.load(Ordering::Relaxed);
        let mut state = self.state();
        if state.broken {
            return Pushed::Broken;
        }
        let before = state.queue.len();
        if queued >= FULL || !state.queue.push(datagram, video, queued >= CROWDED, Instant::now()) {
            return Pushed::NoRoom;
        }
        common.queued.fetch_add(state.queue.len() - before, Ordering::Relaxed);
        Pushed::Waits { first: !std::mem::replace(&mut state.listed, true) }
    }

    /// Write as much as there is room for.  The rest leaves when the epoll instance says that there is room.
    pub fn write(&self, common: &Common) {
        let mut state = self.state();
        state.listed = false;
        let before = state.queue.len();
        if state.queue.write_to(&mut &self.io, Instant::now()).is_err() {
            // The thread finds that nothing more comes, and closes the stream.
            let _ = self.io.shutdown(Shutdown::Both);
            state.broken = true;
            state.queue = SendQueue::default();
        }
        let after = state.queue.len();
        common.queued.fetch_sub(before - after, Ordering::Relaxed);
        if (after > 0) != state.awaits_room {
            state.awaits_room = after > 0;
            let flags = if after > 0 { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            // It can only fail once the stream is closed.
            let _ = epoll::modify(&common.epoll, &self.io, self.event_data(), flags);
        }
    }

    /// Forget what waits, and take nothing more.
    pub fn close(&self, common: &Common) {
        let mut state = self.state();
        state.broken = true;
        common.queued.fetch_sub(std::mem::take(&mut state.queue).len(), Ordering::Relaxed);
        let _ = epoll::delete(&common.epoll, &self.io);
    }

    /// Note whether a transport takes datagrams from it.  Gives the time for which none has.
    pub fn note_known(&self, known: bool, now: Instant) -> Duration {
        let mut state = self.state();
        if known {
            state.unknown_since = None;
            return Duration::ZERO;
        }
        now.saturating_duration_since(*state.unknown_since.get_or_insert(now))
    }
}
