"""The notices when something ends: exactly once, in order, and whatever their receivers do about them."""

from collections.abc import Callable

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

import sfu
from sfu.errors import Conflict, NotFound
from sfu.settings import TransportState
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Network, open_network
from tests.media.rtp import opus, vp8
from tools.light.transport import Identity

SETTINGS = sfu.MediaSettings()


@define
class Acting(Notices):
    """An owner that acts at once on a notice."""

    on: dict[str, Callable[[], object]] = field(factory=dict)

    def _act(self) -> None:
        if act := self.on.get(self.words[-1]):
            act()

    def transport_changed(self, transport: sfu.Transport) -> None:
        super().transport_changed(transport)
        self._act()

    def producer_closed(self, producer: sfu.Producer) -> None:
        super().producer_closed(producer)
        self._act()

    def demand_changed(self, producer: sfu.Producer) -> None:
        super().demand_changed(producer)
        self._act()

    def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
        super().consumer_closed(consumer, why)
        self._act()

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        super().consumer_updated(consumer)
        self._act()


def transport_of(stream: sfu.Producer | sfu.Consumer) -> sfu.Transport:
    assert isinstance(stream.transport, sfu.Transport)
    return stream.transport


def speak(peer: sfu.Peer, ssrc: int = 1111) -> sfu.Producer:
    """A new producer of this peer, on its send transport or a new one."""
    sending = [each for each in peer.transports.values() if each.direction == "send"]
    transport = sending[0] if sending else peer.create_transport("send")
    return peer.produce(transport.id, "audio", opus(ssrc))


def listen(peer: sfu.Peer, producer: sfu.Producer) -> sfu.Consumer:
    receiving = [each for each in peer.transports.values() if each.direction == "receive"]
    transport = receiving[0] if receiving else peer.create_transport("receive")
    return peer.consume(transport.id, producer, peer.context.capabilities, stream="them", paused=False)


def nothing_is_left(router: sfu.Router) -> bool:
    totals = router.context.plane.totals()
    in_the_plane = totals.transports, totals.producers, totals.routes, totals.paths, totals.usernames
    return in_the_plane == (0, 0, 0, 0, 0) and router.counts() == sfu.RouterCounts(0, 0, 0, 0)


async def connected(network: Network, peer: sfu.Peer, transport: sfu.Transport, identity: Identity) -> None:
    client = network.client(transport, identity)
    peer.connect_transport(transport.id, client.transport.dtls_parameters)
    await eventually(lambda: transport.connected and client.transport.connected)


async def test_an_exception_of_the_block_passes_unchanged(autojump_clock: MockClock) -> None:
    async with open_network(SETTINGS) as network:
        with pytest.raises(ValueError, match=r"^mine$"):
            async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
                ada.create_transport("send")
                raise ValueError("mine")
        assert nothing_is_left(network.router)


async def test_an_owner_whose_failure_handler_raises_stops_no_other(autojump_clock: MockClock) -> None:
    class Hopeless(Notices):
        def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
            raise RuntimeError("clumsy")

        def failed(self, error: Exception) -> None:
            raise RuntimeError("hopeless")

    careful = Notices()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Hopeless(), name="bob") as bob,
        sfu.open_peer(network.router, careful, name="cleo") as cleo,
    ):
        async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
            producer = speak(ada)
            listen(bob, producer)
            listen(cleo, producer)
        assert ada.exit is not None
        assert careful.words == ["consumer closed: user_left"]


async def test_a_leaving_peer_creates_no_transport(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_network(SETTINGS) as network:
        refused: list[bool] = []

        async def try_to_go_on() -> None:
            await trio.lowlevel.checkpoint()
            with pytest.raises(Conflict, match="left"):
                ada.create_transport("send")
            refused.append(True)

        async with sfu.open_peer(network.router, Notices(), name="ada") as ada:
            monkeypatch.setattr(ada.create_transport("receive"), "say_goodbye", try_to_go_on)
        with pytest.raises(Conflict, match="left"):
            ada.create_transport("send")
        assert refused
        assert nothing_is_left(network.router)


async def test_leaving_notifies_each_listener_once_and_not_oneself(autojump_clock: MockClock) -> None:
    own, bobs = Notices(), Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, bobs, name="bob") as bob:
        async with sfu.open_peer(network.router, own, name="ada") as ada:
            producer = speak(ada)
            listen(ada, producer)
            listen(bob, producer)
            listen(ada, speak(bob, 2222))
        assert own.words == []
        assert bobs.words == ["consumer closed: user_left"]
        assert not bob.consumers
        assert [producer.consumers for producer in bob.producers.values()] == [{}]
        assert ada.exit == sfu.PeerExit(consumers=2, producers=1, transports=2, seconds=0, forced=0)


