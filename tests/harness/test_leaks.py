"""The harness finds and names everything that clients leave behind."""

import pytest
import trio
from prometheus_client import Counter

import sfu
from gateway.channel.channel import Channel
from gateway.channel.member import Member
from tools.harness import Leak, World, run_scenario


async def a_visit(world: World) -> None:
    """Two clients join, talk and leave."""
    await world.call("ada", "ben")


def test_nothing_is_left_of_a_visit() -> None:
    run_scenario(a_visit)


def test_a_task_that_goes_on_is_a_leak() -> None:
    async def scenario(world: World) -> None:
        await a_visit(world)
        world.tasks.start_soon(trio.sleep_forever)

    with pytest.raises(Leak, match="'trio tasks': "):
        run_scenario(scenario, objects=False)


def test_a_transport_that_stays_in_a_table_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    forget, remove = sfu.Peer.forget_transport, Channel.remove
    forgotten: list[tuple[sfu.Peer, sfu.Transport]] = []

    def keep(peer: sfu.Peer, transport: sfu.Transport) -> None:
        forget(peer, transport)
        forgotten.append((peer, transport))

    def put_back(channel: Channel, member: Member) -> None:
        remove(channel, member)  # before this, the judge would notice it first
        for peer, transport in forgotten:
            if peer is member.peer:
                peer.directory.transports[transport.plane_id] = transport

    monkeypatch.setattr(sfu.Peer, "forget_transport", keep)
    monkeypatch.setattr(Channel, "remove", put_back)
    with pytest.raises(Leak, match="'transports': 4"):
        run_scenario(a_visit, objects=False)


def test_an_object_that_is_still_referenced_is_a_leak() -> None:
    held: list[object] = []

    async def scenario(world: World) -> None:
        await a_visit(world)
        held.append(world.connection("ada"))

    with pytest.raises(Leak, match=r"'gateway\.connection\.connection\.Connection': 1"):
        run_scenario(scenario)


def test_a_metric_with_a_users_name_is_a_leak() -> None:
    async def scenario(world: World) -> None:
        await a_visit(world)
        registry = world.gateway.channels.metrics.registry
        Counter("sfu_joins_by_user", "Too many series.", ["user"], registry=registry).labels("ada").inc()

    with pytest.raises(Leak, match=r"sfu_joins_by_user.*ada"):
        run_scenario(scenario, objects=False)
