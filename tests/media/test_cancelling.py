"""A peer is cancelled after each step of each task in turn, and never leaves anything behind."""

from collections.abc import Callable

import trio
from attrs import define
from trio.testing import MockClock

import sfu
from tests.media.conftest import Notices
from tests.media.memory_network import Network, open_network
from tests.media.test_closing import connected, listen, nothing_is_left, speak, transport_of
from tools.light.transport import Identity

SETTINGS = sfu.MediaSettings()


@define(eq=False)
class AtStep(trio.abc.Instrument):
    """Calls a function after so many steps of all tasks."""

    step: int
    act: Callable[[], None]
    steps: int = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self.steps == self.step:
            self.act()


async def a_session(network: Network, notices: Notices, identity: Identity, bob: sfu.Peer) -> None:
    """Ada comes, talks with Bob, closes a transport and goes."""
    async with sfu.open_peer(network.router, notices, name="ada") as ada:
        mine = speak(ada)
        await connected(network, ada, transport_of(mine), identity)
        listen(bob, mine)
        consumer = listen(ada, *bob.producers.values())
        await connected(network, ada, transport_of(consumer), identity)
        ada.close_transport(transport_of(consumer).id)
        await trio.sleep(1)


async def cancelled_after(step: int, identity: Identity) -> bool:
    """Whether the session lived that long."""
    adas, bobs = Notices(), Notices()
    async with open_network(SETTINGS) as network:
        async with sfu.open_peer(network.router, bobs, name="bob") as bob:
            speak(bob, 2222)
            with trio.CancelScope() as session:
                instrument = AtStep(step, session.cancel)
                trio.lowlevel.add_instrument(instrument)
                await a_session(network, adas, identity, bob)
            # Trio removes an instrument that raised, without failing.
            trio.lowlevel.remove_instrument(instrument)
            assert adas.errors == bobs.errors == []
            assert network.router.counts().peers == 1
            assert list(network.router.directory.transports.values()) == list(bob.transports.values())
            assert [producer.consumers for producer in bob.producers.values()] == [{}]
            heard = any(transport.direction == "receive" for transport in bob.transports.values())
            assert bobs.words == ["consumer closed: user_left"] * heard
            for client in network.clients.values():
                # A connected client got its goodbye, although the scope was cancelled.
                assert client.transport.closed_by_gateway or not client.transport.connected
        assert nothing_is_left(network.router)
    return instrument.steps >= step


async def test_a_peer_cancelled_at_any_step_leaves_nothing_and_notifies_once(
    autojump_clock: MockClock, identity: Identity
) -> None:
    step = 1
    while await cancelled_after(step, identity):
        step += 1
    assert step > 30
