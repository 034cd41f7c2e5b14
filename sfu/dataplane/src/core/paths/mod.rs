//! What happens to a datagram, a command and a deadline.  Only these files know the engine and the machines.

pub mod commands;
pub mod consent_path;
pub mod fanout;
pub mod packet_path;
pub mod queries;
pub mod routing;
pub mod send_path;
