"""The only exception that functions of this layer raise for bytes from the network."""


class BadDatagram(Exception):
    """An unusable datagram.  The text says why, and quotes nothing of it.

    The caller drops and counts it, and never answers it.
    """
