//! The values that cross the boundary to the slow path: specifications, events, drop reasons and statistics.

pub mod drop_reason;
pub mod event;
pub mod spec;
pub mod statistics;
