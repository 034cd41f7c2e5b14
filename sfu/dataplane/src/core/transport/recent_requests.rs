//! The requests that came lately, so that a repeated one is recognised.

/// How many requests are remembered.  A client sends one on each of its paths every few seconds.
const REMEMBERED: usize = 128;

/// The newest transaction identifiers of one client, each by its first 32 bits.
///
/// An eavesdropper can send a client's request again from another address.  The password does not reveal that, but the
/// identifier does: a client never uses one twice, except to repeat a request whose answer is late.
#[derive(Debug, Default)]
pub struct RecentRequests {
    marks: Vec<u32>,
    /// The place of the oldest one, once there are so many.
    oldest: usize,
}

impl RecentRequests {
    /// Remember a request.  Whether it is new.
    pub fn add(&mut self, transaction_id: &[u8; 12]) -> bool {
        let [one, two, three, four, ..] = *transaction_id;
        let mark = u32::from_be_bytes([one, two, three, four]);
        if self.marks.contains(&mark) {
            return false;
        }
        if self.marks.len() < REMEMBERED {
            self.marks.push(mark);
        } else {
            self.marks[self.oldest] = mark;
            self.oldest = (self.oldest + 1) % REMEMBERED;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> [u8; 12] {
        let mut id = [9; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn a_repeated_request_is_not_new_until_many_others_came() {
        let mut requests = RecentRequests::default();
        for number in 0..300 {
            assert!(requests.add(&id(number)), "{number}");
            assert!(!requests.add(&id(number)));
            let remembered = number.saturating_sub(REMEMBERED as u32 - 1);
            assert!(!requests.add(&id(remembered)), "{number}");
        }
        assert_eq!(requests.marks.len(), REMEMBERED);
        assert!(requests.add(&id(0)));
    }
}
