"""When a removal returns, it is complete."""

import gc
import weakref
from collections.abc import Callable

import pytest

from sfu.dataplane.interface import ConsumerId, DropReason, ProducerId, TransportId
from sfu.dataplane.values import LayersChanged, PlaneTotals
from tests.dataplane.core_with_clients import AUDIO, VIDEO, ConsumerSpec, Rig
from tests.dataplane.vp8 import vp8

REPORT = b"\x81\xce\x00\x02\x00\x00\x11\x11\x00\x00\x00\x01"


def object_counts(totals: PlaneTotals) -> tuple[int, int, int, int]:
    return totals.transports, totals.producers, totals.routes, totals.paths


def test_a_removed_consumer_gets_nothing_more_and_the_others_do() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    other = rig.client()
    left = rig.consume(other, producer)
    rig.core.remove_consumer(consumer)
    sender.send_rtp(1)
    assert receiver.datagrams() == []
    assert len(other.packets()) == 1
    assert rig.core.totals().routes == 1
    assert rig.events() == [LayersChanged(left, 0, None, None)]
    with pytest.raises(KeyError):
        rig.core.consumer_stats(consumer)


def test_packets_of_a_removed_producer_go_nowhere_and_its_consumers_stay() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    sender.send_rtp(1)
    receiver.packets()
    rig.core.remove_producer(producer)
    sender.send_rtp(2)
    assert receiver.datagrams() == []
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1}
    assert rig.core.totals().routes == 0
    rig.core.set_consumer_paused(consumer, False)
    rig.core.set_layers(consumer, 0, None)
    assert rig.core.consumer_stats(consumer).packets == 1
    rig.core.remove_consumer(consumer)
    with pytest.raises(KeyError):
        rig.core.producer_stats(producer)


def test_removing_a_transport_removes_its_producers_and_consumers() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    back = rig.produce(receiver)
    returned = rig.consume(sender, back)
    sender.send_rtp(1)
    receiver.send_rtp(1)
    receiver.arrive(receiver.sending.protect_rtcp(REPORT))
    rig.sent.clear()
    rig.core.remove_transport(receiver.transport)
    assert rig.events() == []
    sender.send_rtp(2)
    receiver.send_rtp(2)
    assert rig.sent == []
    assert rig.dropped() == {DropReason.UNKNOWN_ADDRESS: 1}
    assert object_counts(rig.core.totals()) == (1, 1, 0, 1)
    assert rig.core.consumer_stats(returned).packets == 1
    with pytest.raises(KeyError):
        rig.core.consumer_stats(consumer)
    with pytest.raises(KeyError):
        rig.core.producer_stats(back)
    assert rig.core.producer_stats(producer).encodings[0].packets == 2


def test_removing_an_object_twice_does_nothing() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    for client in (sender, receiver):
        for _ in range(2):
            rig.core.remove_transport(client.transport)
    rig.core.remove_consumer(consumer)
    rig.core.remove_producer(producer)
    assert object_counts(rig.core.totals()) == (0, 0, 0, 0)


def test_a_removed_consumer_does_not_wait_for_a_key_frame() -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call(VIDEO)
    rig.core.remove_consumer(consumer)
    sender.send_rtp(1, ssrc=2222, payload_type=96, payload=vp8(key=True))
    assert receiver.datagrams() == []
    assert rig.events() == []


def test_a_replay_is_refused_after_its_producer_was_made_again() -> None:
    """The state of a stream belongs to the keys of its transport, not to the producer."""
    rig = Rig()
    sender, producer, _, _ = rig.call()
    datagram = sender.sending.protect(b"\x80\x6f\x00\x01\x00\x00\x00\x00" + (1111).to_bytes(4) + b"x")
    sender.arrive(datagram)
    rig.core.remove_producer(producer)
    again = rig.produce(sender)
    sender.arrive(datagram)
    assert rig.core.producer_stats(again).encodings[0].packets == 0
    assert rig.dropped() == {DropReason.REPLAYED: 1}


def test_a_consumer_cannot_reuse_an_ssrc_under_the_same_keys() -> None:
    rig = Rig()
    _, producer, receiver, consumer = rig.call()
    for _ in range(2):
        with pytest.raises(ValueError):
            ConsumerSpec(ssrc=7000 + consumer).add_to(rig.core, receiver.transport, ConsumerId(99), producer)
        rig.core.remove_consumer(consumer)


Census = tuple[list[TransportId], list[ProducerId], list[ConsumerId]]


def remove_transports(rig: Rig, there: Census) -> None:
    for transport in there[0]:
        rig.core.remove_transport(transport)


def remove_from_the_inside_out(rig: Rig, there: Census) -> None:
    for consumer in there[2]:
        rig.core.remove_consumer(consumer)
    remove_producers_first(rig, there)


def remove_producers_first(rig: Rig, there: Census) -> None:
    for producer in there[1]:
        rig.core.remove_producer(producer)
    for consumer in there[2]:
        rig.core.remove_consumer(consumer)
    remove_transports(rig, there)


@pytest.mark.parametrize("remove", [remove_transports, remove_from_the_inside_out, remove_producers_first])
def test_nothing_is_left_after_everything_was_removed(remove: Callable[[Rig, Census], None]) -> None:
    rig = Rig()
    clients = [rig.client() for _ in range(3)]
    producers = [rig.produce(client, spec) for client in clients for spec in (AUDIO, VIDEO)]
    consumers = [rig.consume(client, producer) for client in clients for producer in producers]
    for client in clients:
        client.send_rtp(1)
        client.send_rtp(1, ssrc=2222, payload_type=96, payload=vp8(key=True))
        client.arrive(client.sending.protect_rtcp(REPORT))
    assert object_counts(rig.core.totals()) == (3, 6, 18, 3)

    remove(rig, ([client.transport for client in clients], producers, consumers))

    assert object_counts(rig.core.totals()) == (0, 0, 0, 0)
    assert rig.events() == []
    for producer in producers:
        with pytest.raises(KeyError):
            rig.core.producer_stats(producer)
    for consumer in consumers:
        with pytest.raises(KeyError):
            rig.core.consumer_stats(consumer)


def test_a_plane_without_references_is_collected_with_its_transmit_function() -> None:
    """The plane's ``transmit`` refers back to the plane, so only the garbage collector can free both."""
    rig = Rig()
    rig.call()
    there = weakref.ref(rig)
    del rig
    gc.collect()
    assert there() is None
