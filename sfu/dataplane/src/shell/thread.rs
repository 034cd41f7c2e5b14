//! The loop of the thread: wait, receive, forward, send, and signal events.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::arrival_clock::ArrivalClock;
use super::receive_buffers::ReceiveBuffers;
use super::shared::{Shared, lower};
use super::sockets::{Socket, Sockets};
use super::streams::{Frames, READ_MEMORY};
use crate::core::{Core, Path};
use crate::guard::{guarded, message_of};

/// Datagrams for which the lock is held at a time: with 200 receivers this takes some milliseconds.
const BATCH: usize = 8;
/// After this many panics outside the core the thread ends for good.
const MAX_PANICS: usize = 3;

/// Run until closed.  After a panic an event tells the slow path, and the thread goes on with an empty core.
pub fn supervise(shared: &Shared) {
    for _ in 0..MAX_PANICS {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(shared))) else { return };
        let mut core = shared.core.lock();
        core.fail(message_of(panic.as_ref()));
        shared.signal_events(&core);
    }
    shared.pulse.end();
}

fn run(shared: &Shared) {
    let mut reader = Reader {
        buffers: ReceiveBuffers::default(),
        arrivals: ArrivalClock::default(),
        stream_memory: vec![0; READ_MEMORY],
    };
    while !shared.pulse.closing.load(Ordering::Acquire) {
        run_with(shared, &shared.sockets(), &mut reader);
    }
}

/// The state that the thread keeps when its sockets change.
struct Reader {
    buffers: ReceiveBuffers,
    arrivals: ArrivalClock,
    stream_memory: Vec<u8>,
}

/// Run with these sockets until the owner wakes the thread.
fn run_with(shared: &Shared, sockets: &Sockets, reader: &mut Reader) {
    // Something may have become due while the thread changed its sockets.
    let (mut due, mut unread_since) = (Some(0.0), None);
    let mut watched = vec![PollFd::new(&shared.wake, PollFlags::IN), PollFd::new(sockets.streams(), PollFlags::IN)];
    watched.extend(sockets.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)));
    let mut woken = false;
    while !woken {
        woken = wait(shared, &mut watched, due);
        shared.pulse.turn();
        #[cfg(test)]
        assert!(!shared.fails.load(Ordering::Acquire), "a test lets the loop fail");
        let mut all_read = true;
        for ((local, socket), watched) in sockets.iter().zip(&watched[2..]) {
            if !watched.revents().is_empty() {
                all_read = false;
                read_socket(shared, sockets, (local, socket), reader);
            }
        }
        if !watched[1].revents().is_empty() {
            all_read = false;
            serve_streams(shared, sockets, &mut reader.stream_memory);
        }
        let mut core = shared.core.lock();
        let now = shared.clock.now();
        // After a stall, read the sockets before declaring a client silent: its requests may still wait there.
        let since = *unread_since.get_or_insert(now);
        if all_read || now - since > LONGEST_READING {
            unread_since = None;
            let _ = guarded(&mut core, |core| core.pass_time(now));
        }
        sockets.streams().close_unknown(Instant::now(), |path| core.knows_path(path));
        due = flush(shared, sockets, &mut core);
    }
}

/// How long deadlines may wait for sockets that always have more to read, in seconds.
const LONGEST_READING: f64 = 1.0;

/// How long the thread sleeps at most, in seconds.
///
/// A command does not wake it, so a deadline that a command sets may be handled this much late.  Only the silence of a
/// client, the first receiver report and the rates to aim at have such deadlines, and none is urgent.
const LONGEST_SLEEP: f64 = 0.5;

/// Return when there is something to do, and at `due` (seconds) at the latest.  Gives whether the owner woke the
/// thread.
fn wait(shared: &Shared, watched: &mut [PollFd<'_>], due: Option<f64>) -> bool {
    let now = shared.clock.now();
    let seconds = due.map_or(LONGEST_SLEEP, |due| (due - now).clamp(0.0, LONGEST_SLEEP));
    let timeout = Timespec { tv_sec: 0, tv_nsec: (seconds * 1e9) as i64 };
    // After an interruption the loop looks at everything anyway.
    shared.pulse.busy.pause(now);
    let _ = poll(watched, Some(&timeout));
    shared.pulse.busy.resume(shared.clock.now());
    let woken = !watched[0].revents().is_empty();
    if woken {
        lower(&shared.wake);
    }
    woken
}

/// Read from one socket, and hand over what has arrived.
fn read_socket(shared: &Shared, sockets: &Sockets, (local, socket): (u32, &Socket), reader: &mut Reader) {
    let Reader { buffers, arrivals, .. } = reader;
    let messages = socket.receive(buffers);
    // Both clocks are read only once for all messages: what follows may take milliseconds.
    let arrival = arrivals.read(shared.clock.now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let stamped = buffers.datagrams(messages);
    let datagrams = stamped.map(|(datagram, remote, stamp)| (datagram, remote, Some(arrival(stamp))));
    move_all(shared, sockets, datagrams, local);
}

/// Read from the streams whose turn it is, and write to those that have room again.
fn serve_streams(shared: &Shared, sockets: &Sockets, memory: &mut [u8]) {
    let streams = sockets.streams();
    for turn in streams.turns() {
        streams.use_room(&turn);
        let (stream, path) = (&turn.stream, turn.stream.path);
        let reading = stream.read(memory);
        let mut frames = Frames::of_untrusted(&mut memory[..reading.size]);
        move_all(shared, sockets, frames.by_ref().map(|datagram| (datagram, path.remote, None)), path.local);
        match frames.rest().filter(|_| !reading.ended) {
            Some(partial) => stream.keep(partial),
            None => {
                streams.close(stream);
                let mut core = shared.core.lock();
                let now = shared.clock.now();
                let _ = guarded(&mut core, |core| core.stream_closed(path, now));
                flush(shared, sockets, &mut core);
            }
        }
    }
}

/// Hand datagrams to the core in batches.  Between two batches a waiting command gets the lock.
///
/// Each has the address that it came from, and the time of its arrival if that is not now.
fn move_all<'a>(
    shared: &Shared,
    sockets: &Sockets,
    datagrams: impl Iterator<Item = (&'a mut [u8], SocketAddr, Option<f64>)>,
    local: u32,
) {
    let mut datagrams = datagrams.peekable();
    while datagrams.peek().is_some() {
        let mut core = shared.core.lock();
        let now = shared.clock.now();
        // A panic comes out as an event.
        let _ = guarded(&mut core, |core| {
            for (datagram, remote, arrived) in datagrams.by_ref().take(BATCH) {
                core.receive_arrived(datagram, Path { remote, local }, arrived.unwrap_or(now), now);
            }
        });
        flush(shared, sockets, &mut core);
    }
}

/// Send what is due, and tell the owner of events.  Gives the next deadline, in seconds.
fn flush(shared: &Shared, sockets: &Sockets, core: &mut Core) -> Option<f64> {
    let now = shared.clock.now();
    let flushed = guarded(core, |core| {
        core.flush_departures(now, sockets.max_segments(), || shared.clock.now(), |one| sockets.depart(one));
        core.next_due()
    });
    sockets.streams().write();
    shared.signal_events(core);
    flushed.unwrap_or(None)
}
