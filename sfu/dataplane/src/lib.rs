//! The packet path of trio-sfu: SRTP packets are opened, rewritten, sealed and forwarded here, and never touch Python.

#[allow(missing_docs)]
pub mod core;
#[allow(missing_docs)]
pub mod fair_mutex;
#[cfg_attr(not(feature = "python"), allow(dead_code))]
mod guard;
#[cfg(feature = "python")]
mod python;
#[allow(missing_docs)]
pub mod self_test;
#[allow(missing_docs)]
pub mod shell;
