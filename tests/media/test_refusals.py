"""The requests that a peer refuses, and its messages, which the client sees."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import frozen
from trio.testing import MockClock

import sfu
from sfu.errors import (
    Conflict,
    InvalidParameters,
    LimitExceeded,
    NotFound,
    SfuError,
    Unsupported,
    WrongDirection,
)
from sfu.parameters import DtlsFingerprint, DtlsParameters, RtpCapabilities
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.rtp import opus, vp8

DTLS = DtlsParameters((DtlsFingerprint("sha-256", ":".join(["ab"] * 32)),), "client")


@frozen
class Room:
    router: sfu.Router
    ada: sfu.Peer
    bob: sfu.Peer
    sending: sfu.Transport
    receiving: sfu.Transport
    producer: sfu.Producer

    def consume(
        self, capabilities: RtpCapabilities | None = None, producer: sfu.Producer | None = None
    ) -> sfu.Consumer:
        given = capabilities or self.bob.context.capabilities
        return self.bob.consume(self.receiving.id, producer or self.producer, given, stream="ada")

    def is_unchanged(self) -> bool:
        """Check that the refused requests left nothing behind."""
        totals = self.ada.context.plane.totals()
        return (totals.transports, totals.producers, totals.routes) == (2, 1, 0) and self.router.counts() == (
            sfu.RouterCounts(2, 2, 1, 0)
        )


@asynccontextmanager
async def open_room(settings: sfu.MediaSettings | None = None) -> AsyncIterator[Room]:
    """Ada sends one stream, and Bob could receive it."""
    async with (
        open_network(settings or sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, Notices(), name="bob") as bob,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        yield Room(network.router, ada, bob, sending, receiving, ada.produce(sending.id, "audio", opus(1)))


async def test_there_is_one_transport_of_each_direction(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        with pytest.raises(Conflict, match="there is a send transport already"):
            room.ada.create_transport("send")
        assert room.is_unchanged()


async def test_a_transport_is_connected_once(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        room.ada.connect_transport(room.sending.id, DTLS)
        with pytest.raises(Conflict, match="connected already"):
            room.ada.connect_transport(room.sending.id, DTLS)


async def test_a_fingerprint_that_cannot_be_checked_is_refused_and_may_be_corrected(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        with pytest.raises(InvalidParameters, match="fingerprint") as refused:
            room.ada.connect_transport(room.sending.id, DtlsParameters((DtlsFingerprint("md5", "ab"),)))
        assert refused.value.path == "fingerprints"
        assert room.sending.state is sfu.TransportState.NEW
        room.ada.connect_transport(room.sending.id, DTLS)


async def test_streams_go_over_transports_of_their_direction(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        with pytest.raises(WrongDirection, match="not a send transport"):
            room.bob.produce(room.receiving.id, "audio", opus(2))
        with pytest.raises(WrongDirection, match="not a receive transport"):
            room.ada.consume(room.sending.id, room.producer, None, stream="ada")
        assert room.is_unchanged()


async def test_missing_objects_and_those_of_others_are_not_found(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        ada, bob = room.ada, room.bob
        attempts = (
            lambda: bob.connect_transport(room.sending.id, DTLS),
            lambda: bob.restart_ice(room.sending.id),
            lambda: bob.close_transport(room.sending.id),
            lambda: bob.close_producer(room.producer.id),
            lambda: bob.set_producer_paused(room.producer.id, True),
            lambda: ada.close_consumer("nothing"),
            lambda: ada.set_consumer_paused("nothing", True),
            lambda: ada.set_layers("nothing", 0, 0),
        )
        for attempt in attempts:
            with pytest.raises(NotFound, match=r"no such (transport|producer|consumer)"):
                attempt()
        assert room.is_unchanged()


async def test_a_producer_that_has_closed_cannot_be_consumed(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        room.ada.close_transport(room.sending.id)
        with pytest.raises(NotFound, match="has closed"):
            room.consume()


async def test_a_receiver_must_give_its_capabilities(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        with pytest.raises(InvalidParameters, match="rtpCapabilities"):
            room.bob.consume(room.receiving.id, room.producer, None, stream="ada")
        with pytest.raises(Unsupported, match="audio/opus"):
            room.consume(RtpCapabilities())
        assert room.is_unchanged()


async def test_two_producers_of_one_transport_have_ssrcs_of_their_own(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        with pytest.raises(Conflict, match="SSRC"):
            room.ada.produce(room.sending.id, "video", vp8(1))
        assert room.is_unchanged()


async def test_a_client_that_consumes_without_end_needs_a_new_transport_now_and_then(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data plane remembers the SSRC of each consumer as long as the keys of the transport live."""
    monkeypatch.setattr(sfu.peer, "MAX_CONSUMERS_EVER", 3)
    async with open_room() as room:
        for _ in range(3):
            room.bob.close_consumer(room.consume().id)
        with pytest.raises(Conflict, match="too many consumers"):
            room.consume()
        assert room.receiving.closed
        again = room.bob.create_transport("receive")
        assert not room.bob.consume(again.id, room.producer, room.bob.context.capabilities, stream="ada").closed


