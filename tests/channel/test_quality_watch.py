"""Changes of the connections' quality, and whom they reach."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

import sfu
from gateway.channel.quality_watch import INTERVAL, MOST_NOTICES
from protocol import limits
from tests.session.memory_gateway import RawClient, Rig, open_rig
from tests.session.test_resuming import join
from tools.harness import World, run_scenario

GOOD = sfu.PeerMeasurement(expected=100)
SILENT = sfu.PeerMeasurement(expected=100, is_silent=True)


@define
class Networks:
    """The present measurement of each user."""

    of: dict[str, sfu.PeerMeasurement] = field(factory=dict)

    def measure(self, peers: Sequence[sfu.Peer]) -> list[sfu.PeerMeasurement]:
        return [self.of.get(peer.name, GOOD) for peer in peers]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Networks:
    networks = Networks()
    monkeypatch.setattr(sfu, "measure_peers", networks.measure)
    return networks


async def joined(rig: Rig, *users: str) -> list[RawClient]:
    rig.nursery.start_soon(rig.gateway.run)
    return await rig.joined(*users)


async def qualities(client: RawClient) -> list[tuple[str, str]]:
    """Take all frames, and return the user and the quality of each event."""
    frames = [frame["data"] for frame in await client.take_all() if frame["type"] == "connection_quality"]
    return [(data["userId"], data["quality"]) for data in frames]


async def test_a_change_reaches_everybody_once_and_nothing_else_does(
    autojump_clock: MockClock, networks: Networks
) -> None:
    async with open_rig(ping_interval=1000) as rig:
        ada, ben = await joined(rig, "ada", "ben")
        await trio.sleep(5 * INTERVAL)
        assert await qualities(ben) == []
        networks.of["ada"] = SILENT
        await trio.sleep(5 * INTERVAL)
        assert await qualities(ada) == await qualities(ben) == [("ada", "lost")]
        del networks.of["ada"]
        await trio.sleep(5 * INTERVAL)
        assert await qualities(ada) == await qualities(ben) == [("ada", "excellent")]


async def test_a_newcomer_learns_the_present_qualities_after_its_snapshot(
    autojump_clock: MockClock, networks: Networks
) -> None:
    async with open_rig() as rig:
        await joined(rig, "ada", "ben")
        networks.of["ada"] = SILENT
        await trio.sleep(2 * INTERVAL)
        cleo = await rig.connect()
        await cleo.request("join", channelId="lobby", username="cleo", userId="cleo")
        assert (await cleo.next())["type"] == "ok"
        assert await cleo.event("connection_quality") == {"userId": "ada", "quality": "lost"}
        assert await cleo.take_all() == []


async def test_nobody_hears_of_the_connection_of_somebody_who_has_left(
    autojump_clock: MockClock, networks: Networks
) -> None:
    async with open_rig() as rig:
        ada, ben = await joined(rig, "ada", "ben")
        networks.of["ada"] = SILENT
        await ada.close()
        await trio.sleep(2 * INTERVAL)
        assert await qualities(ben) == []
        again = await rig.connect()
        networks.of.clear()
        await again.join("ada")
        await trio.sleep(2 * INTERVAL)
        assert await qualities(ben) == []


async def test_a_channel_announces_a_bounded_number_of_changes_at_once(
    autojump_clock: MockClock, networks: Networks
) -> None:
    users = [f"u{number}" for number in range(MOST_NOTICES + 5)]
    async with open_rig() as rig:
        first, *_ = await joined(rig, *users)
        networks.of = dict.fromkeys(users, SILENT)
        await trio.sleep(1.5 * INTERVAL)
        assert len(await qualities(first)) == MOST_NOTICES
        await trio.sleep(INTERVAL)
        assert len(await qualities(first)) == 5


async def test_a_bug_in_measuring_one_channel_stops_no_other(
    autojump_clock: MockClock, networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(peers: Sequence[sfu.Peer]) -> Any:
        if peers[0].name == "ada":
            raise RuntimeError("a bug")
        return networks.measure(peers)

    async with open_rig() as rig:
        (ada,) = await joined(rig, "ada")
        (ben,) = await rig.joined("ben", channel="kitchen")
        monkeypatch.setattr(sfu, "measure_peers", measure)
        networks.of["ben"] = SILENT
        await trio.sleep(2 * INTERVAL)
        assert await qualities(ben) == [("ben", "lost")]
        assert ada.closed is None


async def test_a_client_that_lost_events_gets_the_present_qualities(
    autojump_clock: MockClock, networks: Networks
) -> None:
    async with open_rig() as rig:
        (ben,) = await joined(rig, "ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        networks.of["ben"] = SILENT
        await trio.sleep(2 * INTERVAL)
        for _ in range(limits.MAX_UNACKNOWLEDGED_BYTES // 15_000 + 2):
            await ben.ok("message", data="x" * 15_000)
        await wait_all_tasks_blocked()
        again = await rig.connect()
        again.last_event = ada.last_event
        assert (await again.ok("resume_session", **session))["lost"] is True
        assert await qualities(again) == [("ben", "lost")]


def test_a_member_whose_network_is_gone_is_lost_for_the_others() -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.call("ada", "ben")
        ada.cut_media()
        begun = trio.current_time()
        assert (await ben.event("connection_quality", userId="ada"))["quality"] == "lost"
        assert trio.current_time() - begun <= world.config.disconnected_after + INTERVAL + 0.1

    run_scenario(scenario)
