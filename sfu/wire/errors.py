"""What the functions of this layer raise for bytes from the network, and nothing else."""


class BadDatagram(Exception):
    """A datagram that cannot be used; the text says why and quotes nothing of it.

    It is dropped and counted, never answered.
    """


class UnexpectedMessage(BadDatagram):
    """Well-formed, but nothing that is asked of us: a STUN response or indication, a method other than Binding."""


class UnknownUsername(BadDatagram):
    """A Binding request for credentials that this agent does not have, or no longer."""


class WrongPassword(BadDatagram):
    """A Binding request whose MESSAGE-INTEGRITY does not fit our password."""
