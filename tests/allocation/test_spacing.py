"""How often the allocator of one receiver runs when streams and wishes change all the time."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfu.bandwidth import SPACING, SPACING_PER_VIDEO, BandwidthSharing
from sfu.dataplane.interface import TransportId
from tests.allocation.examples import CAMERA


def consumer(number: int) -> Any:
    return SimpleNamespace(
        id=str(number),
        kind="video",
        plan=SimpleNamespace(has_bandwidth_feedback=True),
        producer=SimpleNamespace(screen=False, speaking=False),
        priority=1,
        bounds=None,
        wanted=True,
        ladder=lambda: CAMERA,
        allot=lambda limit, now, urgent: None,
    )


def runs_a_second(videos: int) -> float:
    """Let something change 1,000 times a second, for ten seconds."""
    runs: list[float] = []
    plane: Any = SimpleNamespace(
        bandwidth_stats=lambda transport: SimpleNamespace(estimate=1e9),
        aim_bandwidth=lambda transport, used, next_rate, wanted: runs.append(used),
    )
    consumers, sharing = [consumer(number) for number in range(videos)], BandwidthSharing(steers=True)
    for one in consumers:
        sharing.on_consumer(one)
    for millisecond in range(10_000):
        sharing.ask()
        sharing.handle_timer(consumers, plane, TransportId(1), millisecond / 1000)
    return len(runs) / 10


def test_a_receiver_of_many_videos_shares_its_bandwidth_less_often() -> None:
    assert runs_a_second(10) == pytest.approx(1 / SPACING, abs=1)
    assert runs_a_second(100) == pytest.approx(1 / (100 * SPACING_PER_VIDEO), abs=1)
