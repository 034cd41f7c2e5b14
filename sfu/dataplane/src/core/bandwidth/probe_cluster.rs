//! Packets at a higher rate for a short time, to see whether they arrive as fast.

use super::sent_packets::SentPacket;

/// Packets that a cluster needs.
const LEAST_PACKETS: u32 = 5;
/// The share of the bytes that must arrive.
const LEAST_ARRIVED: f64 = 0.8;
/// A cluster that gets its packets too slowly ends after this time beyond its duration, in seconds.
const PATIENCE: f64 = 0.2;
/// Packets that arrive this much faster than they left were held up on the way.
const MOST_COMPRESSED: f64 = 2.0;
/// A path that passes on less than this share of the rate is full.  Then its rate, less a reserve, is the result.
const FULL: f64 = 0.9;
const RESERVE: f64 = 0.95;
/// The last part of a cluster begins after this share of it.
const LATE: f64 = 0.6;
/// A smaller amount of padding waits for the next step, in bytes.
const LEAST_PADDING: f64 = 60.0;

/// What a cluster has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// What the path carries at least, in bits per second.
    pub rate: f64,
    /// The share of the bytes that was lost.
    pub loss: f64,
    /// How much longer the packets of the last quarter took than those of the first, in seconds.
    pub queued: f64,
}

/// The first and the last of some times, with the bytes of each.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: (f64, usize),
    last: (f64, usize),
}

impl Span {
    fn add(span: &mut Option<Self>, at: f64, size: usize) {
        let span = span.get_or_insert(Self { first: (at, 0), last: (at, 0) });
        if at == span.first.0 {
            span.first.1 += size;
        } else if at < span.first.0 {
            span.first = (at, size);
        }
        if at == span.last.0 {
            span.last.1 += size;
        } else if at > span.last.0 {
            span.last = (at, size);
        }
    }

    fn time(&self) -> f64 {
        self.last.0 - self.first.0
    }
}

/// A cluster: it paces its packets, and measures them.
#[derive(Debug)]
pub struct ProbeCluster {
    /// 1 to 255; packets carry it.
    pub id: u8,
    /// Bits per second.
    pub rate: f64,
    duration: f64,
    step: f64,
    began: f64,
    next_at: f64,
    /// When the last packet of it may have left; `None` while it goes on.
    ended_at: Option<f64>,
    packets: u32,
    sent: usize,
    arrived: usize,
    arrived_packets: u32,
    lost: usize,
    departures: Option<Span>,
    arrivals: Option<Span>,
    /// Bytes of the last part that arrived, and that are missing.
    late_arrived: usize,
    late_lost: usize,
    /// The least delay in the first and the last quarter.
    first_delay: f64,
    last_delay: f64,
}

impl ProbeCluster {
    /// A cluster at `rate` (bits per second) for `duration` seconds that begins now.
    pub fn new(id: u8, rate: f64, duration: f64, now: f64) -> Self {
        Self {
            id,
            rate,
            duration,
            step: (duration / 4.0).clamp(0.004, 0.02),
            began: now,
            next_at: now,
            ended_at: None,
            packets: 0,
            sent: 0,
            arrived: 0,
            arrived_packets: 0,
            lost: 0,
            departures: None,
            arrivals: None,
            late_arrived: 0,
            late_lost: 0,
            first_delay: f64::INFINITY,
            last_delay: f64::INFINITY,
        }
    }

    /// A packet leaves.  Returns whether it belongs to the cluster.
    pub fn on_sent(&mut self, size: usize) -> bool {
        if self.ended_at.is_none() {
            self.packets += 1;
            self.sent += size;
        }
        self.ended_at.is_none()
    }

    /// When to ask for padding; infinite once all was sent.
    pub fn due(&self) -> f64 {
        if self.ended_at.is_none() { self.next_at } else { f64::INFINITY }
    }

    /// When its last packet left, in seconds.
    pub fn ended_at(&self) -> Option<f64> {
        self.ended_at
    }

    /// Send nothing more.
    pub fn end(&mut self, now: f64) {
        self.ended_at.get_or_insert(now);
    }

    /// The bytes that are missing now, beside what was sent anyway.
    pub fn padding(&mut self, now: f64) -> Option<usize> {
        if now < self.due() {
            return None;
        }
        let passed = now - self.began;
        if passed >= self.duration && (self.packets >= LEAST_PACKETS || passed >= self.duration + PATIENCE) {
            self.end(now);
            return None;
        }
        self.next_at = now + self.step;
        let missing = self.rate / 8.0 * (passed + self.step) - self.sent as f64;
        (missing >= LEAST_PADDING).then_some(missing as usize)
    }

    /// One of its packets arrived.
    pub fn on_arrived(&mut self, packet: &SentPacket, arrival: f64) {
        let late = self.place(packet) > LATE;
        if packet.was_lost {
            self.lost = self.lost.saturating_sub(packet.size);
            self.late_lost = self.late_lost.saturating_sub(if late { packet.size } else { 0 });
        }
        self.arrived += packet.size;
        self.late_arrived += if late { packet.size } else { 0 };
        self.arrived_packets += 1;
        Span::add(&mut self.departures, packet.sent_at, packet.size);
        Span::add(&mut self.arrivals, arrival, packet.size);
        let (delay, place) = (arrival - packet.sent_at, self.place(packet));
        if place < 0.25 {
            self.first_delay = self.first_delay.min(delay);
        } else if place > 0.75 {
            self.last_delay = self.last_delay.min(delay);
        }
    }

    /// One of its packets is missing.
    pub fn on_lost(&mut self, packet: &SentPacket) {
        self.lost += packet.size;
        self.late_lost += if self.place(packet) > LATE { packet.size } else { 0 };
    }

