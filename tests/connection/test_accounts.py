"""Clients pay for the time of the event loop that they use, and others do not wait for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.connection.accounts import Account, Accounts, site_of
from gateway.connection.rates import TokenBucket
from gateway.ops.loop_time import LoopTime, payer
from gateway.ops.metrics import Metrics
from gateway.session.request_source import MOST_DEBT
from tests.eventually import eventually
from tests.session.memory_gateway import open_rig

STINGY: dict[str, Any] = {"work_share": 0.2, "work_burst": 0.01}
PING = b"\x89\x80\x00\x00\x00\x00"  # a masked ping without data (RFC 6455 section 5.2)


@asynccontextmanager
async def costly_steps(metrics: Metrics) -> AsyncIterator[None]:
    """Let each step of a payer's task cost a millisecond, whatever the machine."""
    steps = LoopTime(metrics, count(0.0, 0.001).__next__, used=count().__next__)
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)


@pytest.mark.parametrize(
    ("remote", "site"),
    [
        ("203.0.113.7:4711", "203.0.113.7/32"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("[::ffff:203.0.113.7]:1", "203.0.113.7/32"),
        ("[fe80::1%eth0]:1", "fe80::1/128"),
        ("127.0.0.1:4711", None),
        ("[::1]:4711", None),
        ("[::ffff:127.0.0.1]:1", None),
        ("unknown", None),
        ("memory", None),
    ],
)
def test_an_address_stands_for_its_site(remote: str, site: str | None) -> None:
    assert site_of(remote) == site


async def test_the_debt_of_an_address_outlives_its_connections(autojump_clock: MockClock) -> None:
    accounts = Accounts(share=0.5, burst=10)
    first = Account(TokenBucket(0.1, 1), accounts.of("203.0.113.7:1"))
    first.charge(12)
    assert first.debt() == 110
    del first
    second = Account(TokenBucket(0.1, 1), accounts.of("203.0.113.7:2"))
    assert second.debt() == 4
    assert Account(TokenBucket(0.1, 1), accounts.of("203.0.113.8:2")).debt() == 0
    await trio.sleep(4)
    assert second.debt() == 0


async def test_the_number_of_accounts_is_bounded_and_debts_are_not_forgotten_soon(autojump_clock: MockClock) -> None:
    await trio.sleep(1)
    accounts = Accounts(share=0.5, burst=10, max_addresses=100)
    debtor = accounts.of("203.0.113.7")
    assert debtor is not None
    debtor.charge(1000, trio.current_time())
    for number in range(500):
        accounts.of(f"198.51.{number // 250}.{number % 250}")
    assert len(accounts) == 100
    assert accounts.of("203.0.113.7") is debtor


class Clocks:
    """A :class:`LoopTime` on clocks that the test moves: the wall's, and that of the processor."""

    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.steps = LoopTime(self, lambda: self.now, lambda: self.used)

    def slow_step(self, seconds: float) -> None: ...

    def take_round(self, *steps: tuple[trio.lowlevel.Task, float], used: float) -> None:
        """A wait for the network of a second, then these steps, which used so much of the processor."""
        self.now += 1.0
        self.steps.after_io_wait(0.0)
        for task, seconds in steps:
            self.now += seconds
            self.steps.after_task_step(task)
        self.used += used
        self.steps.before_io_wait(0.0)


async def test_a_step_is_charged_to_the_payer_of_its_task_and_of_those_that_it_starts() -> None:
    account, clocks = Account(TokenBucket(1, 0)), Clocks()
    task = trio.lowlevel.current_task()
    tasks: list[trio.lowlevel.Task] = []

    async def child() -> None:
        tasks.append(trio.lowlevel.current_task())
        await trio.lowlevel.checkpoint()

    token = payer.set(account)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        await trio.lowlevel.checkpoint()
    payer.reset(token)
    clocks.take_round((task, 7.0), (tasks[0], 2.0), (task, 5.0), (tasks[0], 1.0), used=15.0)
    assert 2.9 < account.debt() <= 3
    clocks.take_round((task, 7.0), used=7.0)
    assert 2.9 < account.debt() <= 3


async def test_nobody_pays_for_the_time_that_the_machine_gives_to_others() -> None:
    await trio.lowlevel.checkpoint()
    account, clocks = Account(TokenBucket(1, 0)), Clocks()
    task = trio.lowlevel.current_task()
    token = payer.set(account)
    clocks.take_round((task, 8.0), used=2.0)
    payer.reset(token)
    assert 1.9 < account.debt() <= 2


async def test_a_busy_client_is_served_later_and_others_at_once(autojump_clock: MockClock) -> None:
    async with open_rig(**STINGY) as rig, costly_steps(rig.metrics):
        ada, ben = await rig.joined("ada", "ben")
        await trio.sleep(100)
        begun = trio.current_time()
        busy = next(iter(rig.gateway.connections.values()))
        assert busy.attachment is not None
        for number in range(1000, 1200):  # they have been read already
            busy.receive(busy.attachment, f'{{"id":{number},"type":"ping"}}', 30)
        asked = trio.current_time()
        await ben.ok("ping")
        assert trio.current_time() == asked
        await eventually(lambda: len([frame for frame in ada.frames if frame["type"] == "ok"]) == 200, 600)
        assert trio.current_time() - begun > 0.2


async def test_a_client_that_floods_pings_is_read_later(autojump_clock: MockClock) -> None:
    async with open_rig(**STINGY, ping_interval=1000) as rig, costly_steps(rig.metrics):
        (ada,) = await rig.joined("ada")
        await trio.sleep(100)
        [connection] = rig.gateway.connections.values()
        assert connection.attachment is not None
        begun = trio.current_time()
        for _ in range(20):
            await ada.stream.send_all(50 * PING)
        await trio.sleep(10)
        assert connection.attachment.shared.last_received_at > begun + 0.2


async def test_a_client_with_a_debt_that_it_can_never_pay_is_closed_with_4429(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        [connection] = rig.gateway.connections.values()
        assert connection.account is not None
        connection.account.charge(1 + 0.1 * MOST_DEBT + 0.2)
        await ada.request("ping")
        assert await ada.wait_closed() == 4429


async def test_a_client_waits_for_the_debt_of_its_neighbours_and_is_not_closed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        [connection] = rig.gateway.connections.values()
        assert connection.account is not None
        connection.account.address = TokenBucket(0.5, 10)
        connection.account.address.charge(1010, trio.current_time())
        asked = trio.current_time()
        await ada.ok("ping")
        assert asked + 1 < trio.current_time() <= asked + MOST_DEBT + 1
