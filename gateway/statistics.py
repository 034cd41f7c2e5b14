"""The answer to ``stats``."""

import sfu
from gateway.member import Member
from protocol.stats import Stats
from protocol.structuring import structure


def session_stats(peer: sfu.Peer, member: Member) -> Stats:
    """What the media side measures of one session, with what only signalling knows: the sources."""
    measured = peer.stats()
    producers = [
        {**producer, "source": member.publications[producer["producerId"]].source} for producer in measured["producers"]
    ]
    return structure({**measured, "producers": producers}, Stats)
