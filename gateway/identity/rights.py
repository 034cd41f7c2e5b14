"""The rights of one client: its user id, its channels, and its grants."""

import hmac
import math
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

from attrs import frozen

from protocol import limits
from protocol.errors import ErrorCode, RequestError
from protocol.vocabulary import Source

PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
MESSAGE: Final = "message"
WATCH: Final = "watch"
MODERATE: Final = "moderate"
GRANTS: Final = (
    PUBLISH,
    *(f"{PUBLISH}:{source}" for source in get_args(Source)),
    SUBSCRIBE,
    MESSAGE,
    WATCH,
    MODERATE,
)
"""Every grant. ``publish`` covers all sources, ``publish:camera`` one of them."""
USUAL_GRANTS: Final = (PUBLISH, SUBSCRIBE, MESSAGE, WATCH)
"""The grants of everybody where the gateway asks for no token."""

Duplicates = Literal["replace", "reject"]
"""What becomes of a listed session when a client joins with its user id: it is replaced, or the client is rejected."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)


def is_user_id(value: Any) -> bool:
    """Whether a value can be a user id of the protocol."""
    return isinstance(value, str) and len(value) <= limits.MAX_ID_CHARACTERS and bool(_NAME.fullmatch(value))


def is_channel_pattern(value: Any) -> bool:
    """Whether a value is a channel id, or the beginning of one and a final ``*``."""
    if not isinstance(value, str) or len(value) > limits.MAX_ID_CHARACTERS:
        return False
    return value == "*" or bool(_NAME.fullmatch(value.removesuffix("*")))


@frozen
class Rights:
    """What a client may do.

    ``user_id`` is the proven user id, or None if the client may choose one. ``channels`` holds channel ids, and
    patterns that end in ``*``. ``grants`` is a part of :data:`GRANTS`. The grants count until ``expires``, in seconds
    since 1970. ``duplicates`` says whether the client may replace a listed session of its own user id, or None if the
    gateway decides.
    """

    user_id: str | None = None
    channels: tuple[str, ...] = ()
    grants: frozenset[str] = frozenset()
    expires: float = math.inf
    duplicates: Duplicates | None = None

    @property
    def listed_grants(self) -> tuple[str, ...]:
        """The grants in the order of :data:`GRANTS`."""
        return tuple(grant for grant in GRANTS if grant in self.grants)

    def may_enter(self, channel_id: str) -> bool:
        """Whether the client may join this channel."""
        return any(_matches(pattern, channel_id) for pattern in self.channels)

    def may_enter_all(self, prefix: str) -> bool:
        """Whether the client may join every channel whose id begins with this."""
        return any(pattern.endswith("*") and prefix.startswith(pattern[:-1]) for pattern in self.channels)

    def require_entry(self, channel_id: str, now: float) -> None:
        """Check that a member of another channel may enter this one at the time ``now``, in seconds since 1970.

        Raises :exc:`RequestError` with ``forbidden``.
        """
        self._require_unexpired(now)
        if not self.may_enter(channel_id):
            raise RequestError(ErrorCode.FORBIDDEN, "the token does not allow this channel", "data.channelId")

    def _require_unexpired(self, now: float) -> None:
        if now >= self.expires:
            raise RequestError(ErrorCode.FORBIDDEN, "the token has expired; renew it, or join with a new one")

    def require(self, grant: str, now: float) -> None:
        """Check a grant at the time ``now``, in seconds since 1970.

        ``publish`` asks for the right to publish anything. Raises :exc:`RequestError` with ``forbidden``.
        """
        self._require_unexpired(now)
        if not any(_covers(own, grant) for own in self.grants):
            raise RequestError(ErrorCode.FORBIDDEN, f"the token does not grant {grant}")


EVERYBODY: Final = Rights(channels=("*",), grants=frozenset(USUAL_GRANTS))
"""The rights of each client where the gateway asks for no token."""


def is_secret(expected: str | None, given: str | None) -> bool:
    """Whether a client gave the secret that the gateway expects. The time that this takes tells nothing about it."""
    return expected is None or hmac.compare_digest(expected.encode(), (given or "").encode())


def unknown_grants(grants: Iterable[str]) -> list[str]:
    """Return those that are no grants."""
    return [grant for grant in grants if grant not in GRANTS]


def _matches(pattern: str, channel_id: str) -> bool:
    if pattern.endswith("*"):
        return channel_id.startswith(pattern[:-1])
    return channel_id == pattern


def _covers(own: str, wanted: str) -> bool:
    if own == wanted:
        return True
    # All of a kind covers each of it, and some right to publish is enough for a transport.
    return own.partition(":")[0] == wanted.partition(":")[0] and PUBLISH in (own, wanted)
