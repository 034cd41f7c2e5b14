"""Runs code for one peer while the gateway serves another client, or the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol

import structlog

P = ParamSpec("P")
log = structlog.get_logger(__name__)


class PeerOwner(Protocol):
    """The part of a peer's owner that a guard needs."""

    def failed(self, error: Exception) -> None:
        """Code that ran for this peer raised ``error``.  The owner should end the peer."""


class Guard:
    """Calls a function for a peer.  An exception in it ends this peer's owner and never reaches the caller.

    All objects of one peer share one guard.  ``name`` is the peer's, for logs.
    """

    def __init__(self, owner: PeerOwner, name: str) -> None:
        self.owner = owner
        self.name = name

    def __call__(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Call ``step``.  Returns whether it succeeded.

        The owner logs the exception, since it also chooses the answer to its client.
        """
        try:
            step(*args, **kwargs)
        except Exception as error:
            self._report(error)
            return False
        return True

    def _report(self, error: Exception) -> None:
        try:
            self.owner.failed(error)
        except Exception:
            log.exception("the owner of a peer failed to handle an error", peer=self.name)
