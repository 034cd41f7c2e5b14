//! The datagrams that wait for room in one stream.
//!
//! A stream that is slower than its videos must leave some of them out.  It leaves out whole frames, since a part of a
//! frame is of no use.  Everything else (audio, reports, STUN, DTLS) goes ahead of the videos and has room of its own.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::time::{Duration, Instant};

use super::framing::{append, frame_size};

/// A frame of a video begins only while fewer bytes than this wait.
const MOST_VIDEO: usize = 128 * 1024;
/// The lowest value of this limit, for a slow client.
const LEAST_VIDEO: usize = 16 * 1024;
/// A frame that has begun goes on until so many bytes wait.  Only many large frames at once reach this limit.
const MOST_BEGUN: usize = 640 * 1024;
/// Everything but videos gets this room, in bytes.
const MOST_URGENT: usize = 64 * 1024;
/// After this time of waiting, the speed of the client is measured.
const MEASURED_AFTER: Duration = Duration::from_millis(500);
/// A measured speed counts for this long.
const SPEED_KEPT: Duration = Duration::from_secs(10);
/// The most SSRCs that are remembered.
const MOST_SSRCS: usize = 2048;
/// Bytes of memory that an empty buffer keeps.
const KEPT: usize = 16 * 1024;

const RTP_HEADER: usize = 12;

/// Frames with their lengths in one piece of memory.  The first one may have left in part.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// Bytes of the first frame that are still to leave, if some have left.
    begun: usize,
}

impl Buffer {
    fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Take away bytes that left.
    fn advance(&mut self, mut left: usize) {
        while left > 0 {
            if self.begun == 0 {
                self.begun = frame_size(&self.bytes[self.start..]);
            }
            let step = left.min(self.begun);
            self.start += step;
            self.begun -= step;
            left -= step;
        }
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
            self.start = 0;
        } else if self.start > KEPT && self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

/// The speed at which a client takes the bytes that wait for it.
#[derive(Default)]
struct Speed {
    /// Since when something has waited without a break, and the bytes that left since.
    waiting: Option<(Instant, usize)>,
    /// Bytes in a second, and when they were measured.
    measured: Option<(f64, Instant)>,
}

impl Speed {
    /// So many bytes left.  `empty` says that no others wait.
    fn on_sent(&mut self, bytes: usize, empty: bool, now: Instant) {
        let (since, sent) = self.waiting.get_or_insert((now, 0));
        *sent += bytes;
        let waited = now.saturating_duration_since(*since);
        if waited >= MEASURED_AFTER {
            self.measured = Some((*sent as f64 / waited.as_secs_f64(), now));
            self.waiting = Some((now, 0));
        }
        if empty {
            self.waiting = None;
        }
    }

    /// Bytes that the client takes in about a second.
    fn room(&mut self, now: Instant) -> usize {
        if self.waiting.is_some() {
            self.on_sent(0, false, now);
        }
        let recent = |&(_, at): &(f64, Instant)| now.saturating_duration_since(at) < SPEED_KEPT;
        let measured = self.measured.filter(recent).map(|(speed, _)| speed as usize);
        measured.map_or(MOST_VIDEO, |room| room.clamp(LEAST_VIDEO, MOST_VIDEO))
    }
}

/// The datagrams that wait for room in one stream.
#[derive(Default)]
pub struct SendQueue {
    urgent: Buffer,
    video: Buffer,
    /// The newest frame of each video's SSRC, by its timestamp, and whether it is sent.
    frames: HashMap<u32, (u32, bool)>,
    speed: Speed,
}

impl SendQueue {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.urgent.len() + self.video.len()
    }

    /// Append a datagram.  Gives whether it was taken.  `crowded` says that no frame may begin now.
    pub fn push(&mut self, datagram: &[u8], video: bool, crowded: bool, now: Instant) -> bool {
        let (buffer, taken) = if video && datagram.len() >= RTP_HEADER {
            let taken = self.takes_video(datagram, crowded, now);
            (&mut self.video, taken)
        } else {
            let taken = self.urgent.len() < MOST_URGENT;
            (&mut self.urgent, taken)
        };
        if taken {
            append(datagram, &mut buffer.bytes);
        }
        taken
    }

    /// Whether the frame of this packet is sent.  Its first packet decides for all.
    fn takes_video(&mut self, packet: &[u8], crowded: bool, now: Instant) -> bool {
        let number = |at| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let (timestamp, ssrc) = (number(4), number(8));
        if let Some((of, sent)) = self.frames.get_mut(&ssrc)
            && *of == timestamp
        {
            *sent &= self.video.len() < MOST_BEGUN;
            return *sent;
        }
        let sent = self.video.len() == 0 || !crowded && self.video.len() < self.speed.room(now);
        if self.frames.len() >= MOST_SSRCS {
            self.frames.clear();
        }
        self.frames.insert(ssrc, (timestamp, sent));
        sent
    }

