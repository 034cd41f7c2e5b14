//! What the slow path says to the core and reads from it.

pub mod drop_reason;
pub mod event;
pub mod spec;
pub mod statistics;