async def test_two_peers_that_hear_each_other_can_leave_together(autojump_clock: MockClock) -> None:
    adas, bobs = Notices(), Notices()
    async with open_network(SETTINGS) as network:
        async with trio.open_nursery() as both:
            ready: list[sfu.Peer] = []

            async def stay(notices: Notices, name: str) -> None:
                async with sfu.open_peer(network.router, notices, name=name) as peer:
                    speak(peer)
                    ready.append(peer)
                    await trio.sleep_forever()

            both.start_soon(stay, adas, "ada")
            both.start_soon(stay, bobs, "bob")
            await trio.testing.wait_all_tasks_blocked()
            for one, other in (ready, reversed(ready)):
                listen(one, *other.producers.values())
            both.cancel_scope.cancel()
        # The first exit closed the other peer's consumer and gave notice, so the second had none left.
        assert sorted([adas.words, bobs.words]) == [[], ["consumer closed: user_left"]]
        assert nothing_is_left(network.router)


async def test_closing_a_transport_inside_a_notice_of_its_end_is_harmless(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Acting()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
    ):
        first, second = speak(ada, 1), speak(ada, 2)
        listen(bob, first)
        lost = transport_of(listen(bob, second))
        bobs_own = speak(bob, 3)

        def close_everything() -> None:
            with pytest.raises(NotFound):
                bob.close_transport(lost.id)
            for transport_id in list(bob.transports):
                bob.close_transport(transport_id)
            bob.create_transport("receive")

        notices.on = {"consumer closed: failed": close_everything}
        bob.connect_transport(lost.id, network.client(lost, identity).transport.dtls_parameters)
        network.clients.clear()
        # The second notice replaces the receive transport that the first one created.
        lost.fail("for the test")
        assert notices.errors == []
        assert notices.words == ["consumer closed: failed"] * 2 + ["transport failed", "transport closed"]
        assert [each.direction for each in bob.transports.values()] == ["receive"]
        assert bobs_own.closed
        assert first.consumers == second.consumers == {}


async def test_a_consumer_closed_during_a_notice_causes_no_further_notice(autojump_clock: MockClock) -> None:
    notices, others = Acting(), Acting()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
        sfu.open_peer(network.router, others, name="cleo") as cleo,
    ):
        producer = speak(ada)
        one, other = listen(bob, producer), listen(cleo, producer)
        notices.on = {"consumer updated": lambda: cleo.close_consumer(other.id)}
        ada.set_producer_paused(producer.id, True)
        assert notices.received == [("consumer updated", one)]
        assert others.received == []
        assert notices.errors == others.errors == []


async def test_a_failing_transport_gives_one_notice_failed_and_one_closed(
    autojump_clock: MockClock, identity: Identity
) -> None:
    notices = Acting()
    async with open_network(SETTINGS) as network:
        async with sfu.open_peer(network.router, notices, name="ada") as ada:
            transport = ada.create_transport("send")
            notices.on = {"transport failed": lambda: transport.fail("again")}
            transport.fail("for the test")
            transport.fail("and again")
            assert transport.state is TransportState.CLOSED
        assert notices.words == ["transport failed", "transport closed"]
        assert notices.errors == []


async def test_a_transport_whose_timer_raises_ends_its_owner_and_does_not_spin(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices = Notices()
    async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
        transport = ada.create_transport("send")
        await connected(network, ada, transport, identity)

        def fail(now: float) -> None:
            raise RuntimeError("no time")

        producer = ada.produce(transport.id, "video", vp8(1))
        monkeypatch.setattr(producer, "review_consumers", fail)
        monkeypatch.setattr(transport, "_next_review", trio.current_time())
        transport.wake()
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(60)
        assert [str(error) for error in notices.errors] == ["no time"]


async def test_nothing_is_left_after_the_last_peer_left(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_network(SETTINGS) as network:
        tasks_before = tasks_of_the_media_side()
        async with (
            sfu.open_peer(network.router, Notices(), name="ada") as ada,
            sfu.open_peer(network.router, Notices(), name="bob") as bob,
        ):
            producer = speak(ada)
            consumer = listen(bob, producer)
            await connected(network, ada, transport_of(producer), identity)
            await connected(network, bob, transport_of(consumer), identity)
            ada.restart_ice(transport_of(producer).id)
            assert not nothing_is_left(network.router)
            assert len(tasks_of_the_media_side()) == len(tasks_before) + 2
        assert nothing_is_left(network.router)
        assert tasks_of_the_media_side() == tasks_before
        assert not network.router.directory.transports
        assert not network.router.directory.producers
        assert not network.router.directory.consumers


def tasks_of_the_media_side() -> list[str]:
    """Names of all tasks of the media side."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found, waiting = [], [root]
    while waiting:
        task = waiting.pop()
        found.append(task.name)
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return sorted(name for name in found if name.startswith(("transport", "media", "sfu.")))
