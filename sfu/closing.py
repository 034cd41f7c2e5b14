"""Closes transports, producers and consumers.  A failure of one does not stop the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog
from attrs import frozen

if TYPE_CHECKING:
    from sfu.context import RouterContext
    from sfu.guard import Guard

log = structlog.get_logger(__name__)


@frozen
class PeerExit:
    """The objects that a leaving peer closed, the seconds that it took, and the goodbyes that were cut off."""

    consumers: int
    producers: int
    transports: int
    seconds: float = 0
    forced: int = 0


class Resource(Protocol):
    """A transport, producer or consumer."""

    @property
    def id(self) -> str: ...
    @property
    def guard(self) -> Guard: ...

    def close(self) -> object: ...
    def drop(self) -> object: ...


def close_or_drop(resource: Resource, context: RouterContext) -> None:
    """Close it.  If that raises, log and count the failure and drop it by force."""
    try:
        resource.close()
    except Exception:
        _note_failure("closing failed", resource, context)
        drop_by_force(resource, context)


def drop_by_force(resource: Resource, context: RouterContext) -> None:
    """After a failed close, remove all that is left of it from the tables and the packet path."""
    try:
        resource.drop()
    except Exception:
        _note_failure("dropping failed", resource, context)


def _note_failure(event: str, resource: Resource, context: RouterContext) -> None:
    context.failed_cleanups += 1
    log.exception(event, peer=resource.guard.name, what=type(resource).__name__, id=resource.id)
