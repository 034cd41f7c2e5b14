"""Who is sent which encoding: moving consumers between an encoding's routes and those who wait for it."""

from sfu.dataplane.incoming import Encoding, Packet
from sfu.dataplane.outgoing import Consumer


def stop(consumer: Consumer) -> None:
    """Take the consumer out of every packet's way."""
    _wait_no_more(consumer)
    if consumer.current is not None:
        del consumer.current.routes[consumer.id]
    consumer.stop()


def aim(consumer: Consumer) -> None:
    """Let the consumer wait for the encoding that it should take up, if that is another than it has."""
    _wait_no_more(consumer)
    producer = consumer.producer
    if producer is None or producer.paused or consumer.paused or consumer.target is None:
        return
    encoding = producer.encodings[consumer.target]
    if encoding is not consumer.current:
        encoding.waiting[consumer.id] = consumer
        consumer.awaited = encoding


def restart(consumer: Consumer) -> None:
    """What the consumer is sent ends here; it begins again where an encoding can be taken up."""
    stop(consumer)
    aim(consumer)


def begin_waiting(encoding: Encoding, packet: Packet) -> None:
    """A packet at which the encoding can be taken up."""
    for consumer in list(encoding.waiting.values()):
        if not consumer.can_begin(packet):
            continue
        _wait_no_more(consumer)
        if consumer.current is not None:
            del consumer.current.routes[consumer.id]
        consumer.begin(encoding, packet)
        encoding.routes[consumer.id] = consumer


def _wait_no_more(consumer: Consumer) -> None:
    if consumer.awaited is not None:
        del consumer.awaited.waiting[consumer.id]
        consumer.awaited = None