    /// When the packet left, as a share of the duration.
    fn place(&self, packet: &SentPacket) -> f64 {
        (packet.sent_at - self.began) / self.duration
    }

    /// The rate that the last part arrived with, in bits per second, and the share of it that was lost.
    pub fn late(&self) -> (f64, f64) {
        let rate = 8.0 * self.late_arrived as f64 / ((1.0 - LATE) * self.duration);
        (rate, self.late_lost as f64 / (self.late_lost + self.late_arrived).max(1) as f64)
    }

    /// Whether all packets have left, and feedback has come about each.
    pub fn is_complete(&self) -> bool {
        self.ended_at.is_some() && self.arrived + self.lost >= self.sent
    }

    /// Whether enough packets were there to send.
    pub fn was_sent(&self) -> bool {
        self.packets >= LEAST_PACKETS && self.sent as f64 >= LEAST_ARRIVED * self.rate / 8.0 * self.duration
    }

    /// Whether any of its packets arrived.
    pub fn was_answered(&self) -> bool {
        self.arrived_packets > 0
    }

    /// The share of the resolved bytes that was lost.
    pub fn loss(&self) -> f64 {
        self.lost as f64 / (self.lost + self.arrived).max(1) as f64
    }

    /// Whether it is sure already that the whole cluster loses more than this share.
    pub fn loses(&self, share: f64) -> bool {
        let whole = (self.rate / 8.0 * self.duration).max(self.sent as f64);
        self.lost as f64 > share * whole
    }

    /// How much longer the packets take by the end, in seconds.
    pub fn queued(&self) -> f64 {
        let queued = self.last_delay - self.first_delay;
        if queued.is_finite() { queued.max(0.0) } else { 0.0 }
    }

    /// The result; `None` if too few packets arrived, or if they left at once.
    pub fn measure(&self) -> Option<Measurement> {
        let (departures, arrivals) = (self.departures?, self.arrivals?);
        let enough =
            self.arrived_packets + 1 >= LEAST_PACKETS && self.arrived as f64 >= LEAST_ARRIVED * self.sent as f64;
        if !enough || departures.time() < self.duration / 3.0 || arrivals.time() <= 0.0 {
            return None;
        }
        // The time of a stream without its last packet, and without its first one at the other end.
        let sent = 8.0 * (self.arrived - departures.last.1) as f64 / departures.time();
        let received = 8.0 * (self.arrived - arrivals.first.1) as f64 / arrivals.time();
        if received > MOST_COMPRESSED * sent {
            return None;
        }
        let rate = if received < FULL * sent { RESERVE * received } else { sent.min(received) };
        Some(Measurement { rate, loss: self.loss(), queued: self.queued() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster of 15 ms at 3 Mbit/s over a path of this rate, in packets of 500 bytes.
    fn over(path_rate: f64) -> ProbeCluster {
        let mut cluster = ProbeCluster::new(1, 3e6, 0.015, 10.0);
        let mut sent = Vec::new();
        while cluster.due().is_finite() {
            let now = cluster.due();
            let padding = cluster.padding(now).unwrap_or(0);
            for _ in 0..padding.div_ceil(500) {
                assert!(cluster.on_sent(500));
                sent.push(now);
            }
        }
        let mut free_at = 0.0_f64;
        for sent_at in sent {
            free_at = free_at.max(sent_at) + 4000.0 / path_rate;
            let packet = SentPacket { sent_at, size: 500, cluster: 1, was_lost: false, was_unreported: false };
            cluster.on_arrived(&packet, free_at + 500.0);
        }
        cluster
    }

    #[test]
    fn a_path_with_room_shows_the_rate_of_the_cluster() {
        let cluster = over(100e6);
        assert!(cluster.is_complete() && cluster.was_sent() && !over(100e6).on_sent(1));
        let rate = cluster.measure().unwrap().rate;
        assert!((0.95..1.15).contains(&(rate / 3e6)), "{rate}");
    }

    #[test]
    fn a_full_path_shows_its_own_rate() {
        let measured = over(1e6).measure().unwrap();
        assert!((measured.rate / 0.95e6 - 1.0).abs() < 0.02, "{measured:?}");
        assert!(measured.queued > 0.02, "{measured:?}");
    }

    #[test]
    fn a_cluster_that_leaves_at_once_or_does_not_arrive_shows_nothing() {
        let mut cluster = ProbeCluster::new(1, 3e6, 0.015, 10.0);
        (0..10).for_each(|_| _ = cluster.on_sent(600));
        let packet = SentPacket { sent_at: 10.0, size: 600, cluster: 1, was_lost: false, was_unreported: false };
        for number in 0..10 {
            cluster.on_arrived(&packet, 10.0 + f64::from(number) * 0.001);
        }
        assert_eq!(cluster.measure(), None);
        let mut lossy = ProbeCluster::new(1, 3e6, 0.015, 10.0);
        (0..10).for_each(|_| _ = lossy.on_sent(600));
        (0..7).for_each(|number| {
            let sent_at = 10.0 + f64::from(number) * 0.002;
            lossy.on_arrived(&SentPacket { sent_at, ..packet }, sent_at + 1.0);
        });
        (0..3).for_each(|_| lossy.on_lost(&packet));
        assert_eq!((lossy.measure(), lossy.loss()), (None, 0.3));
    }

    #[test]
    fn a_cluster_without_packets_ends() {
        let mut cluster = ProbeCluster::new(1, 3e6, 0.015, 10.0);
        let mut steps = 0;
        while cluster.due().is_finite() {
            cluster.padding(cluster.due());
            steps += 1;
        }
        assert!(steps < 100 && !cluster.was_sent() && !cluster.was_answered());
    }
}
