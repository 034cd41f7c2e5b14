"""Measurements of many peers or streams in one step of their data plane.

One call for each would take the data plane's lock again and again, and each time wait for a batch of packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from sfu.settings import TransportState

if TYPE_CHECKING:
    from sfu.dataplane.values import TransportStats
    from sfu.peer import Peer
    from sfu.producer import Producer
    from sfu.transport import Transport


@frozen
class PeerMeasurement:
    """The packets of one client in both directions, and how many of them its network lost.

    ``expected`` to ``round_trip`` are those of :class:`sfu.dataplane.values.TransportStats`, summed up over its
    transports.  ``is_silent`` says whether one of its transports is disconnected.  ``video_share`` is the part of the
    bitrate that the client's videos would take which its path has room for, and ``least_share`` that of the worst
    served video; both from 0 to 1.  At 0 of ``least_share`` a video is starved.
    """

    expected: int = 0
    missing: int = 0
    reported: int = 0
    reported_lost: int = 0
    round_trip: float | None = None
    is_silent: bool = False
    video_share: float = 1.0
    least_share: float = 1.0


def measure_peers(peers: Sequence[Peer]) -> list[PeerMeasurement | None]:
    """Measure these peers of one router.  None for a peer without a connected transport."""
    connected = [[one for one in peer.transports.values() if one.connected] for peer in peers]
    transports = [transport for each in connected for transport in each]
    if not transports:
        return [None] * len(peers)
    stats = iter(transports[0].plane.transport_stats([transport.plane_id for transport in transports]))
    return [_measurement(each, [next(stats) for _ in each]) for each in connected]


def _measurement(transports: list[Transport], stats: list[TransportStats | None]) -> PeerMeasurement | None:
    # A transport has no statistics if the data plane has failed.  Its failure is reported soon.
    known = [one for one in stats if one is not None]
    if not known:
        return None
    supplies = [transport.sharing.supply for transport in transports]
    wanted = sum(one.wanted for one in supplies)
    return PeerMeasurement(
        expected=sum(one.expected for one in known),
        missing=sum(one.missing for one in known),
        reported=sum(one.reported for one in known),
        reported_lost=sum(one.reported_lost for one in known),
        round_trip=next((one.round_trip for one in known if one.round_trip is not None), None),
        is_silent=any(transport.state is TransportState.DISCONNECTED for transport in transports),
        video_share=min(1.0, sum(one.used for one in supplies) / wanted) if wanted else 1.0,
        least_share=min(one.least_share for one in supplies),
    )


def read_voices(producers: Sequence[Producer]) -> list[tuple[int, float]]:
    """For each of these producers of one router, the packets with an audio level so far, and the sum of their linear
    amplitudes."""
    if not producers:
        return []
    return producers[0].transport.plane.voice_levels([producer.plane_id for producer in producers])
