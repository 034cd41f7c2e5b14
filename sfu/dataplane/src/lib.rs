//! The packet path of trio-sfu: it opens, rewrites, seals and forwards SRTP packets, which never touch Python.

pub mod core;
pub mod fair_mutex;
#[cfg_attr(not(feature = "python"), allow(dead_code))]
mod guard;
#[cfg(feature = "python")]
mod python;
pub mod self_test;
pub mod shell;
