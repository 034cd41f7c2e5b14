"""The only exception that functions of this package raise for bytes from the network."""


class BadPacket(Exception):
    """A malformed RTP or RTCP packet.  The text says why, and quotes nothing of it."""