    /// Write as much as there is room for.  A datagram that has left in part goes first, then everything but video.
    pub fn write_to(&mut self, stream: &mut impl Write, now: Instant) -> io::Result<()> {
        while self.len() > 0 {
            let (begun, behind) = self.video.waiting().split_at(self.video.begun);
            let slices = [begun, self.urgent.waiting(), behind].map(IoSlice::new);
            let left = match stream.write_vectored(&slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(left) => left,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.speed.on_sent(0, false, now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let first = left.min(begun.len());
            let second = (left - first).min(self.urgent.len());
            self.video.advance(first);
            self.urgent.advance(second);
            self.video.advance(left - first - second);
            self.speed.on_sent(left, self.len() == 0, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that takes so many bytes.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn narrow(room: usize) -> Narrow {
        Narrow { room, taken: Vec::new() }
    }

    fn packet(ssrc: u32, timestamp: u32, size: usize) -> Vec<u8> {
        let mut packet = vec![0x80, 96, 0, 0];
        packet.extend(timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.resize(size, ssrc as u8);
        packet
    }

    fn push_frame(queue: &mut SendQueue, ssrc: u32, timestamp: u32, packets: usize, now: Instant) -> Vec<bool> {
        (0..packets).map(|_| queue.push(&packet(ssrc, timestamp, 1000), true, false, now)).collect()
    }

    /// The SSRCs of the packets that left, and whether the last one is whole.
    fn left(stream: &Narrow) -> (Vec<u8>, bool) {
        let (mut rest, mut found) = (&stream.taken[..], Vec::new());
        while rest.len() >= 2 && rest.len() >= frame_size(rest) {
            found.push(rest[frame_size(rest) - 1]);
            rest = &rest[frame_size(rest)..];
        }
        (found, rest.is_empty())
    }

    #[test]
    fn a_frame_is_sent_whole_or_not_at_all() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        // It is the first, and may be larger than the room.
        assert_eq!(push_frame(&mut queue, 1, 1, 200, now), [true; 200]);
        assert_eq!(push_frame(&mut queue, 1, 2, 3, now), [false; 3]);
        assert_eq!(push_frame(&mut queue, 2, 2, 3, now), [false; 3]);
        let mut stream = narrow(usize::MAX);
        queue.write_to(&mut stream, now).unwrap();
        // There is room again, but the frame has begun to be left out.
        assert_eq!(push_frame(&mut queue, 1, 2, 3, now), [false; 3]);
        assert_eq!(push_frame(&mut queue, 1, 3, 3, now), [true; 3]);
        queue.write_to(&mut stream, now).unwrap();
        assert_eq!(left(&stream), (vec![1; 203], true));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn other_packets_overtake_videos_but_not_in_the_middle_of_a_packet() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        push_frame(&mut queue, 1, 1, 3, now);
        let mut stream = narrow(1500);
        queue.write_to(&mut stream, now).unwrap();
        assert!(queue.push(&packet(7, 1, 100), false, false, now));
        assert!(queue.push(&packet(8, 1, 100), false, false, now));
        stream.room = 650;
        queue.write_to(&mut stream, now).unwrap();
        assert_eq!(left(&stream), (vec![1, 1, 7], false));
        stream.room = usize::MAX;
        queue.write_to(&mut stream, now).unwrap();
        assert_eq!(left(&stream), (vec![1, 1, 7, 8, 1], true));
    }

    #[test]
    fn every_cut_of_the_stream_leaves_the_packets_whole() {
        for step in 1..300 {
            let (mut queue, now) = (SendQueue::default(), Instant::now());
            let mut stream = narrow(0);
            for round in 0..20 {
                queue.push(&packet(1, round, 150), true, false, now);
                queue.push(&packet(2, round, 50), false, false, now);
                stream.room = step;
                queue.write_to(&mut stream, now).unwrap();
            }
            stream.room = usize::MAX;
            queue.write_to(&mut stream, now).unwrap();
            let (mut found, whole) = left(&stream);
            found.sort_unstable();
            assert_eq!((found, whole), ([vec![1; 20], vec![2; 20]].concat(), true), "{step}");
        }
    }

    #[test]
    fn a_client_that_reads_nothing_costs_a_bounded_amount_of_memory() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        for number in 0..10_000 {
            queue.push(&packet(number, 1, 1000), true, false, now);
            queue.push(&packet(1, 1, 1000), true, false, now);
            queue.push(&packet(number, 1, 1000), false, false, now);
        }
        assert!(queue.len() < MOST_BEGUN + MOST_URGENT + 3000, "{}", queue.len());
        assert!(queue.frames.len() <= MOST_SSRCS);
    }

    #[test]
    fn about_a_second_of_video_waits_for_a_slow_client() {
        let (mut queue, mut now) = (SendQueue::default(), Instant::now());
        let mut stream = narrow(0);
        let mut taken = Vec::new();
        // 30 frames of 5,000 bytes a second, to a client that takes 50,000 bytes.
        for frame in 0..300 {
            taken.push(push_frame(&mut queue, 1, frame, 5, now)[0]);
            stream.room = 1667;
            queue.write_to(&mut stream, now).unwrap();
            now += Duration::from_millis(33);
        }
        let sent = taken[240..].iter().filter(|sent| **sent).count();
        assert!((18..=22).contains(&sent), "{sent} of 60 frames");
        assert!((40_000..60_000).contains(&queue.len()), "{}", queue.len());
    }

    #[test]
    fn an_empty_queue_keeps_little_memory() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        push_frame(&mut queue, 1, 1, 200, now);
        queue.write_to(&mut narrow(usize::MAX), now).unwrap();
        assert!(queue.video.bytes.capacity() <= KEPT);
    }
}
