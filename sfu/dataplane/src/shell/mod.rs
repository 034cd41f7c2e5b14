//! The core in a thread of its own, with sockets.
//!
//! The thread never calls Python; Python reads what it is told when [`Shell::descriptor`] is readable, and gives its
//! commands under the core's lock, which the thread holds for one batch at most.

mod clock;
mod inbox;
#[cfg(test)]
mod segmentation;
mod shared;
mod sockets;
mod thread;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

use crate::core::{Core, Event};
use crate::fair_mutex::FairMutex;
use crate::guard::guarded;
use clock::Clock;
use shared::{Shared, lower, raise};
pub use sockets::Sockets;

/// How long a video frame's packets may wait for its last, in seconds.
pub const HOLD: f64 = 0.001;

/// Owns the thread; it ends when this is closed or dropped.
pub struct Shell {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shell {
    /// Move packets between the core and the sockets from now on, which is `now` on the caller's clock in seconds.
    pub fn start(core: Arc<FairMutex<Core>>, sockets: Arc<Sockets>, now: f64) -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let shared = Arc::new(Shared {
            core,
            sockets: Mutex::new(sockets),
            clock: Clock::starting_at(now),
            told: eventfd(0, flags)?,
            telling: AtomicBool::new(false),
            wake: eventfd(0, flags)?,
            closing: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("data plane".into()).spawn(move || thread::supervise(&of_thread))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Go on with these sockets, after the batch that the thread is at.
    pub fn replace_sockets(&self, sockets: Arc<Sockets>) {
        *self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner) = sockets;
        raise(&self.shared.wake);
    }

    /// Readable while there are events.
    pub fn descriptor(&self) -> RawFd {
        self.shared.told.as_raw_fd()
    }

    /// At most `limit` datagrams and everything else that is to be told.
    pub fn take_events(&self, limit: usize) -> Vec<Event> {
        let mut core = self.shared.core.lock();
        let events = guarded(&mut core, |core| core.take_events(limit)).unwrap_or_default();
        if !core.has_events() {
            lower(&self.shared.told);
            self.shared.telling.store(false, Ordering::Release);
        }
        events
    }

    /// End the thread, after the batch that it is at.  Twice does nothing.
    pub fn close(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        raise(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
