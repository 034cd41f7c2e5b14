//! STUN as an ICE-lite agent needs it (RFC 8489, RFC 8445 section 7).  It reads Binding requests and indications, and
//! answers requests.  It also makes checks, which ask whether a client receives at an address.

mod attribute;
mod binding;
mod check;
mod credentials;
mod header;
mod response;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use check::{CheckIds, bare_check, is_authentic_answer_untrusted};
pub use credentials::Credentials;
pub use header::{BadMessage, MessageType, TransactionId, message_type_untrusted, transaction_id_untrusted};
pub use response::{role_conflict, success, unknown_attributes};
#[cfg(test)]
pub use tests::{CONTROLLED, UNHEARD_OF};
