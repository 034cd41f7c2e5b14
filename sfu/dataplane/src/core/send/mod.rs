//! A stream that goes out: the machines between a forwarded packet and the socket.

pub mod batch;
pub mod consumer;
pub mod feedback_limit;
pub mod layer_filter;
pub mod loss_reports;
pub mod pacer;
pub mod picture_numbers;
pub mod probe;
pub mod queued_packet;
pub mod receiver_bandwidth;
pub mod repeats;
pub mod resend;
pub mod resend_limits;
pub mod resender;
pub mod run_numbers;
pub mod sender_report;
pub mod sent_parameter_sets;
pub mod sequence_translator;
pub mod timestamps;
pub mod transmit;
