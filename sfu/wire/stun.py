"""STUN Binding requests and their answers, as ICE uses them (RFC 8489, RFC 8445 section 7)."""

from attrs import frozen


@frozen
class BindingRequest:
    """A Binding request whose form is right; whether it is authentic, :meth:`is_authentic` tells.

    ``username`` is ``<our ufrag>:<theirs>``.  ``unknown_attributes`` are the comprehension-required types that we do
    not know (RFC 8489 section 6.3.1).
    """

    transaction_id: bytes
    username: str
    use_candidate: bool
    controlled: bool
    unknown_attributes: tuple[int, ...]

    @property
    def local_ufrag(self) -> str:
        """Our part of the username: what tells whose request this is (RFC 8445 section 7.2.2)."""
        return self.username.partition(":")[0]

    def is_authentic(self, password: str) -> bool:
        """Does MESSAGE-INTEGRITY fit this short-term password (RFC 8489 section 9.1)?"""
        raise NotImplementedError


def parse_binding_request_untrusted(datagram: bytes) -> BindingRequest:
    """Read a Binding request.

    Raises ``UnexpectedMessage`` for STUN of another method or class, and ``BadDatagram`` for everything that is not
    well-formed STUN or lacks what RFC 8445 section 7.1 demands of a connectivity check.
    """
    raise NotImplementedError


def binding_success(request: BindingRequest, host: str, port: int, password: str) -> bytes:
    """The answer that tells the peer the address it was seen from (RFC 8489 section 7.3.1.1), IPv4 or IPv6."""
    raise NotImplementedError


def role_conflict(request: BindingRequest, password: str) -> bytes:
    """The 487 answer (RFC 8445 section 7.3.1.1): we are always controlled, so the peer has to control."""
    raise NotImplementedError


def unknown_attributes(request: BindingRequest, password: str) -> bytes:
    """The 420 answer (RFC 8489 section 6.3.1), which names the attributes that we do not know."""
    raise NotImplementedError
