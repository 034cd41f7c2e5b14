//! Groups of packets that left together, and the time between two groups at both ends
//! (draft-ietf-rmcat-gcc-02 sections 5.1 and 5.2).

/// Packets that leave within this time are a group, in seconds.
const GROUP: f64 = 0.005;
/// Packets that arrive this close together, and faster than they left, were held up together.  In seconds.
const BURST: f64 = 0.005;
const LONGEST_BURST: f64 = 0.1;
/// So many groups in a row that arrive before the group before them mean another clock.
const MOST_REORDERED: u32 = 3;

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: f64,
    last_sent: f64,
    first_arrival: f64,
    last_arrival: f64,
}

/// The time between two groups, in whole milliseconds.
///
/// Finer times would add up to a trend that is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupDelta {
    /// Between the departures.
    pub sent: f64,
    /// Between the arrivals.
    pub arrived: f64,
    /// The arrival of the later group.
    pub at: f64,
}

/// Puts packets into groups; see the module.
#[derive(Debug, Default)]
pub struct PacketGroups {
    previous: Option<Group>,
    current: Option<Group>,
    reordered: u32,
}

fn millis(seconds: f64) -> f64 {
    (seconds * 1e3).round()
}

impl PacketGroups {
    /// Add a packet, in the order of arrival.  Gives the time between the last two groups once the later one is whole.
    ///
    /// Times are in seconds, each on its own clock.
    pub fn add(&mut self, sent_at: f64, arrival: f64) -> Option<GroupDelta> {
        let new = Group { first_sent: sent_at, last_sent: sent_at, first_arrival: arrival, last_arrival: arrival };
        let Some(current) = &mut self.current else {
            self.current = Some(new);
            return None;
        };
        if sent_at < current.first_sent {
            return None; // it was overtaken
        }
        if sent_at - current.first_sent <= GROUP || Self::is_burst(current, sent_at, arrival) {
            current.last_sent = current.last_sent.max(sent_at);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let whole = self.current.replace(new)?;
        let delta = self.previous.replace(whole).map(|previous| GroupDelta {
            sent: millis(whole.last_sent) - millis(previous.last_sent),
            arrived: millis(whole.last_arrival) - millis(previous.last_arrival),
            at: millis(whole.last_arrival),
        })?;
        if delta.arrived < 0.0 {
            self.reordered += 1;
            if self.reordered >= MOST_REORDERED {
                *self = Self::default();
            }
            return None;
        }
        self.reordered = 0;
        Some(delta)
    }

    fn is_burst(current: &Group, sent_at: f64, arrival: f64) -> bool {
        let sent = sent_at - current.last_sent;
        let arrived = arrival - current.last_arrival;
        sent == 0.0 || (arrived < sent && arrived <= BURST && arrival - current.first_arrival < LONGEST_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_leave_together_are_one_group() {
        let mut groups = PacketGroups::default();
        for (sent_at, arrival) in [(0.0, 0.02), (0.003, 0.024), (0.03, 0.05), (0.034, 0.056)] {
            assert_eq!(groups.add(sent_at, arrival), None);
        }
        assert_eq!(groups.add(0.06, 0.08), Some(GroupDelta { sent: 31.0, arrived: 32.0, at: 56.0 }));
    }

    #[test]
    fn packets_that_were_held_up_together_are_one_group() {
        let mut groups = PacketGroups::default();
        assert_eq!(groups.add(0.0, 0.02), None);
        assert_eq!(groups.add(0.02, 0.1), None);
        // They left 10 ms apart and arrive 1 ms apart.
        assert_eq!(groups.add(0.03, 0.101), None);
        assert_eq!(groups.add(0.04, 0.102), None);
        assert_eq!(groups.add(0.1, 0.13), Some(GroupDelta { sent: 40.0, arrived: 82.0, at: 102.0 }));
    }

    #[test]
    fn packets_that_were_overtaken_do_not_count() {
        let mut groups = PacketGroups::default();
        assert_eq!(groups.add(0.02, 0.04), None);
        assert_eq!(groups.add(0.01, 0.05), None);
        assert_eq!(groups.add(0.04, 0.06), None);
        assert_eq!(groups.add(0.06, 0.08), Some(GroupDelta { sent: 20.0, arrived: 20.0, at: 60.0 }));
    }
}
