"""What a run does: who joins which channel from which process, sends what, and when."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from attrs import field, frozen
from attrs.validators import ge, gt

from protocol.vocabulary import MediaKind

ChurnKind = Literal["leave", "close", "kill"]
#: In the environment, what ``--token`` is; the gateway's own setting has the same name.
TOKEN_VARIABLE: Final = "SFU_JOIN_TOKEN"
CHURN_KINDS: Final[tuple[ChurnKind, ...]] = ("leave", "close", "kill")


@frozen
class Slot:
    """The place of one light client; who leaves comes back to it.  ``process`` is the worker's number."""

    number: int
    channel_id: str
    user_id: str
    process: int
    publishes: bool
    subscribes: bool
    churns: bool


@frozen
class Plan:
    """Times in seconds, rates per second, ``bitrate`` of one video stream in bit/s.

    Either ``members`` in each channel send and receive, or ``publishers`` send and ``subscribers`` receive.
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
    duration: float = field(default=20.0, validator=gt(0))
    ramp: float = field(default=10.0, validator=gt(0))
    churn: float = field(default=0.0, validator=ge(0))
    churn_kinds: tuple[ChurnKind, ...] = CHURN_KINDS
    processes: int = field(default=1, validator=ge(1))
    full: int = field(default=0, validator=ge(0))
    token: str | None = field(default=None, repr=False)
    seed: int = 1

    def slots(self) -> tuple[Slot, ...]:
        """Publishers first, so that whoever comes later finds something to receive; processes take turns."""
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

    def channel_id(self, channel: int) -> str:
        """Of this run alone: what an earlier one left behind is not taken for a mistake of this one."""
        return f"load-{self.run_id}-{channel}"


def websocket_url(url: str) -> str:
    """``http://host:port`` and ``ws://host:port`` stand for the WebSocket of the gateway there.

    Raises ``ValueError`` for what is no such URL.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is not a gateway's URL; an example: http://127.0.0.1:8080")
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/ws", parts.query, ""))


def metrics_url(websocket: str) -> str:
    """Where the gateway with this WebSocket shows its figures, if nothing in between hides them."""
    parts = urlsplit(websocket)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, "/metrics", "", ""))
