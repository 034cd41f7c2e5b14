//! The streams of clients that media reaches over TCP (ICE-TCP: RFC 6544, RFC 4571).
//!
//! The front door accepts a connection and reads its first frame.  A Binding request with the right password brings the
//! connection here.  From then on it is one more path of its transport.  An epoll instance watches all streams, and the
//! thread watches the instance.  So streams cost nothing while only datagrams come.

pub(crate) mod framing;
mod send_queue;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::core::{DropReason, FIRST_STREAM, Id, Path};
pub use framing::Frames;
use stream::{Common, Pushed};
pub use stream::{READ_MEMORY, Stream};

/// Streams that one transport may have.  A browser opens one for each of its networks and each of our addresses.
const MOST_OF_A_TRANSPORT: usize = 16;
/// Streams that have their turn in one wake-up of the thread.
const TURNS: usize = 16;
/// A stream whose path no transport knows is closed after this time.  A goodbye can still leave meanwhile.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// The time between two looks for such streams, and how many one look sees.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_AT: usize = 1024;

/// Why a connection did not become a stream.
#[derive(Debug)]
pub enum NotAdopted {
    /// Its transport has too many streams.
    TooMany,
    /// The system refused, or the client is gone.
    Failed(io::Error),
}

impl From<io::Error> for NotAdopted {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A stream that has something to read or room to write.
pub struct Turn {
    pub stream: Arc<Stream>,
    flags: EventFlags,
}

#[derive(Default)]
struct Open {
    by_number: BTreeMap<u32, Arc<Stream>>,
    /// How many streams each transport has.
    owned: HashMap<Id, usize>,
    /// How many numbers were given so far.
    numbers: u32,
    /// The number up to which streams were looked at, and when.
    looked_to: u32,
    looked_at: Option<Instant>,
}

/// All streams of a plane.
pub struct Streams {
    common: Common,
    open: Mutex<Open>,
    /// Streams that have something to write.
    unsent: Mutex<Vec<Arc<Stream>>>,
}

impl Streams {
    /// No streams yet.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let common = Common { epoll, queued: AtomicUsize::new(0) };
        Ok(Self { common, open: Mutex::default(), unsent: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// The number of streams, and the bytes that wait in them.
    pub fn counts(&self) -> (usize, usize) {
        (self.open().by_number.len(), self.common.queued.load(Ordering::Relaxed))
    }

    /// Use a TCP connection as a stream of this transport.  `first` are the bytes that were read from it.
    ///
    /// The caller keeps its descriptor, and closes it.  The connection must not block.
    pub fn adopt(&self, connection: BorrowedFd<'_>, owner: Id, first: &[u8]) -> Result<(), NotAdopted> {
        let io = TcpStream::from(connection.try_clone_to_owned()?);
        let remote = io.peer_addr()?;
        let mut open = self.open();
        let owned = open.owned.get(&owner).copied().unwrap_or(0);
        if owned >= MOST_OF_A_TRANSPORT {
            return Err(NotAdopted::TooMany);
        }
        let number = open.next_number();
        let stream = Arc::new(Stream::new(io, Path { remote, local: number }, owner, first));
        // There is room to write, so the thread comes to the stream at once, and finds its first bytes.
        stream.watch(&self.common)?;
        open.owned.insert(owner, owned + 1);
        open.by_number.insert(number, stream);
        Ok(())
    }

    /// The streams whose turn it is.  The others follow in the next wake-up.
    pub fn turns(&self) -> Vec<Turn> {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; TURNS];
        let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
        let count = epoll::wait(&self.common.epoll, &mut events, Some(&no_time)).unwrap_or(0);
        let open = self.open();
        let turn = |event: &epoll::Event| {
            let (flags, data) = (event.flags, event.data);
            let stream = open.by_number.get(&(data.u64() as u32))?;
            Some(Turn { stream: Arc::clone(stream), flags })
        };
        events[..count].iter().filter_map(turn).collect()
    }

    /// Write to a stream that has room again.
    pub fn use_room(&self, turn: &Turn) {
        if turn.flags.contains(EventFlags::OUT) {
            turn.stream.write(&self.common);
        }
    }

    /// Queue a datagram for [`Streams::write`].  Fails with the reason.
    pub fn push(&self, path: Path, datagram: &[u8], video: bool) -> Result<(), DropReason> {
        let stream = self.open().by_number.get(&path.local).map(Arc::clone).ok_or(DropReason::SendFailed)?;
        match stream.push(datagram, video, &self.common) {
            Pushed::Waits { first } => {
                if first {
                    lock(&self.unsent).push(stream);
                }
                Ok(())
            }
            Pushed::NoRoom => Err(DropReason::SendWouldBlock),
            Pushed::Broken => Err(DropReason::SendFailed),
        }
    }

    /// Write everything that was pushed, as far as there is room.
    pub fn write(&self) {
        for stream in lock(&self.unsent).drain(..) {
            stream.write(&self.common);
        }
    }

    /// Close a stream.
    pub fn close(&self, stream: &Stream) {
        let mut open = self.open();
        if open.by_number.remove(&stream.path.local).is_some() {
            open.disown(stream.owner);
            stream.close(&self.common);
        }
    }

    /// Close streams of which no transport has known for some time.
    pub fn close_unknown(&self, now: Instant, known: impl Fn(Path) -> bool) {
        let looked_at = self.open().next_look(now);
        for stream in looked_at {
            if stream.note_known(known(stream.path), now) >= UNKNOWN_FOR {
                self.close(&stream);
            }
        }
    }
}

impl Open {
    /// A number that no stream has.  The numbers begin anew after two thousand million streams.
    fn next_number(&mut self) -> u32 {
        loop {
            let number = FIRST_STREAM | self.numbers;
            self.numbers = (self.numbers + 1) % FIRST_STREAM;
            if !self.by_number.contains_key(&number) {
                return number;
            }
        }
    }

    fn disown(&mut self, owner: Id) {
        if let Some(count) = self.owned.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.owned.remove(&owner);
            }
        }
    }

    /// The streams to look at now: all of them in turn, some at a time.
    fn next_look(&mut self, now: Instant) -> Vec<Arc<Stream>> {
        let due = self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_EVERY);
        if !due || self.by_number.is_empty() {
            return Vec::new();
        }
        self.looked_at = Some(now);
        let looked_at: Vec<_> = self.by_number.range(self.looked_to..).take(LOOK_AT).collect();
        self.looked_to =
            if looked_at.len() < LOOK_AT { 0 } else { looked_at.last().map_or(0, |(number, _)| **number + 1) };
        looked_at.into_iter().map(|(_, stream)| Arc::clone(stream)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The descriptor is readable while a stream has a turn.
impl AsFd for Streams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.common.epoll.as_fd()
    }
}
