//! The packet path of trio-sfu: it opens, rewrites, seals and forwards SRTP packets, which never touch Python.

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
