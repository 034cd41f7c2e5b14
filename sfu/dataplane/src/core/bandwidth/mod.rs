//! What the path to a receiver carries, estimated from transport-wide feedback.
//!
//! The algorithm is Google Congestion Control (draft-ietf-rmcat-gcc-02), with libwebrtc's constants and later additions.
//! Two things are different for an SFU, whose rate has steps.  Most of the time it sends less than the path carries, so
//! the estimate hardly grows by itself: probes raise it.  And a step up is a large one, so the path must first bear the
//! new rate for a while: we hold it with padding.
//!
//! [`BandwidthEstimator`] joins the parts, each of which is tested alone.

mod acknowledged_rate;
mod application_limit;
mod competition;
mod estimator;
mod interface;
mod loss_control;
mod loss_model;
mod packet_groups;
mod probe_cluster;
mod probe_control;
mod queue_delay;
mod rate_control;
mod receiver_clock;
mod sent_packets;
mod silence;
#[cfg(test)]
mod tests;
mod trendline;
mod watermarks;

pub use estimator::BandwidthEstimator;
pub use interface::{Crossing, PacketKind, Why};
