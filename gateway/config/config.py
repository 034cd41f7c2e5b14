"""Every limit and address of the gateway, each with a name.

Times are in seconds, sizes in bytes. ``sfu-gateway serve --help`` and ``sfu-gateway config`` show the text below each
field.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import attrs
from attrs import Attribute, field, frozen
from attrs.validators import optional

from gateway.config.origins import MAX_PORT, parse_origin
from protocol import limits
from protocol.requests import IceServer
from sfu.settings import MediaSettings

MAX_AUTOMATIC_PLANES: Final = 4
"""Upper limit of the automatic choice. Set ``planes`` for more."""

Check = Callable[[Any, "Attribute[Any]", Any], None]
_MASKED: Final = "masked"
_MEDIA: Final = "media"


def _between(lowest: float, highest: float = math.inf) -> Check:
    def check(_: Any, attribute: "Attribute[Any]", value: float) -> None:
        if not lowest <= value <= highest:
            wanted = f"at least {lowest:.15g}" if highest == math.inf else f"from {lowest:.15g} to {highest:.15g}"
            raise ValueError(f"{attribute.name} must be {wanted}, not {value!r}")

    return check


_A_MONTH: Final = 30 * 24 * 3600
_SECONDS: Final = _between(0.001, _A_MONTH)
"""Above zero and below a month: no timeout may be switched off."""
_PORT: Final = _between(0, MAX_PORT)
_COUNT: Final = _between(1, 1_000_000_000)


def _seconds(default: float) -> Any:
    return field(default=default, validator=_SECONDS)


def _of_media(name: str, check: Check | None = None) -> Any:
    """Make a setting of the media side. Its default is that of the field ``name`` of :class:`MediaSettings`."""
    default = attrs.fields_dict(MediaSettings)[name].default
    return field(default=default, validator=check, metadata={_MEDIA: name})


def _count(default: int) -> Any:
    return field(default=default, validator=_COUNT)


def _secret() -> Any:
    return field(default=None, metadata={_MASKED: True}, validator=_not_empty, repr=False)


def _not_empty(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is not None and not value:
        raise ValueError(f"{attribute.name} must not be empty; leave it out instead")


def _origins(_: Any, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    for origin in value:
        if origin == "*":
            continue
        try:
            parse_origin(origin)
        except ValueError:
            wanted = "origins like https://call.example.org or https://call.example.org:8443"
            hint = "without a path or a pattern, and with xn--… for letters that are not ASCII"
            raise ValueError(f"{attribute.name} must hold {wanted}, {hint}, not {origin!r}") from None


@frozen(kw_only=True)
class Config:
    """The addresses, timeouts and limits of one gateway.

    Raises ``ValueError``, with the name of the field, for a value out of range.
    """

    host: str = field(default="127.0.0.1", validator=_not_empty)
    """Address or name on which HTTP and WebSocket listen."""
    port: int = field(default=8080, validator=_PORT)
    """TCP port for HTTP and WebSocket. 0 picks a free port."""

    media_host: tuple[str, ...] | None = field(default=None, validator=_not_empty, metadata={_MEDIA: "hosts"})
    """Addresses or names to listen on for media, IPv4 and IPv6. Default: 127.0.0.1 and one network address."""
    media_announce: tuple[str, ...] = _of_media("announce")
    """Addresses or names announced to clients instead of media_host, for a machine behind NAT."""
    media_port: int = _of_media("port", _PORT)
    """First UDP port for media. Each plane uses one port, with consecutive numbers. 0 picks free ports."""
    planes: int | None = field(default=None, validator=optional(_between(1, 64)))
    """Threads that forward media. Each channel uses one of them. Default: one for each core, at most 4."""

    video_orientation: bool = _of_media("video_orientation")
    """Whether phones send pictures unrotated, with the rotation in a header extension. If false, phones rotate them."""

    log_format: Literal["console", "json"] | None = None
    """Format of the logs. Default: console on a terminal, json elsewhere."""

    join_token: str | None = _secret()
    """Token that every `join` must contain. Default: everybody may join."""
    admin_token: str | None = _secret()
    """Bearer token for /api. Default: /api does not exist."""
    allowed_origins: tuple[str, ...] = field(default=(), validator=_origins)
    """Origins of pages that may connect, such as https://call.example.org, or *. Default: this gateway's own host."""
    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)
    """STUN and TURN servers announced to clients, each with urls and optionally username and credential."""
    kiosk: bool = False
    """For kiosks only: whether a page with join=1 in its address joins by itself, with camera and microphone."""
    web_root: Path | None = None
    """Folder of the built web client. Default: the folder that is installed with the gateway."""

    ping_interval: float = _seconds(limits.PING_INTERVAL)
    """Seconds of silence after which the gateway pings a client, at most a quarter of a second later."""
    ping_timeout: float = _seconds(limits.PONG_TIMEOUT)
    """Seconds after ping_interval at which a client counts as gone, if nothing has come from it, not even a pong."""
    media_grace: float = _seconds(limits.MEDIA_GRACE)
    """Seconds from the last traffic on a WebSocket for which media alone keeps the client."""
    join_timeout: float = _seconds(limits.JOIN_TIMEOUT)
    """Seconds from connecting, or from leaving, to the next join."""
    websocket_handshake_timeout: float = _seconds(10)
    """Seconds that a WebSocket handshake may take."""
    goodbye_timeout: float = _seconds(limits.GOODBYE_TIMEOUT)
    """Seconds for the last message and the close frame of a WebSocket."""
    handshake_timeout: float = _of_media("handshake_timeout", _SECONDS)
    """Seconds from connect_transport to the end of the DTLS handshake."""
    disconnected_after: float = _of_media("disconnected_after", _SECONDS)
    """Seconds without RTP, RTCP and STUN after which a transport counts as disconnected."""
    silence_timeout: float = _of_media("silence_timeout", _SECONDS)
    """Seconds without authentic RTP, RTCP and STUN after which a transport closes (RFC 7675: 30)."""
    courtesy_timeout: float = _of_media("courtesy_timeout", _SECONDS)
    """Seconds for the goodbye of one transport when a session ends."""
    exit_timeout: float = _of_media("exit_timeout", _SECONDS)
    """Seconds for all goodbyes of a session together."""
    drain_timeout: float = field(default=30, validator=_between(0, _A_MONTH))
    """Seconds that clients have to leave by themselves when the gateway stops."""
    request_head_timeout: float = _seconds(5)
    """Seconds that the head of an HTTP request may take to arrive."""
    request_body_timeout: float = _seconds(10)
    """Seconds that the body of an HTTP request may take to arrive."""
    response_timeout: float = _seconds(10)
    """Seconds that one piece of an HTTP response (at most 64 KiB) may take to be sent."""
    response_total_timeout: float = _seconds(300)
    """Seconds that a whole HTTP response may take."""

    max_connections: int = _count(10_000)
    """WebSocket connections at a time."""
    max_http_connections: int = _count(1_000)
    """TCP connections at a time that are not WebSockets."""
    max_request_head_bytes: int = field(default=40 * 1024, validator=_between(1024, 1024**2))
    """Bytes of the head of an HTTP request. The default leaves 32 KiB for cookies, and room for the rest."""
    max_request_body_bytes: int = field(default=64 * 1024, validator=_between(0, 1024**3))
    """Bytes of the body of an HTTP request."""

    max_channels: int = _count(10_000)
    """Channels at a time."""
    max_members: int = _count(500)
    """Members of one channel."""
    max_producers: int = _of_media("max_producers", _COUNT)
    """Producers of one session."""
    max_consumers: int = _of_media("max_consumers", _COUNT)
    """Consumers of one session."""
    max_message_bytes: int = field(default=limits.MAX_REQUEST_BYTES, validator=_between(1024, limits.MAX_REQUEST_BYTES))
    """Bytes of one message from a client."""
    outbox_bytes: int = field(default=8 * 1024**2, validator=_between(64 * 1024))
    """Bytes of messages that may wait for one client. The snapshot of a full channel must fit."""
    outbox_age: float = _seconds(10)
    """Seconds that messages may wait while the client reads nothing."""
    inbox_messages: int = _count(1024)
    """Messages of one client that may wait for their turn."""
    inbox_bytes: int = field(default=4 * 1024**2, validator=_between(limits.MAX_REQUEST_BYTES))
    """Bytes of all messages of one client that may wait for their turn."""
    request_rate: float = field(default=100, validator=_between(1, 1_000_000))
    """Requests of one client per second, in the long run."""
    request_burst: int = _count(2048)
    """Requests of one client at once. A client that joins a full channel consumes every stream in it."""
    message_rate: float = field(default=20, validator=_between(0.1, 1_000_000))
    """Messages and changes of the list that one client may cause per second, in the long run."""
    message_burst: int = _count(100)
    """Messages and changes of the list that one client may cause at once."""
    error_budget: int = _count(limits.ERROR_BUDGET)
    """Unreadable messages of one client within error_window before the gateway closes its connection."""
    error_window: float = _seconds(limits.ERROR_BUDGET_WINDOW)
    """Seconds in which unreadable messages count against error_budget."""

    def __attrs_post_init__(self) -> None:
        if self.silence_timeout < self.disconnected_after:
            raise ValueError("silence_timeout must not be shorter than disconnected_after")
        if (last := self.media_port + self.plane_count - 1) > MAX_PORT:
            raise ValueError(f"the last media port would be {last}, above {MAX_PORT}")

    @property
    def plane_count(self) -> int:
        """The number of planes."""
        return self.planes or min(len(os.sched_getaffinity(0)), MAX_AUTOMATIC_PLANES)

    @property
    def media_of_planes(self) -> list[MediaSettings]:
        """The settings of each plane's media port."""
        numbers = range(self.plane_count)
        return [attrs.evolve(self.media, port=self.media_port and self.media_port + number) for number in numbers]

    @property
    def media(self) -> MediaSettings:
        """The settings of the first media port."""
        given = {setting.metadata[_MEDIA]: setting.name for setting in SETTINGS if _MEDIA in setting.metadata}
        return MediaSettings(**{name: getattr(self, setting) for name, setting in given.items()})


def is_secret(attribute: "Attribute[Any]") -> bool:
    """Whether the value of a field of :class:`Config` must be masked."""
    return bool(attribute.metadata.get(_MASKED))


SETTINGS: Final[tuple["Attribute[Any]", ...]] = attrs.fields(Config)
