"""The fate of a datagram depends only on the seed and on its place in the traffic of its link."""

from collections.abc import Sequence

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from sfu.dataplane.interface import Path
from tools.harness import CLEAN, ROUGH, Conditions
from tools.harness.network import MAX_IN_FLIGHT, Link, Network

ADA, BEN = Path("198.51.100.1", 1024), Path("198.51.100.1", 1025)
Arrivals = list[tuple[float, bytes]]


def connect(network: Network, conditions: Conditions, path: Path = ADA) -> tuple[Link, Arrivals]:
    """A link, and the list to which it adds the time and content of each arriving datagram."""
    arrivals: Arrivals = []
    begun = trio.current_time()
    link = network.connect(
        path,
        conditions,
        lambda data: arrivals.append((round(trio.current_time() - begun, 6), data)),
        lambda data: None,
    )
    return link, arrivals


async def carry(
    conditions: Conditions, datagrams: Sequence[bytes], *, seed: int = 1, others: int = 0, pause: float = 0.001
) -> Arrivals:
    """Send these datagrams over a new network, and after each of them ``others`` datagrams of another client."""
    network = Network(seed)
    link, arrivals = connect(network, conditions)
    other, _ = connect(network, conditions, BEN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.run)
        for datagram in datagrams:
            network.send(link.to_gateway, datagram)
            for _ in range(others):
                network.send(other.to_gateway, b"noise")
            await trio.sleep(pause)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    return arrivals


def numbered(count: int, size: int = 2) -> list[bytes]:
    return [number.to_bytes(2, "big").ljust(size, b"\0") for number in range(count)]


def fate(arrivals: Arrivals) -> list[tuple[float, bytes]]:
    return [(at, data[:2]) for at, data in arrivals]


async def test_the_fate_of_datagrams_depends_on_the_seed(autojump_clock: MockClock) -> None:
    first, again, other = [await carry(ROUGH, numbered(200), seed=seed) for seed in (1, 1, 2)]
    assert fate(first) == fate(again)
    assert fate(first) != fate(other)


async def test_the_size_of_a_datagram_does_not_change_its_fate(autojump_clock: MockClock) -> None:
    assert fate(await carry(ROUGH, numbered(200))) == fate(await carry(ROUGH, numbered(200, size=1200)))


async def test_the_traffic_of_others_does_not_change_the_fate_of_a_datagram(autojump_clock: MockClock) -> None:
    assert fate(await carry(ROUGH, numbered(200))) == fate(await carry(ROUGH, numbered(200), others=3))


async def test_the_loss_rate_is_as_configured(autojump_clock: MockClock) -> None:
    arrivals = await carry(Conditions(loss=0.2), numbered(2000))
    assert 0.17 < 1 - len(arrivals) / 2000 < 0.23


async def test_on_a_clean_network_everything_arrives_in_order_after_the_latency(autojump_clock: MockClock) -> None:
    arrivals = await carry(CLEAN, numbered(50), pause=0)
    assert arrivals == [(CLEAN.latency, data) for data in numbered(50)]


async def test_jitter_alone_does_not_reorder(autojump_clock: MockClock) -> None:
    arrivals = await carry(Conditions(latency=0.02, jitter=0.05), numbered(300))
    assert [data for _, data in arrivals] == numbered(300)
    assert len({round(at - number / 1000, 4) for number, (at, _) in enumerate(arrivals)}) > 10


async def test_reordering_changes_the_order_but_loses_nothing(autojump_clock: MockClock) -> None:
    came = [data for _, data in await carry(Conditions(latency=0.02, reordering=0.1), numbered(300))]
    assert came != numbered(300)
    assert sorted(came) == numbered(300)


async def test_duplicates_arrive_twice(autojump_clock: MockClock) -> None:
    came = [data for _, data in await carry(Conditions(duplication=0.1), numbered(1000))]
    assert sorted(set(came)) == numbered(1000)
    assert 1070 < len(came) < 1130


async def test_a_cut_link_loses_datagrams_in_flight_and_works_again_when_repaired(autojump_clock: MockClock) -> None:
    network = Network(1)
    link, arrivals = connect(network, CLEAN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.run)
        network.send(link.to_gateway, b"under way")
        link.cut = True
        network.send(link.to_gateway, b"cut")
        await trio.sleep(1)
        network.repair()
        network.send(link.to_gateway, b"repaired")
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [data for _, data in arrivals] == [b"repaired"]


async def test_datagrams_of_a_disconnected_address_are_lost(autojump_clock: MockClock) -> None:
    network = Network(1)
    link, arrivals = connect(network, CLEAN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.run)
        network.send(link.to_gateway, b"under way")
        network.disconnect(ADA)
        network.transmit(ADA, b"lost")
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert arrivals == []


async def test_the_number_of_datagrams_in_flight_is_limited(autojump_clock: MockClock) -> None:
    arrivals = await carry(CLEAN, numbered(MAX_IN_FLIGHT + 100), pause=0)
    assert len(arrivals) == MAX_IN_FLIGHT


@pytest.mark.parametrize("changed", ["loss", "duplication", "reordering"])
def test_loss_duplication_and_reordering_make_a_network_lossy(changed: str) -> None:
    assert evolve(CLEAN, **{changed: 0.1}).is_lossy
    assert not evolve(CLEAN, jitter=0.1).is_lossy
