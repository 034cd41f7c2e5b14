"""What the functions of this package raise for bytes from the network, and nothing else."""


class BadPacket(Exception):
    """An RTP or RTCP packet that contradicts itself; the text says why and quotes nothing of it."""
