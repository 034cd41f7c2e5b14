"""The steps of a session's life and end, by name.  The trace records each, and those of an exit can be made to fail.

A step is a method of one of the gateway's classes.  It is wrapped for the time of a run, so the gateway knows nothing
of it.  This file knows only the methods' names.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio
from attrs import frozen

import sfu
from gateway.channel.channel import Channel
from gateway.connection.connection import Connection
from gateway.connection.outbox import Outbox
from gateway.ops.metrics import Metrics
from gateway.session.observer import MemberObserver
from sfu.dataplane.core import DataPlaneCore
from tools.harness.trace import Trace

if TYPE_CHECKING:
    from tools.harness.faults import Faults

NOBODY: Final = "-"
#: Between a client's name and the number of its socket.
SOCKET_MARK: Final = "~"


def name_of_connection(connection: Connection) -> str:
    """The name of the client at the other end."""
    return socket_of_connection(connection).partition(SOCKET_MARK)[0]


def socket_of_connection(connection: Connection) -> str:
    """The address of the client at the other end.  The harness uses the client's name, with the number of its socket
    behind it from the second one on."""
    return str(structlog.get_context(connection.log).get("remote", NOBODY))


def name_of_peer(media: sfu.Peer | sfu.Transport | sfu.Producer | sfu.Consumer) -> str:
    """The name of the client whose media this is."""
    owner = media.guard.owner
    return name_of_connection(owner.member.connection) if isinstance(owner, MemberObserver) else NOBODY


def number_of_peer(producer: sfu.Producer) -> int | None:
    """The number of the peer that sends this stream."""
    owner = producer.guard.owner
    return owner.member.peer.number if isinstance(owner, MemberObserver) and owner.member.peer is not None else None


def streams_with_others(peer: sfu.Peer | None) -> int:
    """How many consumers this peer has, or others have of its producers."""
    if peer is None:
        return 0
    consumers = peer.directory.consumers.values()
    return sum(peer.guard in (one.guard, one.producer.guard) for one in consumers)


def media_count(peer: sfu.Peer | None) -> int:
    """How many transports, producers and consumers of this peer the router still knows."""
    if peer is None:
        return 0
    known = peer.directory
    tables = (known.transports.values(), known.producers.values(), known.consumers.values())
    return sum(one.guard is peer.guard for table in tables for one in table)


Names = dict[str, Any]


@frozen
class Step:
    """A step: the method ``method`` of the class ``owner``.

    ``client_of`` gets the arguments of the call, the object first, and returns the client's name.  ``before`` returns
    the details to record when the step begins.  Without it, the beginning of a synchronous step is not recorded.
    ``after`` also gets the result, and returns the details to record at the end.
    """

    owner: type
    method: str
    client_of: Callable[..., str] = lambda *_: NOBODY
    before: Callable[..., Names] | None = None
    after: Callable[..., Names] = lambda *_, **__: {}


def _by_member(observer: MemberObserver, *_: Any) -> str:
    return name_of_connection(observer.member.connection)


def _by_connection(connection: Connection, *_: Any) -> str:
    return name_of_connection(connection)


#: Every step of an exit, from the inside out (docs/closures.md).  All can raise, and asynchronous ones can hang.
EXIT_STEPS: Final[dict[str, Step]] = {
    "end": Step(
        Connection,
        "end",
        _by_connection,
        before=lambda connection, end_reason, limit=None: {
            "why": end_reason.text,
            "first": connection.end_reason is None,
            "socket": socket_of_connection(connection),
        },
    ),
    "close peer": Step(sfu.Peer, "close", name_of_peer, before=lambda peer: {"number": peer.number}),
    "close consumer": Step(sfu.Consumer, "close", name_of_peer),
    "close producer": Step(sfu.Producer, "close", name_of_peer),
    "close transport": Step(sfu.Transport, "close", name_of_peer),
    "remove consumer": Step(DataPlaneCore, "remove_consumer"),
    "remove producer": Step(DataPlaneCore, "remove_producer"),
    "remove transport": Step(DataPlaneCore, "remove_transport"),
    "forget transport": Step(sfu.Peer, "forget_transport"),
    "say consumer closed": Step(MemberObserver, "consumer_closed", _by_member),
    "say transport changed": Step(MemberObserver, "transport_changed", _by_member),
    "say goodbye on transport": Step(sfu.Transport, "say_goodbye", name_of_peer),
    "take off list": Step(
        Channel,
        "remove",
        lambda _, member: name_of_connection(member.connection),
        before=lambda channel, member: {
            "channel": channel.id,
            "user": member.user_id,
            "reason": member.leave_reason,
            "media": media_count(member.peer),
            "peer": member.peer and member.peer.number,
            "seconds": member.seconds_since_end(trio.current_time()),
        },
    ),
    "count leave": Step(Metrics, "left"),
    "time leave": Step(Metrics, "observe_leave"),
    "notify": Step(Connection, "send", _by_connection, after=lambda _, frame, **__: {"text": frame.text}),
    "say goodbye": Step(Connection, "say_goodbye", _by_connection),
    "close outbox": Step(Outbox, "close"),
}

#: Other steps that the trace records.
OTHER_STEPS: Final[dict[str, Step]] = {
    "put on list": Step(
        Channel,
        "admit",
        lambda _, member, __: name_of_connection(member.connection),
        before=lambda channel, member, _: {"channel": channel.id, "user": member.user_id},
    ),
    "move off list": Step(
        Channel,
        "dismiss",
        lambda _, member, __: name_of_connection(member.connection),
        before=lambda channel, member, _: {
            "channel": channel.id,
            "user": member.user_id,
            "streams": streams_with_others(member.peer),
            "peer": member.peer and member.peer.number,
        },
    ),
    "consume": Step(
        sfu.Peer,
        "consume",
        lambda peer, *_: name_of_peer(peer),
        after=lambda peer, _, producer, *__, result, **___: {
            "ssrc": result.ssrc,
            "peer": peer.number,
            "source": number_of_peer(producer),
        },
    ),
}


def is_async(step: str) -> bool:
    """Whether the step is asynchronous, so that it can take time."""
    return inspect.iscoroutinefunction(getattr(EXIT_STEPS[step].owner, EXIT_STEPS[step].method))


@contextmanager
def wrapped_steps(trace: Trace, faults: Faults) -> Iterator[None]:
    """During the block, record every step in the trace, and let faults happen."""
    steps = {**EXIT_STEPS, **OTHER_STEPS}
    originals = {name: getattr(step.owner, step.method) for name, step in steps.items()}
    for name, step in steps.items():
        wrap = _wrap_async if inspect.iscoroutinefunction(originals[name]) else _wrap
        setattr(step.owner, step.method, wrap(name, step, originals[name], trace, faults))
    try:
        yield
    finally:
        for name, step in steps.items():
            setattr(step.owner, step.method, originals[name])


def _wrap(name: str, step: Step, original: Callable[..., Any], trace: Trace, faults: Faults) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        client = step.client_of(*args)  # the step may remove the link between the object and its client
        if step.before is not None:
            trace.note(f"begin: {name}", client, **step.before(*args))
        faults.apply(name, client, after=False)
        result = original(*args, **kwargs)
        trace.note(name, client, **step.after(*args, result=result, **kwargs))
        faults.apply(name, client, after=True)
        return result

    return wrapped


def _wrap_async(
    name: str, step: Step, original: Callable[..., Awaitable[Any]], trace: Trace, faults: Faults
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        client = step.client_of(*args)
        trace.note(f"begin: {name}", client)
        await faults.apply_async(name, client, after=False)
        result = await original(*args, **kwargs)
        trace.note(name, client)
        await faults.apply_async(name, client, after=True)
        return result

    return wrapped
