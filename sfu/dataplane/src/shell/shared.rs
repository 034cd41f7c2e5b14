//! The state that the thread and its owner share.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::busy_time::BusyTime;
use super::clock::Clock;
use super::sockets::Sockets;
use crate::core::Core;
use crate::fair_mutex::FairMutex;

/// The state that the thread and its owner share.
pub struct Shared {
    pub core: Arc<FairMutex<Core>>,
    /// The sockets that the thread uses from its next wake-up on.
    pub sockets: Mutex<Arc<Sockets>>,
    pub clock: Clock,
    /// Readable while there are events.
    pub events_ready: OwnedFd,
    /// `events_ready` is readable, or is about to be.
    pub signalled: AtomicBool,
    /// Readable when the thread must look at `sockets` and `closing`.
    pub wake: OwnedFd,
    pub pulse: Arc<Pulse>,
    /// Each turn of the loop fails, for tests.
    #[cfg(test)]
    pub fails: AtomicBool,
}

/// What shows whether the thread lives.  It is apart, because who looks at it must not keep the descriptors open.
pub struct Pulse {
    /// The owner has closed the shell.
    pub closing: AtomicBool,
    /// That of the shell's owner.
    pub clock: Clock,
    /// When the thread last began a turn of its loop, as the bits of a time in seconds.
    turned_at: AtomicU64,
    /// How much of its time the thread has not waited.
    pub busy: BusyTime,
}

impl Pulse {
    /// A thread that begins now.
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        let turned_at = AtomicU64::new(now.to_bits());
        Self { closing: AtomicBool::new(false), clock, turned_at, busy: BusyTime::since(now) }
    }

    /// The thread begins a turn of its loop.
    pub fn turn(&self) {
        self.turned_at.store(self.clock.now().to_bits(), Ordering::Release);
    }

    /// The thread has ended by itself.
    pub fn end(&self) {
        self.turned_at.store(f64::NEG_INFINITY.to_bits(), Ordering::Release);
    }

    /// For how many seconds the thread has not begun a turn of its loop; infinite once it has ended by itself.
    ///
    /// A healthy thread begins one at least every half second.  After the shell was closed it is 0.
    pub fn stalled_for(&self) -> f64 {
        if self.closing.load(Ordering::Acquire) {
            return 0.0;
        }
        (self.clock.now() - f64::from_bits(self.turned_at.load(Ordering::Acquire))).max(0.0)
    }

    /// For how many seconds the thread has been busy so far.
    pub fn busy_seconds(&self) -> f64 {
        self.busy.seconds(self.clock.now())
    }
}

impl Shared {
    /// The sockets to use from now on.
    pub fn sockets(&self) -> Arc<Sockets> {
        Arc::clone(&self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tell the owner that there are events.  The caller holds the lock of the core.
    pub fn signal_events(&self, core: &Core) {
        if core.has_events() && !self.signalled.swap(true, Ordering::AcqRel) {
            raise(&self.events_ready);
        }
    }
}

/// Make an eventfd readable.
pub fn raise(descriptor: impl AsFd) {
    // It can only fail when it was raised 2^64 times and never lowered, and is readable then.
    let _ = rustix::io::write(descriptor, &1u64.to_ne_bytes());
}

/// Make an eventfd not readable.
pub fn lower(descriptor: impl AsFd) {
    // It can only fail when it is not readable.
    let _ = rustix::io::read(descriptor, &mut [0; 8]);
}
