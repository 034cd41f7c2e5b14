"""Measures the connections of all members, and tells each channel about changes. One task of the gateway does it."""

from collections.abc import Callable, Iterable
from typing import Final, Never

import structlog
import trio

import sfu
from gateway.channel.channel import Channel
from protocol.events import ConnectionQualityChanged

INTERVAL: Final = 2.0
"""Seconds between two measurements. So nobody's quality is announced more often."""
MOST_NOTICES: Final = 20
"""Changes that a channel announces after one measurement. When the gateway's own network is bad, everybody's quality
changes at once, and each change goes to everybody. The others wait for the next measurement."""

log = structlog.get_logger(__name__)


async def watch_quality(channels: Callable[[], Iterable[Channel]]) -> Never:
    """Broadcast ``connection_quality`` in each channel for each change. Runs as long as the gateway."""
    while True:
        await trio.sleep(INTERVAL)
        await _update_all(list(channels()))


async def _update_all(channels: Iterable[Channel]) -> None:
    """Update every channel. This is a function of its own, so that no variable keeps a closed channel alive."""
    for channel in channels:
        try:
            update_quality(channel, trio.current_time())
        except Exception:
            log.exception("cannot measure the connections of a channel", channel=channel.id)
        await trio.lowlevel.checkpoint()


def update_quality(channel: Channel, now: float) -> None:
    """Measure the members of one channel, and announce those whose step has changed.

    No checkpoint lies between the list and the notices, so the channel never hears of somebody who is not on the list.
    """
    measured = [(member, member.peer) for member in channel.members.values() if member.peer is not None]
    for (member, _), measurement in zip(measured, sfu.measure_peers([peer for _, peer in measured]), strict=True):
        # Without a connected transport, the last step stays.
        if measurement is not None:
            member.quality.update(measurement)
    changed = [one for one in channel.members.values() if one.quality.measured != one.quality.announced]
    # Those whose last notice is the oldest come first, so that each has its turn.
    for member in sorted(changed, key=lambda one: one.quality.announced_at)[:MOST_NOTICES]:
        member.quality.announced, member.quality.announced_at = member.quality.measured, now
        channel.broadcast(ConnectionQualityChanged(member.user_id, member.quality.announced))
