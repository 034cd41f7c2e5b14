"""The plan of a run: which client joins which channel from which process, and what it sends."""

from __future__ import annotations

import ssl
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, optional

from protocol.vocabulary import MediaKind

LeaveKind = Literal["leave", "close", "kill"]
ChurnKind = LeaveKind | Literal["move"]
#: The environment variable for ``--token``.  The gateway's own setting has the same name.
TOKEN_VARIABLE: Final = "SFU_JOIN_TOKEN"
LEAVE_KINDS: Final[tuple[LeaveKind, ...]] = ("leave", "close", "kill")
CHURN_KINDS: Final[tuple[ChurnKind, ...]] = (*LEAVE_KINDS, "move")


@frozen
class Slot:
    """The place of one light client, to which it comes back after leaving.  ``process`` is the worker's number."""

    number: int
    channel_id: str
    user_id: str
    process: int
    publishes: bool
    subscribes: bool
    churns: bool


@frozen
class Plan:
    """The plan of a run.  Times are in seconds, rates per second.  ``bitrate`` is that of one video stream, in bit/s.

    Either ``members`` in each channel send and receive, or ``publishers`` send and ``subscribers`` receive.  With
    ``simulcast`` video has three encodings, of which the best has this bitrate.  Clients that receive ask for the
    encoding ``layer`` at best, counted from 0.  None means the best one.  With ``feedback`` they number packets and
    report arrivals.  ``lose_up`` and ``lose_down`` are the shares (0 to 1) of sent and received media that each light
    client loses.  ``ca`` names a file with the authorities that clients trust, in place of the system's.
    """

    url: str
    run_id: str
    channels: int = field(default=1, validator=ge(1))
    members: int = field(default=0, validator=ge(0))
    publishers: int = field(default=0, validator=ge(0))
    subscribers: int = field(default=0, validator=ge(0))
    kinds: tuple[MediaKind, ...] = ("audio",)
    bitrate: int = 600_000
    fps: int = field(default=30, validator=ge(1))
    simulcast: bool = False
    layer: int | None = field(default=None, validator=optional(and_(ge(0), le(255))))
    feedback: bool = False
    duration: float = field(default=20.0, validator=gt(0))
    ramp: float = field(default=10.0, validator=gt(0))
    churn: float = field(default=0.0, validator=ge(0))
    churn_kinds: tuple[ChurnKind, ...] = LEAVE_KINDS
    lose_up: float = field(default=0.0, validator=and_(ge(0), le(1)))
    lose_down: float = field(default=0.0, validator=and_(ge(0), le(1)))
    processes: int = field(default=1, validator=ge(1))
    full: int = field(default=0, validator=ge(0))
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    seed: int = 1

    def slots(self) -> tuple[Slot, ...]:
        """Return all slots, publishers before subscribers, spread over the processes in turn."""
        slots: list[Slot] = []
        for role, count, publishes, subscribes in (
            ("member", self.members, True, True),
            ("publisher", self.publishers, True, False),
            ("subscriber", self.subscribers, False, True),
        ):
            for _ in range(count):
                self._add(slots, role, publishes=publishes, subscribes=subscribes)
        return tuple(slots)

    def _add(self, slots: list[Slot], role: str, *, publishes: bool, subscribes: bool) -> None:
        for channel in range(self.channels):
            number = len(slots)
            slots.append(
                Slot(
                    number,
                    self.channel_id(channel),
                    f"{role}-{number}",
                    number % self.processes,
                    publishes=publishes,
                    subscribes=subscribes,
                    churns=subscribes,
                )
            )

    def ssl_context(self) -> ssl.SSLContext | None:
        """What clients trust, or None for what the system trusts.  Raises ``ValueError`` for an unusable ``ca``."""
        return None if self.ca is None else trusting(self.ca)

    @property
    def moves(self) -> bool:
        """Whether clients change their network."""
        return self.churn > 0 and "move" in self.churn_kinds

    def channel_id(self, channel: int) -> str:
        """Return a channel id that only this run uses.  So leftovers of an earlier run cause no errors in this run."""
        return f"load-{self.run_id}-{channel}"


def trusting(ca: str) -> ssl.SSLContext:
    """Trust the authorities of this file alone.  Raises ``ValueError``."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"--ca: {ca} cannot be used: {error.strerror or error}") from error


def websocket_url(url: str) -> str:
    """Return the URL of the gateway's WebSocket.  ``http://host:port`` or ``ws://host:port`` is enough for ``url``.

    Raises ``ValueError`` for another kind of URL.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is not a gateway's URL. An example: http://127.0.0.1:8080")
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/ws", parts.query, ""))


def metrics_url(websocket: str) -> str:
    """Return the URL of the metrics of the gateway with this WebSocket, unless a proxy hides them."""
    parts = urlsplit(websocket)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, "/metrics", "", ""))
