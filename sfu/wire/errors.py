"""The only exceptions that functions of this layer raise for bytes from the network."""


class BadDatagram(Exception):
    """An unusable datagram.  The text says why, and quotes nothing of it.

    The caller drops and counts it, and never answers it.
    """


class UnexpectedMessage(BadDatagram):
    """Well-formed STUN that asks for nothing: a response or indication, or a method other than Binding."""


class UnknownUsername(BadDatagram):
    """A Binding request for credentials that this agent never had, or no longer has."""


class WrongPassword(BadDatagram):
    """A Binding request whose MESSAGE-INTEGRITY does not fit our password."""
