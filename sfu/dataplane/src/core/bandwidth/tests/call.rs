//! A sender with the estimator, an allocator, a path and a receiver, under virtual time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::super::{BandwidthEstimator, PacketKind};
use super::allocator::{Allocator, LAYERS};
use super::cubic::Cubic;
use super::path::{Conditions, Path};
use super::receiver::Receiver;
use crate::core::tests::fuzz::Dice;
use crate::core::wire::rtcp::{RtcpPacket, read_untrusted};

const FRAME: f64 = 1.0 / 30.0; // seconds
/// A publisher's pacer spreads a frame over this time, in seconds, in bursts.
const PACED: f64 = 0.02;
const BURSTS: usize = 4;
/// A key frame is this many times as large as another one.
const KEY_FRAME: f64 = 4.0;
/// Frames differ from the mean by up to this share.
const UNEVEN: f64 = 0.2;
const PACKET: usize = 1150;
const PADDING: usize = 255;
const FEEDBACK: f64 = 0.1; // seconds
const SAMPLE: f64 = 0.05;

/// What is asked of the call.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The conditions from each time on.
    pub path: Vec<(f64, Conditions)>,
    pub seconds: f64,
    pub level: usize,
    /// The share of feedback that is lost, from one time to another.
    pub feedback_loss: (f64, f64, f64),
    /// The share of media that the publisher's own path loses, from this time on.
    pub publisher_loss: (f64, f64),
    /// The receiver's clock steps by so many seconds at a time.
    pub clock_step: (f64, f64),
    /// The client moves to another path at this time, and the estimator is told.
    pub moves_at: f64,
    pub cubic: Option<(f64, f64)>,
}

