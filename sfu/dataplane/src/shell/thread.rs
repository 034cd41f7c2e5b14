//! The thread: wait, receive, move, send, tell; and again.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::inbox::Inbox;
use super::shared::{Shared, lower};
use super::sockets::Sockets;
use crate::core::{Core, Path};
use crate::guard::{guarded, words};

/// Datagrams for which the lock is held: with 200 receivers some milliseconds.
const BATCH: usize = 8;
/// A thread that goes wrong outside the core more often than this stays ended.
const MAX_PANICS: usize = 3;

/// Run until closed; what panics is told, and the thread goes on with an empty core.
pub fn supervise(shared: &Shared) {
    for _ in 0..MAX_PANICS {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(shared))) else { return };
        let mut core = shared.core.lock();
        core.fail(words(panic.as_ref()));
        shared.tell(&core);
    }
}

fn run(shared: &Shared) {
    let mut inbox = Inbox::default();
    while !shared.closing.load(Ordering::Acquire) {
        run_with(shared, &shared.sockets(), &mut inbox);
    }
}

/// Run with these sockets, until woken.
fn run_with(shared: &Shared, sockets: &Sockets, inbox: &mut Inbox) {
    // Something may be due already: it waited while the sockets were others.
    let (mut due, mut unread_since) = (Some(0.0), None);
    let mut watched = vec![PollFd::new(&shared.wake, PollFlags::IN)];
    watched.extend(sockets.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)));
    let mut woken = false;
    while !woken {
        woken = wait(shared, &mut watched, due);
        let mut all_read = true;
        for ((local, socket), watched) in sockets.iter().zip(&watched[1..]) {
            if !watched.revents().is_empty() {
                all_read = false;
                let messages = socket.receive(inbox);
                move_all(shared, sockets, inbox, messages, local);
            }
        }
        let mut core = shared.core.lock();
        let now = shared.clock.now();
        // Held up for long, the thread would take those for silent whose requests wait in its sockets.
        let since = *unread_since.get_or_insert(now);
        if all_read || now - since > LONGEST_READING {
            unread_since = None;
            let _ = guarded(&mut core, |core| core.pass_time(now));
        }
        due = flush(shared, sockets, &mut core);
    }
}

/// So long nobody is taken for silent while there is more to read, in seconds: a busy plane always has more.
const LONGEST_READING: f64 = 1.0;

/// How long the thread sleeps at most, in seconds.  What a command makes due meanwhile is the silence of a client: told
/// so much late at most.
const LONGEST_SLEEP: f64 = 0.5;

/// Return when there is something to do, in any case at `due` (seconds); whether the owner woke the thread.
fn wait(shared: &Shared, watched: &mut [PollFd<'_>], due: Option<f64>) -> bool {
    let seconds = due.map_or(LONGEST_SLEEP, |due| (due - shared.clock.now()).clamp(0.0, LONGEST_SLEEP));
    let timeout = Timespec { tv_sec: 0, tv_nsec: (seconds * 1e9) as i64 };
    // Interrupted or not: all is looked at anyway.
    let _ = poll(watched, Some(&timeout));
    let woken = !watched[0].revents().is_empty();
    if woken {
        lower(&shared.wake);
    }
    woken
}

/// Work off the inbox, in batches, between which commands have their turn.
fn move_all(shared: &Shared, sockets: &Sockets, inbox: &mut Inbox, messages: usize, local: u32) {
    let mut datagrams = inbox.datagrams(messages).peekable();
    while datagrams.peek().is_some() {
        let mut core = shared.core.lock();
        let now = shared.clock.now();
        // What went wrong is told like any event.
        let _ = guarded(&mut core, |core| {
            for (datagram, remote) in datagrams.by_ref().take(BATCH) {
                core.receive(datagram, Path { remote, local }, now);
            }
        });
        flush(shared, sockets, &mut core);
    }
}

/// Send what is due and tell what is to be told; when more is due, in seconds.
fn flush(shared: &Shared, sockets: &Sockets, core: &mut Core) -> Option<f64> {
    let now = shared.clock.now();
    let flushed = guarded(core, |core| {
        core.flush(now, sockets.max_segments(), |path, bytes, segment| sockets.send(path, bytes, segment));
        core.next_due()
    });
    shared.tell(core);
    flushed.unwrap_or(None)
}
