"""Finds the objects that a request of a client is about, and tells their owners."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from sfu import ortc
from sfu.errors import InvalidParameters, NotFound, WrongDirection

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.parameters import RtpCapabilities
    from sfu.settings import ConsumerEndReason
    from sfu.transport import Transport

T = TypeVar("T")


def notify_closed(closed_consumers: Iterable[Consumer], why: ConsumerEndReason) -> None:
    """Tell the owners of these consumers, mostly other clients, that they closed with their producer."""
    for consumer in closed_consumers:
        consumer.notify_closed(why)


def receiver_of(transport: Transport, capabilities: RtpCapabilities | ortc.Receiver | None) -> ortc.Receiver:
    """The receiver with a request's capabilities, or else with the transport's.

    Raises ``WrongDirection`` for a transport that cannot receive, and ``InvalidParameters`` without any capabilities.
    """
    if transport.direction != "receive":
        raise WrongDirection("this is not a receive transport")
    if isinstance(capabilities, ortc.Receiver):
        return capabilities
    if capabilities is not None:
        # Share none here: the search for equal capabilities takes longer than making one plan.
        return ortc.Receiver(capabilities)
    if transport.receiver is None:
        raise InvalidParameters("neither the transport nor this request has rtpCapabilities")
    return transport.receiver


def own(things: dict[str, T], id_: str, what: str) -> T:
    """One of a client's own objects.  ``what`` names its kind.  Raises :exc:`NotFound`."""
    try:
        return things[id_]
    except KeyError:
        raise NotFound(f"no such {what}") from None
