//! The core in a thread of its own, with sockets.
//!
//! The thread never calls Python.  Python takes events when [`Shell::descriptor`] is readable, and gives its commands
//! under the core's lock.  The thread holds that lock for one batch of datagrams at most.

mod arrival_clock;
mod busy_time;
mod clock;
mod receive_buffers;
#[cfg(test)]
mod segmentation;
mod shared;
mod sockets;
pub(crate) mod streams;
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
pub use shared::Pulse;
use shared::{Shared, lower, raise};
pub use sockets::Sockets;
pub use streams::{NotAdopted, Streams};

/// How long the packets of a video frame may wait for its last one, in seconds.
pub const HOLD: f64 = 0.001;

/// Owns the thread, which ends when the shell is closed or dropped.
pub struct Shell {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shell {
    /// Start to move packets between the core and the sockets.  `now` is the time on the caller's clock, in seconds.
    pub fn start(core: Arc<FairMutex<Core>>, sockets: Arc<Sockets>, now: f64) -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let clock = Clock::starting_at(now);
        let shared = Arc::new(Shared {
            core,
            sockets: Mutex::new(sockets),
            clock,
            events_ready: eventfd(0, flags)?,
            signalled: AtomicBool::new(false),
            wake: eventfd(0, flags)?,
            pulse: Arc::new(Pulse::new(clock)),
            #[cfg(test)]
            fails: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("data plane".into()).spawn(move || thread::supervise(&of_thread))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Use these sockets from the thread's next batch on.
    pub fn replace_sockets(&self, sockets: Arc<Sockets>) {
        *self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner) = sockets;
        raise(&self.shared.wake);
    }

    /// A descriptor that is readable while there are events.
    pub fn descriptor(&self) -> RawFd {
        self.shared.events_ready.as_raw_fd()
    }

    /// A view of the thread that never waits for it.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.shared.pulse)
    }

    /// Take all changes and at most `limit` datagrams.
    pub fn take_events(&self, limit: usize) -> Vec<Event> {
        let mut core = self.shared.core.lock();
        let events = guarded(&mut core, |core| core.take_events(limit)).unwrap_or_default();
        if !core.has_events() {
            lower(&self.shared.events_ready);
            self.shared.signalled.store(false, Ordering::Release);
        }
        events
    }

    /// End the thread after its current batch.  Calling it twice does nothing.
    pub fn close(&mut self) {
        self.shared.pulse.closing.store(true, Ordering::Release);
        raise(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            // The thread catches its own panics, so there is no error to see.
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
