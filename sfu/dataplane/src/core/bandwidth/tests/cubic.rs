//! A TCP flow with Cubic (RFC 9438) through the same bottleneck.

const PACKET: usize = 1500;
const C: f64 = 0.4;
const BETA: f64 = 0.7;
const FIRST_WINDOW: f64 = 10.0; // packets

pub struct Cubic {
    window: f64,
    in_flight: u32,
    /// The window before the last loss, and its time.
    most: f64,
    lost_at: f64,
    slow_start: bool,
    pub delivered: usize,
    pub ends: f64,
}

impl Cubic {
    pub fn new(now: f64, ends: f64) -> Self {
        let window = FIRST_WINDOW;
        Self { window, in_flight: 0, most: 0.0, lost_at: now, slow_start: true, delivered: 0, ends }
    }

    /// The size of the next packet, if one may leave.
    pub fn next(&mut self, now: f64) -> Option<usize> {
        let may = f64::from(self.in_flight) < self.window && now < self.ends;
        self.in_flight += u32::from(may);
        may.then_some(PACKET)
    }

    /// The fate of a packet is known at the sender, `round_trip` seconds after it left.
    pub fn resolve(&mut self, arrived: bool, round_trip: f64, now: f64) {
        self.in_flight -= 1;
        if !arrived {
            if now - self.lost_at > round_trip {
                (self.most, self.lost_at, self.slow_start) = (self.window, now, false);
                self.window = (BETA * self.window).max(2.0);
            }
            return;
        }
        self.delivered += PACKET;
        if self.slow_start {
            self.window += 1.0;
            return;
        }
        let k = (self.most * (1.0 - BETA) / C).cbrt();
        let target = C * (now - self.lost_at + round_trip - k).powi(3) + self.most;
        let reno = self.most * BETA + 3.0 * (1.0 - BETA) / (1.0 + BETA) * (now - self.lost_at) / round_trip;
        let target = target.max(reno).clamp(self.window, 1.5 * self.window);
        self.window += (target - self.window) / self.window;
    }
}