impl Plan {
    pub fn new(conditions: Conditions, seconds: f64) -> Self {
        let never = f64::INFINITY;
        Self {
            path: vec![(0.0, conditions)],
            seconds,
            level: 1,
            feedback_loss: (0.0, never, never),
            publisher_loss: (0.0, never),
            clock_step: (0.0, never),
            moves_at: never,
            cubic: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Frame,
    Burst { packets: usize, size: usize },
    Arrival { number: u64 },
    SendFeedback,
    Feedback(usize),
    Timer,
    Change(usize),
    Cubic { arrived: bool, sent_at: f64 },
    StartCubic,
    Step,
    Move,
    Sample,
}

#[derive(Debug)]
struct Due(f64, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

/// What was so at one time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: f64,
    pub estimate: f64,
    pub truth: f64,
    pub queue: f64,
    /// Bytes of media and of padding until then.
    pub media: usize,
    pub padding: usize,
}

pub struct Call {
    pub estimator: BandwidthEstimator,
    pub allocator: Allocator,
    pub cubic: Option<Cubic>,
    pub samples: Vec<Sample>,
    pub crossings: u32,
    plan: Plan,
    path: Path,
    receiver: Receiver,
    dice: Dice,
    events: BinaryHeap<Due>,
    order: u64,
    now: f64,
    numbers: u64,
    feedbacks: Vec<Vec<u8>>,
    key_frame: bool,
    timer_at: f64,
    media: usize,
    padding: usize,
}

impl Call {
    pub fn run(plan: &Plan, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let phase = dice.share() * FEEDBACK;
        let mut call = Self {
            estimator: BandwidthEstimator::new(0.0),
            allocator: Allocator::new(plan.level),
            cubic: None,
            samples: Vec::new(),
            crossings: 0,
            plan: plan.clone(),
            path: Path::new(plan.path[0].1, seed.wrapping_mul(77)),
            receiver: Receiver::default(),
            dice,
            events: BinaryHeap::new(),
            order: 0,
            now: 0.0,
            numbers: 0,
            feedbacks: Vec::new(),
            key_frame: true,
            timer_at: f64::INFINITY,
            media: 0,
            padding: 0,
        };
        call.estimator.set_round_trip(2.0 * plan.path[0].1.delay);
        (1..plan.path.len()).for_each(|place| call.at(plan.path[place].0, Event::Change(place)));
        let starts = [(0.0, Event::Frame), (phase, Event::SendFeedback), (0.0, Event::Sample)];
        let others = [(plan.clock_step.1, Event::Step), (plan.moves_at, Event::Move)];
        starts.into_iter().chain(others).for_each(|(at, event)| call.at(at, event));
        if let Some((from, _)) = plan.cubic {
            call.at(from, Event::StartCubic);
        }
        call.aim();
        while let Some(due) = call.events.pop().filter(|due| due.0 <= plan.seconds) {
            call.now = due.0;
            call.step(due.2);
        }
        call
    }

    fn at(&mut self, at: f64, event: Event) {
        if at.is_finite() {
            self.order += 1;
            self.events.push(Due(at, self.order, event));
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Frame => self.send_frame(),
            Event::Burst { packets, size } => {
                let publisher_loss =
                    if self.now >= self.plan.publisher_loss.1 { self.plan.publisher_loss.0 } else { 0.0 };
                for _ in 0..packets {
                    if !self.dice.chance(publisher_loss) {
                        self.send(size, PacketKind::Media);
                    }
                }
            }
            Event::Arrival { number } => self.receiver.receive(number, self.now),
            Event::SendFeedback => self.send_feedback(),
            Event::Feedback(place) => {
                let packet = std::mem::take(&mut self.feedbacks[place]);
                for read in read_untrusted(&packet) {
                    let Ok(RtcpPacket::TransportFeedback(feedback)) = read else { panic!("{read:?}") };
                    self.estimator.on_feedback(&feedback, self.now);
                }
                self.react();
            }
            Event::Timer => {
                if self.now >= self.timer_at {
                    self.timer_at = f64::INFINITY;
                    self.estimator.on_timer(self.now);
                    self.react();
                }
            }
            Event::Change(place) => self.path.change(self.plan.path[place].1, self.now),
            Event::StartCubic => {
                self.cubic = self.plan.cubic.map(|(from, ends)| Cubic::new(from, ends));
                self.pump_cubic();
            }
            Event::Cubic { arrived, sent_at } => {
                self.cubic.as_mut().unwrap().resolve(arrived, self.now - sent_at, self.now);
                self.pump_cubic();
            }
            Event::Step => self.receiver.clock_offset += self.plan.clock_step.0,
            Event::Move => {
                self.estimator.change_path(self.now);
                self.react();
            }
            Event::Sample => self.sample(),
        }
    }

    fn send_frame(&mut self) {
        self.at(self.now + FRAME, Event::Frame);
        if self.allocator.level == 0 {
            return;
        }
        let mean = LAYERS[self.allocator.level - 1] / 8.0 * FRAME;
        let scale = if std::mem::take(&mut self.key_frame) {
            KEY_FRAME
        } else {
            1.0 + UNEVEN * (2.0 * self.dice.share() - 1.0)
        };
        let packets = ((mean * scale / PACKET as f64).ceil() as usize).max(1);
        let size = (mean * scale / packets as f64) as usize;
        let bursts = packets.min(BURSTS);
        for burst in 0..bursts {
            let packets = packets / bursts + usize::from(burst < packets % bursts);
            self.at(self.now + PACED * burst as f64 / bursts as f64, Event::Burst { packets, size });
        }
    }

    fn send(&mut self, size: usize, kind: PacketKind) {
        let number = self.numbers;
        self.numbers += 1;
        assert_eq!(self.estimator.record(size, kind, self.now), number as u16);
        match kind {
            PacketKind::Probe => self.padding += size,
            _ => self.media += size,
        }
        if let Some(arrival) = self.path.send(size, self.now) {
            self.at(arrival, Event::Arrival { number });
        }
    }

    fn send_feedback(&mut self) {
        self.at(self.now + FEEDBACK, Event::SendFeedback);
        let Some(packet) = self.receiver.feedback(self.now) else { return };
        let (loss, from, to) = self.plan.feedback_loss;
        if (from..to).contains(&self.now) && self.dice.chance(loss) {
            return;
        }
        self.feedbacks.push(packet);
        let delay = self.path.conditions().delay;
        self.at(self.now + delay, Event::Feedback(self.feedbacks.len() - 1));
    }

    /// Take what the estimator has to say, and set its timer.
    fn react(&mut self) {
        while let Some(padding) = self.estimator.probe(self.now) {
            let packets = padding.div_ceil(PADDING).max(1);
            (0..packets).for_each(|_| self.send((padding / packets).max(20), PacketKind::Probe));
        }
        let crossing = self.estimator.take_crossing(self.now);
        self.crossings += u32::from(crossing.is_some());
        if self.allocator.decide(crossing, self.estimator.estimate(), self.now) {
            self.key_frame = true;
        }
        self.aim();
    }

    fn aim(&mut self) {
        let wanted = LAYERS[LAYERS.len() - 1];
        self.estimator.aim(self.allocator.used(), self.allocator.next(self.now), wanted, self.now);
        let due = self.estimator.next_due().max(self.now + 1e-6);
        if due < self.timer_at {
            self.timer_at = due;
            self.at(due, Event::Timer);
        }
    }

    fn pump_cubic(&mut self) {
        while let Some(size) = self.cubic.as_mut().and_then(|cubic| cubic.next(self.now)) {
            let delay = self.path.conditions().delay;
            let queued = self.path.queued(self.now);
            let arrival = self.path.send(size, self.now);
            let known_at = arrival.unwrap_or(self.now + queued + delay) + delay;
            self.at(known_at, Event::Cubic { arrived: arrival.is_some(), sent_at: self.now });
        }
    }

    fn sample(&mut self) {
        self.at(self.now + SAMPLE, Event::Sample);
        self.samples.push(Sample {
            at: self.now,
            estimate: self.estimator.estimate(),
            truth: self.path.conditions().rate,
            queue: self.path.queued(self.now),
            media: self.media,
            padding: self.padding,
        });
        if self.allocator.decide(None, self.estimator.estimate(), self.now) {
            self.key_frame = true;
            self.aim();
        }
    }

    /// When the top layer began last, at or after a time; infinite if it never did.
    pub fn top_from(&self, time: f64) -> f64 {
        if self.allocator.level_at(time) == LAYERS.len() {
            return time;
        }
        let tops = self.allocator.changes.iter().filter(|(at, level)| *at >= time && *level == LAYERS.len());
        tops.map(|(at, _)| *at).next().unwrap_or(f64::INFINITY)
    }

    /// The samples between two times.
    pub fn between(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| from <= sample.at && sample.at < to)
    }

    /// The rate of media between two times, in bits per second.
    pub fn sent_rate(&self, from: f64, to: f64) -> f64 {
        let bytes: Vec<usize> = self.between(from, to).map(|sample| sample.media).collect();
        8.0 * (bytes[bytes.len() - 1] - bytes[0]) as f64 / (to - from)
    }
}
