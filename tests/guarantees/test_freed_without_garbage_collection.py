"""The objects of a client that has gone are freed at once, without Python's garbage collection.

The gateway relies on this, because it keeps that collection away from calls (gateway/ops/garbage_collection.py).
"""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from tools.harness import DEADLY, Way, World, run_scenario


@contextmanager
def no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def belongings(world: World, user: str) -> list[weakref.ref[object]]:
    """Weak references to all objects of this member."""
    member = world.gateway.channels.channels["lobby"].members[user]
    peer = member.peer
    assert peer is not None
    objects: list[object] = [member, member.connection, member.connection.outbox, peer, peer.observer]
    for table in (peer.transports, peer.producers, peer.consumers):
        assert table
        objects += table.values()
    return [weakref.ref(one) for one in objects]


@pytest.mark.parametrize("way", DEADLY.values(), ids=str)
def test_a_client_that_has_gone_is_freed_at_once(way: Way) -> None:
    async def scenario(world: World) -> None:
        _ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        hers = belongings(world, "ada")
        with no_collector():
            way(world, "ada")
            await ben.event("voice_state", type="user_left", userId="ada")
            # A client that has only left may join again for a while.
            await trio.sleep(world.config.join_timeout + world.config.goodbye_timeout)
            left = [ref() for ref in hers if ref() is not None]
        assert left == []

    run_scenario(scenario)
