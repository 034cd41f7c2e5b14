//! A stream that comes in: the machines between an opened packet and its forwarding.

pub mod arrival_log;
pub mod clock;
pub mod dependency_structures;
pub mod encoding;
pub mod gap;
pub mod layer_counts;
pub mod missing_packets;
pub mod packet;
pub mod packet_store;
pub mod producer;
pub mod receiver_report;
pub mod recent_payloads;
pub mod retention;
pub mod ssrc_changes;
pub mod statistics;
pub mod windowed_minimum;
