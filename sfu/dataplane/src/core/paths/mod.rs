//! The ways of datagrams, commands and deadlines through the core.  Only these files know both the engine and the
//! machines.

mod bandwidth_path;
mod budget_path;
mod commands;
mod consent_path;
mod consumer_commands;
mod feedback_path;
mod forwarding;
mod ice_path;
mod late_start;
mod packet_path;
mod picture_path;
mod probe_path;
mod queries;
mod redundancy_path;
mod repair_path;
mod report_path;
mod resend_path;
mod routing;
mod rtcp_path;
mod send_path;
mod source_path;
mod store_path;
mod stream_path;
mod timer_path;
mod voice_path;
