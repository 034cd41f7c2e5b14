//! A mutex that a busy thread cannot keep to itself.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Two mutexes, one behind the other: the door and the inside.
///
/// A waiting thread holds the door while it waits for the inside.  The thread that has just been inside must pass the
/// door again, so the waiting one comes first.  With a plain mutex the running thread takes the lock again as long as
/// it has work.  A mutex that hands over to sleeping threads helps only once they sleep, which takes long on a busy
/// machine.
#[derive(Default)]
pub struct FairMutex<T> {
    door: Mutex<()>,
    inside: Mutex<T>,
}

impl<T> FairMutex<T> {
    /// An unlocked mutex.
    pub fn new(inside: T) -> Self {
        Self { door: Mutex::new(()), inside: Mutex::new(inside) }
    }

    /// Wait for the lock: not longer than the threads inside and at the door need.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let _held = ignore_poison(self.door.lock());
        ignore_poison(self.inside.lock())
    }

    /// Take the lock if no other thread holds it or waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let _held = self.door.try_lock().ok()?;
        match self.inside.try_lock() {
            Ok(inside) => Some(inside),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Ignore poisoning: a panic inside is caught there, and leaves the core usable ([`crate::guard`]).
fn ignore_poison<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn a_waiting_thread_gets_the_lock_soon_although_another_takes_it_without_pause() {
        let (mutex, over) = (FairMutex::new(0u32), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut inside = mutex.lock();
                    *inside += 1;
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(1) {
                        std::hint::spin_loop();
                    }
                }
            });
            for _ in 0..50 {
                let before = *mutex.lock();
                std::thread::sleep(Duration::from_millis(2));
                let asked = Instant::now();
                let inside = mutex.lock();
                // The other thread had the lock many times meanwhile.  This one must get it at all, and soon.
                assert!(*inside >= before);
                assert!(asked.elapsed() < Duration::from_secs(1));
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn try_lock_fails_while_the_lock_is_held_and_a_panic_releases_it() {
        let mutex = FairMutex::new(0);
        let inside = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(inside);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _inside = mutex.lock();
                panic!("inside");
            });
            assert!(thread.join().is_err());
        });
        assert!(mutex.try_lock().is_some());
        *mutex.lock() = 1;
    }
}
