"""Whether everybody's list is the truth, and the gateway's figures with it."""

import time

from tests.chaos.crowd import Crowd, Someone
from tests.chaos.media import STREAMS
from tests.gateway_process import GatewayProcess, poll_until


async def settle(crowd: Crowd, gateway: GatewayProcess, within: float) -> float:
    """Wait until every reachable client's list equals the truth, and the gateway's figures do.

    ``within`` is in seconds from the last deed.  Returns how many it took.  What has settled must be exactly right:
    the same users in the same order at the same revision for everybody.
    """
    deadline = crowd.last_deed + within
    await crowd.until(lambda: difference(crowd) is None, deadline, lambda: difference(crowd) or "")
    figures = figures_of(len(crowd.present()))
    try:
        poll_until(gateway.live, lambda live: live == figures, max(0.5, deadline - time.monotonic()))
    except AssertionError as error:
        raise AssertionError(crowd.story(f"/metrics should show {figures}, {error}")) from None
    return time.monotonic() - crowd.last_deed


def figures_of(members: int) -> dict[str, int]:
    """What ``members`` clients with their media come to."""
    heard = min(STREAMS, members - 1) * members
    return {
        "sessions": members,
        "channels": min(1, members),
        "members": members,
        "transports": 2 * members,
        "producers": members,
        "consumers": heard,
        "routes": heard,
    }


def difference(crowd: Crowd) -> str | None:
    """The first thing that is not as it should be, in words."""
    present = crowd.present()
    for someone in present.values():
        if (wrong := _wrong_with(someone, crowd)) is not None:
            return wrong
    seen = {(one.said.revision, one.said.users): one.process for one in present.values() if one.said}
    if len(seen) > 1:
        (at, users), (other_at, others) = list(seen)[:2]
        one, other = list(seen.values())[:2]
        return f"{one} is at revision {at} with {users},\n{other} at {other_at} with {others}"
    return None


def _wrong_with(someone: Someone, crowd: Crowd) -> str | None:
    said, present = someone.said, crowd.present()
    if said is None:
        return f"{someone.process} has said nothing since it was {someone.fate}"
    if said.word:
        return f"{someone.process} is not in the channel ({said.word})"
    for user in said.users:
        if user not in present:
            ghost = crowd.everybody[user]
            cut = ", cut off" if ghost.place in crowd.cut_off else ""
            return f"a ghost: {someone.process} still lists {user}, {ghost.fate}{cut}"
    for user in present:
        if user not in said.users:
            return f"{someone.process} does not list {user}, {present[user].fate}"
    has = (said.transports, said.producers, said.consumers)
    should = (2, 1, min(STREAMS, len(present) - 1))
    if has != should:
        return f"{someone.process} has {has} transports, producers and consumers, and should have {should}"
    return None
