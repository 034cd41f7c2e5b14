//! One direction of an emulated network under virtual time.

use super::super::fuzz::Dice;

/// The faults of a link.  Times are in seconds, shares from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The share of datagrams that are lost.
    pub loss: f64,
    /// How many datagrams a burst of losses has on average.  1 loses each datagram by itself.
    pub burst: f64,
    /// The share of datagrams that arrive twice.
    pub duplicates: f64,
    /// The time on the way.
    pub delay: f64,
    /// Up to this much is added to the delay of each datagram.  Datagrams then overtake each other.
    pub jitter: f64,
}

impl Faults {
    /// No fault and no delay.
    pub const NONE: Self = Self { loss: 0.0, burst: 1.0, duplicates: 0.0, delay: 0.0, jitter: 0.0 };
}

/// Takes datagrams and gives them back when they arrive.
pub struct Link {
    pub faults: Faults,
    dice: Dice,
    /// A burst of losses goes on (the bad state of Gilbert's model).
    losing: bool,
    /// Each datagram with its arrival time, unordered: there are few.
    on_the_way: Vec<(f64, Vec<u8>)>,
    pub sent: u64,
    pub lost: u64,
}

impl Link {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, dice: Dice::new(seed), losing: false, on_the_way: Vec::new(), sent: 0, lost: 0 }
    }

    pub fn send(&mut self, datagram: Vec<u8>, now: f64) {
        self.sent += 1;
        if self.loses() {
            self.lost += 1;
            return;
        }
        if self.dice.chance(self.faults.duplicates) {
            let at = self.arrival(now);
            self.on_the_way.push((at, datagram.clone()));
        }
        let at = self.arrival(now);
        self.on_the_way.push((at, datagram));
    }

    fn arrival(&mut self, now: f64) -> f64 {
        now + self.faults.delay + self.faults.jitter * self.dice.share()
    }

    /// The chances give the mean length of a burst and the share of all losses.
    fn loses(&mut self) -> bool {
        let Faults { loss, burst, .. } = self.faults;
        if burst <= 1.0 {
            return self.dice.chance(loss);
        }
        let begins = loss / (burst * (1.0 - loss));
        self.losing = if self.losing { !self.dice.chance(1.0 / burst) } else { self.dice.chance(begins) };
        self.losing
    }

    /// When the next datagram arrives, in seconds.
    pub fn next_at(&self) -> Option<f64> {
        self.on_the_way.iter().map(|(at, _)| *at).min_by(f64::total_cmp)
    }

    /// The datagrams that have arrived by `now`, in the order of their arrival.
    pub fn arrived(&mut self, now: f64) -> Vec<Vec<u8>> {
        let mut arrived: Vec<_> = self.on_the_way.extract_if(.., |(at, _)| *at <= now).collect();
        arrived.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        arrived.into_iter().map(|(_, datagram)| datagram).collect()
    }
}

#[test]
fn a_link_loses_its_share_alone_and_in_bursts() {
    for burst in [1.0, 5.0] {
        let mut link = Link::new(Faults { loss: 0.1, burst, ..Faults::NONE }, 1);
        let mut runs = 0;
        let mut lost_before = 0;
        for number in 0..100_000u32 {
            let lost = link.lost;
            link.send(vec![], f64::from(number));
            runs += u32::from(link.lost > lost && lost_before == 0);
            lost_before = link.lost - lost;
        }
        let share = link.lost as f64 / link.sent as f64;
        let mean = link.lost as f64 / f64::from(runs);
        assert!((share - 0.1).abs() < 0.01, "{share}");
        // Losses by themselves make short runs, too.
        assert!((mean - burst.max(1.0 / 0.9)).abs() < 0.3, "{mean}");
    }
}

#[test]
fn jitter_reorders_and_duplicates_come_twice() {
    let mut link = Link::new(Faults { duplicates: 0.5, delay: 1.0, jitter: 0.5, ..Faults::NONE }, 1);
    (0..100u8).for_each(|number| link.send(vec![number], 0.0));
    assert!(link.next_at().is_some_and(|at| (1.0..1.1).contains(&at)));
    let arrived = link.arrived(1.5);
    assert!((130..170).contains(&arrived.len()) && !arrived.is_sorted());
    assert_eq!(link.next_at(), None);
}
