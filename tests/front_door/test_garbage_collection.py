"""A full garbage collection runs without clients, or after many sessions, and at no other time."""

import gc
import weakref

import trio
from attrs import define
from trio.testing import MockClock

from gateway.ops import garbage_collection


@define
class Connections:
    """Stands in for a gateway, and counts connections."""

    open_connections: int = 0
    ended_connections: int = 0


class Cycle:
    """An old object in a cycle, which only a full collection frees."""

    def __init__(self) -> None:
        self.itself = self


def old_cycle() -> weakref.ref[Cycle]:
    cycle = Cycle()
    gc.collect()
    return weakref.ref(cycle)


async def test_a_full_collection_runs_within_a_second_after_the_last_client_left(autojump_clock: MockClock) -> None:
    connections = Connections(open_connections=1)
    async with garbage_collection.collect_when_idle(connections):
        left_behind = old_cycle()
        connections.ended_connections = 10
        await trio.sleep(3600)
        assert left_behind() is not None
        connections.open_connections, connections.ended_connections = 0, 11
        await trio.sleep(garbage_collection.CHECK_INTERVAL + 0.1)
        assert left_behind() is None


async def test_a_full_collection_runs_after_many_sessions_even_with_clients(autojump_clock: MockClock) -> None:
    connections = Connections(open_connections=1)
    async with garbage_collection.collect_when_idle(connections):
        for _ in range(3):
            left_behind = old_cycle()
            connections.ended_connections += garbage_collection.MANY_ENDED_CONNECTIONS - 1
            await trio.sleep(60)
            assert left_behind() is not None
            connections.ended_connections += 1
            await trio.sleep(garbage_collection.CHECK_INTERVAL + 0.1)
            assert left_behind() is None


async def test_no_collection_runs_when_no_connection_has_ended(autojump_clock: MockClock) -> None:
    looked = []
    gc.callbacks.append(lambda phase, info: looked.append(info["generation"]) if phase == "start" else None)
    try:
        async with garbage_collection.collect_when_idle(Connections()):
            looked.clear()
            await trio.sleep(3600)
            assert 2 not in looked
    finally:
        gc.callbacks.pop()


async def test_the_settings_of_the_collector_are_restored(autojump_clock: MockClock) -> None:
    before = gc.get_threshold()
    async with garbage_collection.collect_when_idle(Connections()):
        assert gc.get_threshold() == garbage_collection.THRESHOLDS
        assert gc.get_freeze_count() > 0
        await trio.lowlevel.checkpoint()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
