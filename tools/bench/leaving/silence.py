"""Members fall silent: their sockets stay open, and nothing reads, answers or writes any more."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from attrs import frozen

from tools.bench.leaving.channel import Channel, Member
from tools.bench.leaving.one_by_one import SPEAKERS

EACH: Final = 10
TOLD_SECONDS: Final = 20.0


@frozen
class Silence:
    """Seconds from the last sign of life to the last of the others being told, for each who fell silent."""

    at_one_moment: list[float]
    after_pong: list[float]


async def fall_silent(channel: Channel, progress: Callable[[str], None]) -> Silence:
    """Some all at one moment, some at the worst there is: when they have just answered a ping.

    The media of those goes on, which must not keep them listed.
    """
    progress(f"{2 * EACH} members fall silent")
    chosen = random.Random(3).sample(list(channel.members.values())[SPEAKERS:], 2 * EACH)
    at_one_moment, after_pong = chosen[:EACH], chosen[EACH:]
    for member in chosen:
        del channel.members[member.user_id]
    watch = channel.crowd.expect([member.user_id for member in chosen], len(channel.members))
    for member in after_pong:
        member.client.dies_after_pong = True
    for member in at_one_moment:
        member.client.abandon()
        for leg in member.legs.values():
            leg.legs.forget(leg)
    await channel.crowd.told(watch, TOLD_SECONDS)
    await channel.settle()
    channel.check([member.user_id for member in chosen], ["timed_out"])
    seconds = {member.user_id: _since(member, max(watch.times[member.user_id])) for member in chosen}
    for member in chosen:
        member.go()
    return Silence(*([seconds[member.user_id] for member in some] for some in (at_one_moment, after_pong)))


def _since(member: Member, at: float) -> float:
    assert member.client.silent_since is not None
    return at - member.client.silent_since
