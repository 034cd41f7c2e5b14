"""Members fall silent: their sockets stay open, but nothing reads, answers or writes any more."""

from __future__ import annotations

import random
from typing import Final

from attrs import frozen

from tools.bench.leave.channel import BenchChannel, BenchMember
from tools.bench.leave.one_by_one import SPEAKERS
from tools.bench.progress import Progress

EACH: Final = 10
TOLD_SECONDS: Final = 20.0


@frozen
class Silence:
    """Seconds from each silent member's last sign of life until the last of the others was told."""

    at_one_moment: list[float]
    after_pong: list[float]


async def fall_silent(channel: BenchChannel, progress: Progress) -> Silence:
    """Silence some members all at one moment, and some at the worst moment: just after they answered a ping.

    The media of the latter goes on, which must not keep them listed.
    """
    progress(f"{2 * EACH} members fall silent")
    chosen = random.Random(3).sample(list(channel.members.values())[SPEAKERS:], 2 * EACH)
    at_one_moment, after_pong = chosen[:EACH], chosen[EACH:]
    for member in chosen:
        del channel.members[member.user_id]
    watch = channel.listeners.expect([member.user_id for member in chosen], len(channel.members))
    for member in after_pong:
        member.signalling.dies_after_pong = True
    for member in at_one_moment:
        member.signalling.fall_silent()
        for endpoint in member.media.endpoints.values():
            endpoint.transport.stop_checking()
            endpoint.stop_reading()
    await channel.listeners.wait_all_told(watch, TOLD_SECONDS)
    await channel.settle()
    channel.check([member.user_id for member in chosen], ["timed_out"])
    seconds = {member.user_id: _since(member, max(watch.times[member.user_id])) for member in chosen}
    for member in chosen:
        member.close()
    return Silence(*([seconds[member.user_id] for member in some] for some in (at_one_moment, after_pong)))


def _since(member: BenchMember, at: float) -> float:
    assert member.signalling.silent_since is not None
    return at - member.signalling.silent_since
