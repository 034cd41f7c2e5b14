"""A peer goes to other people: its streams with the former ones close, on the same router or on another one."""

import trio

from sfu.closing import close_or_drop
from sfu.lookup import notify_closed
from sfu.peer import Peer, PeerRouter
from sfu.settings import ConsumerEndReason


def close_consumers(peer: Peer) -> None:
    """Close its consumers, and then those that others have of its producers.  Notify only the others.

    Transports and producers live on.
    """
    own = list(peer.consumers.values())
    others = [
        consumer
        for producer in peer.producers.values()
        for consumer in producer.consumers.values()
        if consumer.guard is not peer.guard
    ]
    for consumer in (*own, *others):
        close_or_drop(consumer, peer.context)
    notify_closed(others, ConsumerEndReason.USER_LEFT)


def change_router(peer: Peer, router: PeerRouter) -> None:
    """Close everything as :meth:`Peer.close` does, and go on without media on another router."""
    deadline = trio.current_time() + peer.context.settings.exit_timeout
    for transport in peer.leave():
        peer._nursery.start_soon(peer._say_goodbye, transport, deadline)
    peer.context, peer.directory = router.context, router.directory
    peer.number, peer.cname = peer.context.new_number(), ""
    peer.directory.peers.add(peer.number)
    peer.left, peer.exit = False, None
