"""The bench of watchers with few clients: its measurements, its checks and its tables."""

from collections.abc import AsyncIterator

import pytest
import trio

from protocol.watching import Watch
from tools.bench import BenchError
from tools.bench.channel import ENDINGS
from tools.bench.command import Progress
from tools.bench.conference import open_pool
from tools.bench.watch import idle, leaves, on_disk
from tools.bench.watch.idle import Cost
from tools.bench.watch.leaves import WatchedChannel, WatchedLeave, open_watched_channel
from tools.bench.watch.watchers import AnswerDecoder, Watcher
from tools.servers import running_gateway

MEMBERS, WATCHERS = 10, 3


@pytest.fixture
async def watched() -> AsyncIterator[WatchedChannel]:
    async with running_gateway() as gateway, open_watched_channel(gateway, MEMBERS, WATCHERS, str) as channel:
        yield channel


async def test_a_turn_measures_leaves_with_watchers_and_then_without(watched: WatchedChannel) -> None:
    with trio.fail_after(30):
        [left] = await watched.turn(1, str, watched=True)
        assert left.watchers is not None
        assert 0 < left.members < 5
        assert 0 < left.watchers < 5
        assert left.cpu > 0
        [alone] = await watched.turn(1, str, watched=False)
        assert alone.watchers is None
        # The watchers get what they missed.
        await watched.watchers.watch()
    watched.watchers.check(watched.channel.members)
    assert len(watched.channel.members) == MEMBERS


async def test_a_watcher_with_a_wrong_list_fails_the_bench(watched: WatchedChannel) -> None:
    await watched.watchers.watch()
    with pytest.raises(BenchError, match=r"the list of a watcher is wrong: \['nobody'\]"):
        watched.watchers.check([*watched.channel.members, "nobody"])


async def test_a_watcher_without_a_notice_fails_the_bench(watched: WatchedChannel) -> None:
    await watched.watchers.watch()
    notices = watched.watchers.expect_leave("m9")
    assert notices is not None
    with pytest.raises(BenchError, match=r"after 0\.1 s 3 of 3 watchers have no notice"):
        await watched.watchers.wait_notices(notices, 0.1)


async def test_a_gap_in_the_changes_of_a_watcher_fails_the_bench(watched: WatchedChannel) -> None:
    await watched.watchers.watch()
    await watched.leave(watched.channel.members["m9"], ENDINGS[0])
    await watched.come_back("m9")
    del watched.watchers.clients[1].events[0]
    with pytest.raises(BenchError, match="a watcher got Position"):
        watched.watchers.check(watched.channel.members)


async def test_a_watcher_that_was_closed_fails_the_bench(watched: WatchedChannel) -> None:
    await trio.lowlevel.checkpoint()  # a fixture of Trio is for async tests
    watched.watchers.clients[0].hang_up()
    with pytest.raises(BenchError, match="closed with 1006"):
        watched.watchers.check(())


async def test_a_refused_watch_fails_the_bench() -> None:
    async with running_gateway() as gateway, open_pool(gateway.socket) as pool:
        client = await pool.open(Watcher)
        with trio.fail_after(10), pytest.raises(BenchError, match="a watcher was refused"):
            await client.measure([Watch(channel_ids=("x" * 1000,))])
        with trio.fail_after(10), pytest.raises(BenchError, match="a watcher was refused"):
            await client.watch("x" * 1000, AnswerDecoder())


async def test_the_cost_of_a_watch_is_measured_for_closed_and_open_channels() -> None:
    with trio.fail_after(60):
        costs = await idle.measure(150, 110, Progress())
    assert [(cost.channels, cost.is_open) for cost in costs] == [(150, False)] * 2 + [(110, True)] * 2
    assert all(0 < cost < 5 for measured in costs for cost in measured.cpu)
    assert costs[1].answer < costs[0].answer


async def test_leaves_are_measured_in_turns_with_the_journal_in_memory_and_on_disk() -> None:
    with trio.fail_after(60):
        turns = await on_disk.measure(MEMBERS, 1, 1, Progress())
    assert [len(leaves) for done in turns.values() for leaves in done] == [1, 1]


def turn(members: float, watchers: float | None) -> list[WatchedLeave]:
    return [WatchedLeave(members, watchers, 0.03, 0.002)] * 2


def test_the_report_says_whether_each_aim_was_met() -> None:
    said = "\n".join(
        [
            *leaves.report(500, 1000, {False: [turn(0.01, None), turn(0.012, None)], True: [turn(0.013, 0.11)]}),
            *idle.report([Cost("much", 10_000, False, [0.04, 0.06, 0.045], 6e6, 1_000_000)]),
            *on_disk.report(100, {on_disk.MEMORY: [turn(0.01, None)], on_disk.DISK: [turn(0.0104, None)]}),
        ]
    )
    assert "| 1,000 watchers | 2 | 13.0 | 13.0 | 13.0 (13.0–13.0) | 110.0 | 110.0 | 110.0 | 30.00 |" in said
    assert "p99 of the last watcher at most 100 ms: **missed**" in said
    assert "at most 12.0 ms: **missed**" in said
    assert "at most 50 ms: met, and at most 5 MB: **missed**" in said
    assert "the median time changes by +4.0%, and the median processor time by +0.0%. Aim: at most 5% more: met" in said
