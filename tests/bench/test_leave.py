"""The bench of leaves with few members: its checks and its tables."""

import signal
import time
from collections.abc import AsyncIterator

import pytest
import trio

from tools.bench import BenchError
from tools.bench.channel import ENDINGS, BenchChannel, Ending, LeaveWatch, open_channel
from tools.bench.figures import percentile
from tools.bench.leave import at_once, cost, full_channel
from tools.bench.leave.at_once import WATCHED, AtOnce, end_watch
from tools.bench.leave.full_channel import MeasuredLeave
from tools.bench.leave.watched_gateway import Watched
from tools.loadtest.own_load import LagMeter
from tools.servers import running_gateway

MEMBERS = 4


@pytest.fixture
async def channel() -> AsyncIterator[BenchChannel]:
    async with running_gateway() as gateway, open_channel(gateway) as opened:
        await opened.fill(MEMBERS, with_media=True)
        await opened.all_listen([*opened.members.values()])
        await opened.settle_and_check()
        yield opened


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: one.name)
async def test_a_leave_is_measured_and_checked_and_the_member_comes_back(channel: BenchChannel, ending: Ending) -> None:
    with trio.fail_after(20):
        left = await full_channel.leave(channel, channel.members["m1"], ending, LagMeter())
        assert 0 < left.watch.first_notice <= left.watch.last_notice < 5
        await full_channel.come_back(channel, "m1")
    assert len(channel.members) == MEMBERS


async def test_a_leave_without_notices_fails_the_bench(channel: BenchChannel) -> None:
    await trio.lowlevel.checkpoint()  # a fixture of Trio is for async tests
    with pytest.raises(BenchError, match=r"m\d got 0 notices of leaves, not 1"):
        channel.check(["m1"], ["left"])


async def test_a_wrong_list_fails_the_bench(channel: BenchChannel) -> None:
    await trio.lowlevel.checkpoint()  # a fixture of Trio is for async tests
    del channel.members["m1"]
    with pytest.raises(BenchError, match=r"the list of m\d is wrong: \['m1'\]"):
        channel.check()


async def test_a_notice_that_does_not_come_fails_the_bench(channel: BenchChannel) -> None:
    watch = channel.expect_leave([channel.members["m1"]])
    with pytest.raises(BenchError, match=r"after 0\.1 s 3 notices about 1 leavers are missing"):
        await channel.wait_all_notices(watch, 0.1)


async def test_a_watched_gateway_reports_the_steps_between_two_signals() -> None:
    async with running_gateway(WATCHED) as gateway:
        await trio.sleep(1)  # real time, which must not count as a step
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGRTMIN)
        async with open_channel(gateway) as channel:
            await channel.fill(1, with_media=True)
            await channel.settle_and_check()
        watched = await end_watch(gateway)
        lasted = time.monotonic() - begun
    assert 0 < watched.longest_own <= watched.longest_step < lasted
    assert 0 < watched.longest_round < lasted
    assert watched.task


def watch(first: float, last: float) -> LeaveWatch:
    return LeaveWatch({"m1": [first, last]}, ended=0.005)


def test_the_report_says_whether_each_aim_was_met() -> None:
    leaves = [MeasuredLeave(ending, watch(0.001, last), 0.002) for ending in ENDINGS for last in (0.004, 0.06)]
    together = AtOnce(watch(0.1, 0.5), 250, 0.4, [100_000_000, 120_000_000], 0.1)
    watched = Watched(0.02, "task", 0.1, 30_000_000, 100_000, 0.02)
    parts = full_channel.report("Little.", leaves, {"at one moment": [9.5], "after a pong": [10.2]})
    parts += at_once.report(together, together, watched)
    said = "\n".join(parts + cost.report([(100, True, 0.02, 0.004)]))
    assert "| FIN | 2 | 32.0 | 60.0 | 60.0 | 1.0 | 2.0 at most |" in said
    assert "p99 of all at most 50 ms: **missed**" in said
    assert "**missed** by 200 ms" in said
    assert "| all outboxes together, at most † | 30.0 MB | 200.0 MB: met |" in said
    assert "| 100 | yes | 20.00 | 4.00 |" in said


def test_a_percentile_is_the_nearest_rank() -> None:
    assert [percentile(range(1, 101), share) for share in (0.01, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
