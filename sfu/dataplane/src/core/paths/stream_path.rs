//! Streams (ICE-TCP, RFC 6544): the core says whose they are.

use crate::core::engine::Core;
use crate::core::interface::drop_reason::DropReason;
use crate::core::interface::spec::Id;
use crate::core::wire::address::Path;
use crate::core::wire::stun::{Binding, MessageType, message_type_untrusted};

impl Core {
    /// The transport whose password the sender of this Binding request knows.  This changes nothing.
    pub fn recognise_untrusted(&self, datagram: &[u8]) -> Result<Id, DropReason> {
        if message_type_untrusted(datagram)? != MessageType::Request {
            return Err(DropReason::UnexpectedStun);
        }
        let request = Binding::read_untrusted(datagram)?;
        let key = *self.by_username.get(request.local_fragment()).ok_or(DropReason::UnknownUsername)?;
        let transport = &self.transports[key];
        let agent = transport.ice.as_ref().ok_or(DropReason::UnknownUsername)?;
        if agent.knows(&request) { Ok(transport.id) } else { Err(DropReason::WrongPassword) }
    }

    /// Whether a transport takes datagrams from this path.
    pub fn knows_path(&self, path: Path) -> bool {
        self.by_path.contains_key(&path)
    }
}
