"""Checks whether every client's list and the gateway's metrics are correct."""

import time

from tests.chaos.crowd import ClientProcess, Crowd
from tests.chaos.media import STREAMS
from tests.gateway_process import GatewayProcess, poll_until


async def settle(crowd: Crowd, gateway: GatewayProcess, within: float) -> float:
    """Wait until the list of every reachable client and the gateway's metrics are correct.

    ``within`` is in seconds from the last action.  Returns the seconds that it took.  All lists must have the same
    users in the same order at the same revision.
    """
    deadline = crowd.last_action + within
    await crowd.until(lambda: difference(crowd) is None, deadline, lambda: difference(crowd) or "")
    figures = figures_of(len(crowd.present()))
    try:
        poll_until(gateway.live, lambda live: live == figures, max(0.5, deadline - time.monotonic()))
    except AssertionError as error:
        raise AssertionError(crowd.failure_message(f"/metrics should show {figures}, {error}")) from None
    return time.monotonic() - crowd.last_action


def figures_of(members: int) -> dict[str, int]:
    """The gateway's metrics while ``members`` clients are in the channel with their media."""
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
    """The first difference from the correct state, in words, or None."""
    present = crowd.present()
    for client in present.values():
        if (wrong := _wrong_with(client, crowd)) is not None:
            return wrong
    seen = {(one.report.revision, one.report.users): one.process for one in present.values() if one.report}
    if len(seen) > 1:
        (at, users), (other_at, others) = list(seen)[:2]
        one, other = list(seen.values())[:2]
        return f"{one} is at revision {at} with {users},\n{other} at {other_at} with {others}"
    return None


def _wrong_with(client: ClientProcess, crowd: Crowd) -> str | None:
    report, present = client.report, crowd.present()
    if report is None:
        return f"{client.process} has sent no report since it was {client.last_change}"
    if report.reason:
        return f"{client.process} is not in the channel ({report.reason})"
    for user in report.users:
        if user not in present:
            ghost = crowd.clients[user]
            cut = ", cut off" if ghost.place in crowd.cut_off else ""
            return f"a ghost: {client.process} still lists {user}, {ghost.last_change}{cut}"
    for user in present:
        if user not in report.users:
            return f"{client.process} does not list {user}, {present[user].last_change}"
    has = (report.transports, report.producers, report.consumers)
    should = (2, 1, min(STREAMS, len(present) - 1))
    if has != should:
        return f"{client.process} has {has} transports, producers and consumers, but should have {should}"
    return None
