"""The loop and the threads that forward media are watched, and what stands still is told."""

import math
import re
import threading
from collections.abc import Callable

import pytest
import trio
from attrs import define, field
from structlog.testing import capture_logs
from trio.testing import MockClock

from gateway.config import Config
from gateway.ops import loop_watch, plane_watch
from gateway.ops.loop_time import LINES, SLOW, LoopTime, watch_steps
from gateway.ops.metrics import Metrics
from gateway.server import open_server
from protocol.errors import CloseCode
from tests.eventually import eventually
from tests.front_door.test_planes import identity as identity  # a fixture
from tools.light import Identity, open_light_client


@define
class Steps:
    """Stands in for the metrics."""

    seconds: list[float] = field(factory=list)

    def slow_step(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_a_slow_step_is_counted_and_logged_with_the_name_of_its_task() -> None:
    metrics = Metrics()

    async def hold_up_everybody() -> None:
        await trio.lowlevel.checkpoint()
        threading.Event().wait(1.2 * SLOW)

    with capture_logs() as lines:
        async with watch_steps(metrics), trio.open_nursery() as nursery:
            nursery.start_soon(hold_up_everybody)
            nursery.start_soon(trio.sleep, 2 * SLOW)
    [line] = lines
    assert (line["event"], line["log_level"]) == ("slow step", "warning")
    assert line["task"].endswith("hold_up_everybody")
    assert line["seconds"] >= 1.2 * SLOW
    assert "sfu_slow_step_seconds_count 1.0" in metrics.render().decode()


async def test_many_slow_steps_make_few_lines() -> None:
    await trio.lowlevel.checkpoint()
    now, counted = [0.0], Steps()
    steps, task = LoopTime(counted, lambda: now[0]), trio.lowlevel.current_task()

    def step(seconds: float) -> None:
        now[0] += seconds
        steps.after_task_step(task)

    with capture_logs() as lines:
        step(0.9 * SLOW)
        for _ in range(50):
            step(1.1 * SLOW)
        assert len(lines) == LINES
        step(60)
        assert lines[-1]["left_out"] == 50 - LINES
    assert len(counted.seconds) == 51


@define
class Plane:
    """Stands in for a data plane: for how many seconds its thread has stood still."""

    seconds: float = 0.0

    def stalled_for(self) -> float:
        return self.seconds


async def test_a_plane_that_stands_still_is_told_until_it_runs_again(autojump_clock: MockClock) -> None:
    planes, stalled, ended = [Plane(), Plane()], set[int](), list[int]()
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(plane_watch.watch_planes, planes, stalled, ended.append)
            planes[1].seconds = plane_watch.STALLED - 0.1
            await trio.sleep(2.5 * plane_watch.INTERVAL)
            assert (stalled, ended) == (set(), [])
            planes[1].seconds = math.inf
            await trio.sleep(2 * plane_watch.INTERVAL)
            assert (stalled, ended) == ({1}, [1, 1]), "also those who joined meanwhile"
            planes[1].seconds = 0.0
            await trio.sleep(plane_watch.INTERVAL)
            assert stalled == set()
            nursery.cancel_scope.cancel()
    assert [line["event"] for line in lines] == ["data plane does not run", "data plane runs again"]
    assert lines[0]["why"] == "its thread has ended"


async def get(url: str, path: str) -> str:
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        return b"".join([piece async for piece in stream]).decode()


async def test_people_whose_plane_has_stopped_get_an_honest_end_and_others_stay(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_watch, "INTERVAL", 0.05)
    async with open_server(Config(port=0, media_port=0, planes=2)) as server:
        stalled = dict.fromkeys(range(2), 0.0)

        def answer(number: int) -> Callable[[], float]:
            return lambda: stalled[number]

        for number, router in enumerate(server.gateway.routers):
            monkeypatch.setattr(router.context.plane, "stalled_for", answer(number))
        url = server.url.replace("http", "ws", 1) + "/ws"
        async with open_light_client(url, "blue", "ben", identity) as ben:
            plane = server.gateway.channels.channels["blue"].plane
            with trio.fail_after(5):
                with pytest.raises(Exception) as ended:  # the kind is that of the client
                    async with open_light_client(url, "red", "ada", identity) as ada:
                        assert server.gateway.channels.channels["red"].plane != plane
                        assert "200 OK" in await get(server.url, "/readyz")
                        stalled[1 - plane] = math.inf
                        await eventually(lambda: server.gateway.channels.counts().members == 1)
                        assert "503" in (await get(server.url, "/readyz")).splitlines()[0]
                        await ada.publish("audio", ssrc=42)
            assert re.search(str(int(CloseCode.INTERNAL)), repr(ended.value) + str(ended.value))
            assert server.gateway.channels.counts().members == 1
            await ben.publish("audio", ssrc=43)
            # A new channel opens on the plane that runs, and with none left nobody may join.
            async with open_light_client(url, "green", "cleo", identity):
                assert server.gateway.channels.channels["green"].plane == plane


def test_a_process_whose_loop_a_plane_blocks_ends() -> None:
    plane = Plane()
    statuses: list[int] = []
    watch = loop_watch.LoopWatch([plane], statuses.append, interval=0.02)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        threading.Event().wait(0.3)
        assert statuses == [], "only the loop stands, and the plane runs"
        plane.seconds = math.inf
        for _ in range(20):
            watch.beat()
            threading.Event().wait(0.01)
        assert statuses == [], "only the plane stands, and the loop runs"
        thread.join(5)
        assert statuses == [loop_watch.STATUS]
    finally:
        watch.stop()
        thread.join()


async def test_the_watch_of_the_loop_ends_with_its_block() -> None:
    def watching() -> bool:
        return any(thread.name == "loop watch" for thread in threading.enumerate())

    async with loop_watch.watch_loop([Plane(math.inf)], lambda status: pytest.fail(str(status)), interval=0.02):
        await trio.sleep(0.2)
        assert watching()
    await eventually(lambda: not watching())
