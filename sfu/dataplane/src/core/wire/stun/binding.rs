//! Binding requests and indications, read from the network.

use super::attribute::{
    Attribute, FINGERPRINT, FIRST_OPTIONAL, ICE_CONTROLLED, INTEGRITY_SIZE, MESSAGE_INTEGRITY, USE_CANDIDATE, USERNAME,
    attributes_untrusted, fingerprint,
};
use super::credentials::Credentials;
use super::header::{BadMessage, TransactionId, transaction_id_untrusted};

/// A request or an indication of the right form.  [`Binding::is_authentic`] says whether it is authentic.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    /// The identifier of the request and of its answer.
    pub transaction_id: TransactionId,
    /// The client nominates the path that the request took (RFC 8445 section 8.1.1).
    pub use_candidate: bool,
    /// The client says that it is the controlled agent, as we are.
    pub controlled: bool,
    /// Unknown types that must be understood (RFC 8489 section 6.3.1), each once.
    pub unknown_attributes: Vec<u16>,
    /// Our half of the username, a colon, and the client's half.
    username: &'a str,
    message: &'a [u8],
    integrity: Attribute<'a>,
}

impl<'a> Binding<'a> {
    /// Read a message whose header has been checked.  It must carry credentials (RFC 8445 section 7.2.2).
    ///
    /// The fingerprint is optional, as the integrity proves more.  If there is one, it must be right.
    pub fn read_untrusted(datagram: &'a [u8]) -> Result<Self, BadMessage> {
        let mut reader = AttributeReader::default();
        for attribute in attributes_untrusted(datagram) {
            reader.take_untrusted(datagram, attribute?)?;
        }
        let username = reader.username.filter(|name| name.contains(':')).ok_or(BadMessage)?;
        let integrity = reader.integrity.filter(|one| one.value.len() == INTEGRITY_SIZE).ok_or(BadMessage)?;
        Ok(Self {
            transaction_id: transaction_id_untrusted(datagram)?,
            use_candidate: reader.seen.contains(&USE_CANDIDATE),
            controlled: reader.seen.contains(&ICE_CONTROLLED),
            unknown_attributes: reader.unknown,
            username,
            message: datagram,
            integrity,
        })
    }

    /// Our half of the username, which names the transport.
    pub fn local_fragment(&self) -> &'a str {
        self.username.split(':').next().unwrap_or_default()
    }

    /// Whether its sender knows the password.  The username is not compared here.
    pub fn is_authentic(&self, credentials: &Credentials) -> bool {
        credentials.fit(self.message, self.integrity.at, self.integrity.value)
    }
}

/// The contents of the attributes read so far.
#[derive(Default)]
struct AttributeReader<'a> {
    /// Known attributes up to the integrity.
    seen: Vec<u16>,
    unknown: Vec<u16>,
    username: Option<&'a str>,
    integrity: Option<Attribute<'a>>,
    ended: bool,
}

impl<'a> AttributeReader<'a> {
    fn take_untrusted(&mut self, datagram: &[u8], attribute: Attribute<'a>) -> Result<(), BadMessage> {
        if self.ended {
            return Err(BadMessage); // a fingerprint is the last attribute (RFC 8489 section 14.7)
        }
        self.ended = attribute.kind == FINGERPRINT;
        if self.integrity.is_some() && !self.ended {
            return Ok(()); // the integrity does not cover it, so it is ignored (section 14.5)
        }
        match attribute.is_well_formed() {
            Some(well_formed) if well_formed && !self.seen.contains(&attribute.kind) => self.seen.push(attribute.kind),
            Some(_) => return Err(BadMessage),
            None if attribute.kind < FIRST_OPTIONAL && !self.unknown.contains(&attribute.kind) => {
                self.unknown.push(attribute.kind);
            }
            None => {}
        }
        match attribute.kind {
            USERNAME => self.username = std::str::from_utf8(attribute.value).ok(),
            MESSAGE_INTEGRITY => self.integrity = Some(attribute),
            FINGERPRINT if attribute.value != fingerprint(&datagram[..attribute.at]) => return Err(BadMessage),
            _ => {}
        }
        Ok(())
    }
}
