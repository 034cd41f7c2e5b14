"""Peers that do anything in any order, also inside notices.  All tables agree after every step."""

import random
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

import sfu
from sfu.errors import SfuError
from tests.media.camera import SIMULCAST
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.rtp import opus, vp8

NAMES = ("ada", "bob", "cleo")


@define(eq=False)
class Restless(Notices):
    """An owner that answers some notices with another action at once, a few levels deep."""

    world: "World | None" = None
    depth: int = 0
    closed_by_itself: set[object] = field(factory=set)

    def _react(self) -> None:
        if self.world is not None and self.depth < 3 and self.world.rng.random() < 0.5:
            self.depth += 1
            self.world.do_something()
            self.depth -= 1

    def transport_changed(self, transport: sfu.Transport) -> None:
        super().transport_changed(transport)
        self._react()

    def producer_closed(self, producer: sfu.Producer) -> None:
        assert producer.closed
        super().producer_closed(producer)
        self._react()

    def demand_changed(self, producer: sfu.Producer) -> None:
        assert not producer.closed
        super().demand_changed(producer)
        self._react()

    def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
        assert consumer.closed
        super().consumer_closed(consumer, why)
        self._react()

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        assert not consumer.closed
        super().consumer_updated(consumer)
        self._react()


@define(eq=False)
class World:
    router: sfu.Router
    rng: random.Random
    peers: list[sfu.Peer]
    everything: set[sfu.Consumer | sfu.Producer | sfu.Transport] = field(factory=set)

    def do_something(self) -> None:
        peer, action = self.rng.choice(self.peers), self.rng.choice(ACTIONS)
        try:
            action(self, peer)
        except SfuError:
            return

    def own(self, things: Iterable[str]) -> str:
        """The id of an object, mostly of an existing one."""
        known = list(things)
        return self.rng.choice(known) if known and self.rng.random() < 0.9 else "none of it"

    def over(self, peer: sfu.Peer, direction: str) -> str:
        return self.own(each.id for each in peer.transports.values() if each.direction == direction)

    def note_closing(self, peer: sfu.Peer, *things: object) -> None:
        """An owner gets no notice of objects that it closes itself."""
        assert isinstance(peer.observer, Restless)
        peer.observer.closed_by_itself.update(things)

    # The random actions.

    def create_transport(self, peer: sfu.Peer) -> None:
        self.everything.add(peer.create_transport(self.rng.choice(("send", "receive"))))

    def produce(self, peer: sfu.Peer) -> None:
        transport_id, paused = self.over(peer, "send"), self.rng.random() < 0.3
        ssrc = self.rng.getrandbits(31)
        if self.rng.random() < 0.3:
            self.everything.add(peer.produce(transport_id, "audio", opus(ssrc), paused=paused))
        else:
            parameters = self.rng.choice((vp8(ssrc), SIMULCAST))
            self.everything.add(peer.produce(transport_id, "video", parameters, paused=paused))

    def consume(self, peer: sfu.Peer) -> None:
        producers = [producer for other in self.peers for producer in other.producers.values()]
        if producers:
            paused = self.rng.random() < 0.3
            transport_id, capabilities = self.over(peer, "receive"), self.router.context.capabilities
            chosen = self.rng.choice(producers)
            self.everything.add(peer.consume(transport_id, chosen, capabilities, stream="them", paused=paused))

    def pause(self, peer: sfu.Peer) -> None:
        peer.set_producer_paused(self.own(peer.producers), self.rng.random() < 0.5)

    def pause_consumer(self, peer: sfu.Peer) -> None:
        peer.set_consumer_paused(self.own(peer.consumers), self.rng.random() < 0.5)

    def set_layers(self, peer: sfu.Peer) -> None:
        peer.set_layers(self.own(peer.consumers), self.rng.randrange(4), self.rng.randrange(4))

    def close_consumer(self, peer: sfu.Peer) -> None:
        consumer = peer.consumer(self.own(peer.consumers))
        self.note_closing(peer, consumer)
        peer.close_consumer(consumer.id)

    def close_producer(self, peer: sfu.Peer) -> None:
        producer = peer.producer(self.own(peer.producers))
        self.note_closing(peer, producer)
        peer.close_producer(producer.id)

    def close_transport(self, peer: sfu.Peer) -> None:
        transport = peer.transport(self.own(peer.transports))
        self.note_closing(peer, transport, *transport.producers.values(), *transport.consumers.values())
        peer.close_transport(transport.id)

    def fail(self, peer: sfu.Peer) -> None:
        peer.transport(self.own(peer.transports)).fail("for the test")

    def restart_ice(self, peer: sfu.Peer) -> None:
        peer.restart_ice(self.own(peer.transports))

    # Properties that hold after every action.

    def check(self) -> None:
        directory, totals = self.router.directory, self.router.context.plane.totals()
        transports = {each for peer in self.peers for each in peer.transports.values()}
        producers = {each for peer in self.peers for each in peer.producers.values()}
        consumers = {each for peer in self.peers for each in peer.consumers.values()}
        assert transports | producers | consumers == {each for each in self.everything if not each.closed}
        assert set(directory.transports.values()) == transports
        assert len(transports) <= totals.usernames <= 2 * len(transports)  # two of each during a restart
        assert set(directory.producers.values()) == producers
        assert set(directory.consumers.values()) == consumers
        assert {each for transport in transports for each in transport.producers.values()} == producers
        assert {each for transport in transports for each in transport.consumers.values()} == consumers
        assert {each for producer in producers for each in producer.consumers.values()} == consumers
        assert (totals.transports, totals.producers, totals.routes) == (len(transports), len(producers), len(consumers))
        for peer in self.peers:
            assert isinstance(peer.observer, Restless)
            self.check_notices(peer, peer.observer)

    def check_notices(self, peer: sfu.Peer, owner: Restless) -> None:
        """Each object that its owner did not close itself caused exactly one notice."""
        assert owner.errors == []
        ends = Counter(
            thing
            for word, thing in owner.received
            if word.startswith(("consumer closed", "producer closed")) or word == "transport closed"
        )
        owned = {each for each in self.everything if each.guard is peer.guard}
        expected = {each for each in owned if each.closed} - owner.closed_by_itself
        assert ends == Counter(dict.fromkeys(expected, 1))


ACTIONS = (
    *[World.create_transport] * 4,
    *[World.produce] * 6,
    *[World.consume] * 8,
    *[World.pause] * 2,
    World.pause_consumer,
    World.set_layers,
    *[World.close_consumer] * 2,
    *[World.close_producer] * 2,
    World.close_transport,
    World.fail,
    World.restart_ice,
)


@pytest.mark.parametrize("seed", range(12))
async def test_all_tables_agree_whatever_owners_do_and_whenever(autojump_clock: MockClock, seed: int) -> None:
    async with open_network(sfu.MediaSettings(), seed=seed) as network:
        owners = [Restless() for _ in NAMES]
        async with AsyncExitStack() as stack:
            peers = [
                await stack.enter_async_context(sfu.open_peer(network.router, owner, name=name))
                for owner, name in zip(owners, NAMES, strict=True)
            ]
            world = World(network.router, random.Random(seed), peers)
            for owner in owners:
                owner.world = world
            for _ in range(200):
                world.do_something()
                world.check()
            await trio.testing.wait_all_tasks_blocked()
            world.check()
            for owner in owners:
                owner.world = None
        assert network.router.counts() == sfu.RouterCounts(0, 0, 0, 0)
        assert network.plane.totals().usernames == 0
        assert network.router.context.slow_path_errors == 0
        assert sum(len(owner.received) for owner in owners) >= 10
