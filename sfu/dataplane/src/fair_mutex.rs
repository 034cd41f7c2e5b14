//! A lock that whoever works without pause takes turns with others for.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A mutex with a door before it: who waits holds the door, so that who has just been inside comes after.
///
/// A plain mutex is taken again by the thread that is running, for as long as that has something to do; and a fair one
/// hands over only to who sleeps already, which takes long on a busy machine.
#[derive(Default)]
pub struct FairMutex<T> {
    door: Mutex<()>,
    inside: Mutex<T>,
}

impl<T> FairMutex<T> {
    pub fn new(inside: T) -> Self {
        Self { door: Mutex::new(()), inside: Mutex::new(inside) }
    }

    /// Wait for one's turn: not longer than those inside and at the door take.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let _held = through(self.door.lock());
        through(self.inside.lock())
    }

    /// Go in if nobody is there.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let _held = self.door.try_lock().ok()?;
        match self.inside.try_lock() {
            Ok(inside) => Some(inside),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// What panics inside is caught there, and leaves everything as it should be ([`crate::guard`]).
fn through<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn who_comes_while_another_works_without_pause_has_the_next_turn_but_one() {
        let (turns, over) = (FairMutex::new(0u32), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut inside = turns.lock();
                    *inside += 1;
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(1) {
                        std::hint::spin_loop();
                    }
                }
            });
            for _ in 0..50 {
                let before = *turns.lock();
                std::thread::sleep(Duration::from_millis(2));
                let asked = Instant::now();
                let inside = turns.lock();
                // Many turns passed while it slept; what counts is that it comes in at all, and soon.
                assert!(*inside >= before);
                assert!(asked.elapsed() < Duration::from_secs(1));
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn nobody_goes_in_where_somebody_is_and_a_panic_locks_nobody_out() {
        let turns = FairMutex::new(0);
        let inside = turns.lock();
        assert!(turns.try_lock().is_none());
        drop(inside);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _inside = turns.lock();
                panic!("inside");
            });
            assert!(thread.join().is_err());
        });
        assert!(turns.try_lock().is_some());
        *turns.lock() = 1;
    }
}
