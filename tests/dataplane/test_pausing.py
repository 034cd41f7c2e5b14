"""Consumers and producers pause and resume without a gap, and the start of a consumer is reported."""

from sfu.dataplane.interface import ConsumerId
from sfu.dataplane.values import ConsumerFormat, LayersChanged
from tests.dataplane.core_with_clients import Rig


def test_the_start_of_a_consumer_is_reported_once() -> None:
    rig = Rig()
    sender, _, _, consumer = rig.call()
    assert rig.events() == []
    sender.send_rtp(1)
    sender.send_rtp(2)
    assert rig.events() == [LayersChanged(consumer, 0, None, None)]
    sender.send_rtp(3)
    assert rig.events() == []


def test_a_paused_consumer_gets_nothing_and_continues_without_a_gap() -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call()
    sender.send_rtp(1)
    rig.core.set_consumer_paused(consumer, True)
    sender.send_rtp(2)
    rig.core.set_consumer_paused(consumer, False)
    sender.send_rtp(4)
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 1
    assert second.timestamp - first.timestamp == 3 * 960
    assert rig.dropped() == {}


def test_a_new_consumer_is_paused_by_default() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    consumer = ConsumerId(9)
    rig.core.add_consumer(receiver.transport, consumer, rig.produce(sender), ConsumerFormat({100}), 1)
    sender.send_rtp(1)
    assert receiver.packets() == []
    rig.core.set_consumer_paused(consumer, False)
    sender.send_rtp(2)
    assert len(receiver.packets()) == 1


def test_the_start_of_a_consumer_is_reported_again_after_a_pause() -> None:
    rig = Rig()
    sender, _, _, consumer = rig.call()
    sender.send_rtp(1)
    rig.events()
    rig.core.set_consumer_paused(consumer, True)
    assert rig.core.consumer_stats(consumer).encoding is None
    rig.core.set_consumer_paused(consumer, False)
    sender.send_rtp(2)
    assert rig.events() == [LayersChanged(consumer, 0, None, None)]


def test_a_resumed_producer_continues_without_a_gap() -> None:
    rig = Rig()
    sender, producer, receiver, _ = rig.call()
    sender.send_rtp(1)
    rig.core.set_producer_paused(producer, True)
    sender.send_rtp(2)
    rig.core.set_producer_paused(producer, False)
    sender.send_rtp(3)
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 1


def test_rollovers_are_followed_while_the_producer_is_paused() -> None:
    rig = Rig()
    sender, producer, receiver, _ = rig.call()
    sender.send_rtp(1)
    rig.core.set_producer_paused(producer, True)
    for number in range(2, 3 * 65536, 9000):
        sender.send_rtp(number)
    rig.core.set_producer_paused(producer, False)
    sender.send_rtp(3 * 65536)
    assert len(receiver.packets()) == 2


def test_resuming_a_flowing_consumer_changes_nothing() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    sender.send_rtp(1)
    rig.events()
    rig.core.set_consumer_paused(consumer, False)
    rig.core.set_producer_paused(producer, False)
    rig.core.set_layers(consumer, 0, None)
    sender.send_rtp(2)
    assert rig.events() == []
    assert len(receiver.packets()) == 2
