//! STUN as an ICE-lite agent needs it: Binding requests and indications are read, and requests are answered
//! (RFC 8489, RFC 8445 section 7).

mod attribute;
mod binding;
mod credentials;
mod header;
mod response;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use credentials::Credentials;
pub use header::{BadMessage, MessageType, message_type_untrusted};
pub use response::{role_conflict, success, unknown_attributes};
#[cfg(test)]
pub use tests::{CONTROLLED, UNHEARD_OF};
