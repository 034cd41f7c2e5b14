//! For tests: a ledger of everything that one transport has sealed.

use std::cell::RefCell;
use std::collections::HashMap;

/// The plain bytes that were sealed with each SSRC and index.
#[derive(Debug, Default)]
pub struct Ledger(RefCell<HashMap<(u32, u64), Vec<u8>>>);

impl Ledger {
    /// Note a packet.  Panics if other bytes were sealed with its index before (RFC 7714 section 8.1).
    pub fn note(&self, ssrc: u32, index: u64, plain: &[u8]) {
        let before = self.0.borrow_mut().insert((ssrc, index), plain.to_vec());
        assert!(before.is_none_or(|before| before == plain), "index {index} of SSRC {ssrc} was sealed twice");
    }
}