async def test_the_number_of_producers_of_a_peer_is_limited(autojump_clock: MockClock) -> None:
    async with open_room(sfu.MediaSettings(max_producers=2)) as room:
        room.ada.produce(room.sending.id, "audio", opus(2))
        with pytest.raises(LimitExceeded, match="at most 2 producers"):
            room.ada.produce(room.sending.id, "audio", opus(3))
        room.ada.close_producer(room.producer.id)
        room.ada.produce(room.sending.id, "audio", opus(3))


async def test_the_number_of_consumers_of_a_peer_is_limited(autojump_clock: MockClock) -> None:
    async with open_room(sfu.MediaSettings(max_consumers=2)) as room:
        others = [room.ada.produce(room.sending.id, "audio", opus(ssrc)) for ssrc in (2, 3)]
        first, _ = room.consume(), room.consume(producer=others[0])
        with pytest.raises(LimitExceeded, match="at most 2 consumers"):
            room.consume(producer=others[1])
        room.bob.close_consumer(first.id)
        room.consume(producer=others[1])


async def test_a_transport_has_one_consumer_of_a_producer_at_a_time(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        for _ in range(3):
            consumer = room.consume()
            for capabilities in (None, RtpCapabilities(room.bob.context.capabilities.codecs)):
                with pytest.raises(Conflict, match="has a consumer of this producer already"):
                    room.consume(capabilities)
            assert room.router.counts().consumers == 1
            room.bob.close_consumer(consumer.id)
        assert room.is_unchanged()


async def test_a_new_transport_may_consume_what_the_closed_one_did(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        room.consume()
        room.bob.close_transport(room.receiving.id)
        again = room.bob.create_transport("receive", room.bob.context.capabilities)
        room.bob.consume(again.id, room.producer, None, stream="ada")
        with pytest.raises(Conflict):
            room.bob.consume(again.id, room.producer, None, stream="ada")


async def test_a_peers_own_producer_can_be_consumed_once_like_any_other(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        receiving = room.ada.create_transport("receive", room.ada.context.capabilities)
        room.ada.consume(receiving.id, room.producer, None, stream="ada")
        with pytest.raises(Conflict):
            room.ada.consume(receiving.id, room.producer, None, stream="ada")
        room.consume()  # another client's copy is its own


def test_every_exception_of_the_media_side_has_one_base_class() -> None:
    for kind in (Conflict, InvalidParameters, LimitExceeded, NotFound, Unsupported, WrongDirection):
        assert issubclass(kind, SfuError)


async def test_a_consumer_that_cannot_be_made_uses_up_no_ssrc(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_room() as room:
        with monkeypatch.context() as patch:
            patch.setattr(room.bob.context.plane, "add_consumer", _refuse)
            with pytest.raises(RuntimeError, match="no room"):
                room.consume()
        assert room.receiving.consumer_ssrcs == set()
        consumer = room.consume()
        assert room.receiving.consumer_ssrcs == {consumer.ssrc}
        room.bob.close_consumer(consumer.id)
        assert room.receiving.consumer_ssrcs == set()


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError("no room")
