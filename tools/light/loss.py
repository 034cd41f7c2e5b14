"""Loss that a client inflicts on its own media, as a bad network would."""

from __future__ import annotations

import random

from attrs import define


@define
class RandomLoss:
    """Loses a ``share`` (0 to 1) of the packets of one direction of one transport, each by itself."""

    share: float
    rng: random.Random

    def loses(self, first: int) -> bool:
        """Decide about the next datagram by its first byte.  Only RTP and RTCP are lost (RFC 7983)."""
        return 128 <= first <= 191 and self.rng.random() < self.share


@define
class NetworkLoss:
    """The shares of media that a client loses: ``down``, what it receives, and ``up``, what it sends.

    Each direction of each transport gets a generator of its own from ``rng``.
    """

    down: float
    up: float
    rng: random.Random

    def receiving(self) -> RandomLoss | None:
        """Return the loss of what a new transport receives."""
        return self._direction(self.down)

    def sending(self) -> RandomLoss | None:
        """Return the loss of what a new transport sends."""
        return self._direction(self.up)

    def _direction(self, share: float) -> RandomLoss | None:
        return RandomLoss(share, random.Random(self.rng.getrandbits(64))) if share else None
