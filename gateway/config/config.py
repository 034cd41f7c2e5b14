"""Every limit and address of the gateway, each with a name.

Times are in seconds, sizes in bytes. ``sfu-gateway serve --help`` and ``sfu-gateway config`` show the text below each
field.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import attrs
from attrs import Attribute, field, frozen
from attrs.validators import optional

from gateway.config.origins import MAX_PORT
from gateway.config.validators import Check, between, hosts, networks, not_empty, origins, webhook_urls
from protocol import limits
from protocol.vocabulary import IceServer
from sfu.settings import MediaSettings

MAX_AUTOMATIC_PLANES: Final = 4
"""Upper limit of the automatic choice. Set ``planes`` for more."""

MEDIA_GROUPS: Final = 4
"""Groups of media ports among which a gateway that takes over finds a free one. Two would do for one successor."""

DuplicateUsers = Literal["replace", "reject"]
_MASKED: Final = "masked"
_MEDIA: Final = "media"


_A_MONTH: Final = 30 * 24 * 3600
_SECONDS: Final = between(0.001, _A_MONTH)
"""Above zero and below a month: no timeout may be switched off."""
_PORT: Final = between(0, MAX_PORT)
_COUNT: Final = between(1, 1_000_000_000)
_METRICS_HOST: Final = "127.0.0.1"


def _seconds(default: float) -> Any:
    return field(default=default, validator=_SECONDS)


def _of_media(name: str, check: Check | None = None) -> Any:
    """Make a setting of the media side. Its default is that of the field ``name`` of :class:`MediaSettings`."""
    default = attrs.fields_dict(MediaSettings)[name].default
    return field(default=default, validator=check, metadata={_MEDIA: name})


def _count(default: int) -> Any:
    return field(default=default, validator=_COUNT)


def _secret() -> Any:
    return field(default=None, metadata={_MASKED: True}, validator=not_empty, repr=False)


class Contradictions(ValueError):
    """Settings that are fine alone and do not fit together. The text is that of the first one."""

    def __init__(self, found: tuple[str, ...]) -> None:
        super().__init__(found[0])
        self.found = found


@frozen(kw_only=True)
class Config:
    """The addresses, timeouts and limits of one gateway.

    Raises ``ValueError``, with the name of the field, for a value out of range.
    """

    host: str = field(default="127.0.0.1", validator=not_empty)
    """Address or name on which the gateway listens for HTTP and WebSocket connections."""
    port: int = field(default=8080, validator=_PORT)
    """TCP port for HTTP and WebSocket connections. 0 picks a free port."""
    allowed_hosts: tuple[str, ...] = field(default=(), validator=hosts)
    """Names under which clients reach the gateway, such as call.example.org. Loopback names and addresses need none."""
    tls_cert: Path | None = None
    """File with the certificate for HTTPS and WSS, in PEM, followed by those of its issuers. Default: plain HTTP."""
    tls_key: Path | None = None
    """File with the private key of tls_cert, in PEM, without a passphrase."""
    hsts_seconds: int = field(default=0, validator=between(0, 10 * 365 * 24 * 3600))
    """Seconds for which browsers shall use HTTPS alone for this host (Strict-Transport-Security). 0: not told."""
    open: bool = False
    """Whether everybody on other machines may join. Without this and join_token, it serves this machine only."""
    metrics_host: str = field(default=_METRICS_HOST, validator=not_empty)
    """Address or name on which the gateway listens for metrics, if metrics_port is set."""
    metrics_port: int | None = field(default=None, validator=optional(_PORT))
    """TCP port for metrics alone. 0 picks a free port. Default: the path /metrics on the port of the page."""

    media_host: tuple[str, ...] | None = field(default=None, validator=not_empty, metadata={_MEDIA: "hosts"})
    """Addresses or names on which the gateway listens for media. Default: 127.0.0.1 and one network address."""
    media_announce: tuple[str, ...] = _of_media("announce")
    """Addresses or names that clients get instead of those in media_host, for a machine behind NAT."""
    media_port: int = _of_media("port", _PORT)
    """First UDP port for media. Each plane uses one port, with consecutive numbers. 0 picks free ports."""
    media_tcp: bool = _of_media("tcp")
    """Whether clients without UDP may send media over the TCP port."""
    media_tcp_announce: tuple[str, ...] = _of_media("tcp_announce")
    """Addresses (host or host:port) that clients get for media over TCP. For a proxy that passes TCP to the port."""
    planes: int | None = field(default=None, validator=optional(between(1, 64)))
    """Number of threads that forward media. Each channel uses one. Default: one for each core, at most 4."""

    share_bandwidth: bool = _of_media("share_bandwidth")
    """Whether receivers on narrow paths get smaller or fewer videos. If false, the gateway only estimates the paths."""
    video_orientation: bool = _of_media("video_orientation")
    """Whether phones may send video unrotated, with the rotation in a header extension. If false, phones rotate it."""

    state_dir: Path | None = None
    """Folder of this gateway. A second gateway with the same folder waits until the first one ends, and takes over."""
    port_wait: float = field(default=0, validator=between(0, _A_MONTH))
    """Seconds for which a gateway without state_dir waits at its start until its TCP port is free, and takes over."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important lines that the log has."""
    log_format: Literal["console", "json"] | None = None
    """Format of the logs. Default: console on a terminal, json elsewhere."""
    log_addresses: bool = False
    """Whether the log has the addresses of clients. Without them, `connection` still tells clients apart."""

    join_token: str | None = _secret()
    """Secret that every `join` must contain. Without it, everybody may join."""
    token_keys: tuple[str, ...] = ()
    """Files with keys (JSON Web Keys, PEM, or a secret). With a key, every `join` must carry a JSON Web Token."""
    token_audience: str | None = field(default=None, validator=not_empty)
    """Name of this gateway, which every token must carry as `aud`. Without it, tokens with an audience are refused."""
    token_issuer: str | None = field(default=None, validator=not_empty)
    """Name of the program that makes the tokens, which every token must carry as `iss`. Default: not checked."""
    token_leeway: float = field(default=10, validator=between(0, 300))
    """Seconds by which the clocks of the gateway and of the maker of tokens may differ."""
    duplicate_users: DuplicateUsers = "replace"
    """Whether a client with the secret of a listed user's session replaces this session. If reject, none does."""
    admin_token: str | None = _secret()
    """Bearer token for the moderation API under /api. Without it, /api answers 404."""
    allowed_origins: tuple[str, ...] = field(default=(), validator=origins)
    """Origins of pages that may connect, such as https://call.example.org, or *. Default: this gateway's own host."""
    trusted_proxies: tuple[str, ...] = field(default=(), validator=networks)
    """Addresses or networks of reverse proxies that name the client's address in X-Forwarded-For. Default: none."""
    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)
    """STUN and TURN servers for clients (JSON outside a file). Each has urls, perhaps username and credential."""
    turn_secret: str | None = _secret()
    """Secret that the TURN servers share (coturn: use-auth-secret). Each client gets a credential that expires."""
    turn_seconds: int = field(default=24 * 3600, validator=between(60, _A_MONTH))
    """Seconds for which a credential made with turn_secret counts. Calls over TURN that last longer may break."""
    webhook_urls: tuple[str, ...] = field(default=(), validator=webhook_urls)
    """Addresses of programs that get every change of every channel as a signed HTTP request (Standard Webhooks)."""
    webhook_keys: tuple[str, ...] = ()
    """Files with the secrets that sign the webhooks (whsec_ and base64). Each request has a signature of every one."""
    webhook_timeout: float = _seconds(10)
    """Seconds that the receiver of a webhook may take to answer. Then the gateway sends the request again."""
    webhook_backlog: int = _count(10_000)
    """Number of changes that may wait for a receiver. Above it, the receiver gets whole lists instead of changes."""
    kiosk: bool = False
    """Whether a page with join=1 in its address joins by itself, with camera and microphone. For kiosks only."""
    web_root: Path | None = None
    """Folder of the built web client. Default: the folder that comes with the gateway."""

    ping_interval: float = _seconds(limits.PING_INTERVAL)
    """Seconds of silence after which the gateway pings a client, at most a quarter of a second later."""
    ping_timeout: float = _seconds(limits.PONG_TIMEOUT)
    """Seconds after ping_interval at which a client counts as gone, if nothing has come from it, not even a pong."""
    media_grace: float = _seconds(limits.MEDIA_GRACE)
    """Seconds for which media alone keeps a client, counted from the last traffic on its WebSocket."""
    resume_grace: float = field(default=0, validator=between(0, limits.PING_INTERVAL + limits.PONG_TIMEOUT))
    """Seconds for which a seat stays after its TCP connection broke without a close frame. For proxies that restart."""
    join_timeout: float = _seconds(limits.JOIN_TIMEOUT)
    """Seconds within which a client must join, after it has connected or left a channel."""
    websocket_handshake_timeout: float = _seconds(10)
    """Seconds that a WebSocket handshake may take."""
    goodbye_timeout: float = _seconds(limits.GOODBYE_TIMEOUT)
    """Seconds that the gateway takes at most to send the last message and the close frame of a WebSocket."""
    handshake_timeout: float = _of_media("handshake_timeout", _SECONDS)
    """Seconds that ICE and DTLS may take after the answer to connect_transport."""
    disconnected_after: float = _of_media("disconnected_after", _SECONDS)
    """Seconds without RTP, RTCP and STUN after which a transport counts as disconnected."""
    silence_timeout: float = _of_media("silence_timeout", _SECONDS)
    """Seconds without authentic RTP, RTCP and STUN after which a transport closes (RFC 7675: 30)."""
    courtesy_timeout: float = _of_media("courtesy_timeout", _SECONDS)
    """Seconds that the goodbye of one transport (DTLS close_notify) may take when a session ends."""
    exit_timeout: float = _of_media("exit_timeout", _SECONDS)
    """Seconds that the goodbyes of all transports of a session may take together."""
    drain_timeout: float = field(default=30, validator=between(0, _A_MONTH))
    """Seconds that clients have to leave by themselves when the gateway stops."""
    tls_handshake_timeout: float = _seconds(5)
    """Seconds that a TLS handshake may take."""
    request_head_timeout: float = _seconds(5)
    """Seconds that the head of an HTTP request may take to arrive."""
    request_body_timeout: float = _seconds(10)
    """Seconds that the body of an HTTP request may take to arrive."""
    response_timeout: float = _seconds(10)
    """Seconds that the client of an HTTP response may take to receive one piece of at most 64 KiB."""
    response_total_timeout: float = _seconds(300)
    """Seconds that a whole HTTP response may take."""

    max_connections: int = _count(10_000)
    """Maximum number of WebSocket connections at a time."""
    max_connections_per_address: int = _count(1_000)
    """Maximum number of WebSockets and of HTTP requests that one address may have at a time. Not for loopback."""
    max_http_connections: int = _count(1_000)
    """Maximum number of HTTP requests that the gateway answers at a time. Health checks do not count."""
    max_half_open_connections: int = _count(1_000)
    """Maximum number of TCP connections whose request has not arrived yet. A newer one closes the oldest."""
    max_media_streams: int = _count(8_000)
    """Maximum number of TCP connections that carry media, at a time. Browsers open some for each transport."""
    max_media_streams_per_address: int = _count(2_000)
    """Maximum number of TCP connections that carry media for one address, at a time. Not for loopback, and not for a
    trusted proxy."""
    max_request_head_bytes: int = field(default=40 * 1024, validator=between(1024, 1024**2))
    """Maximum size of the head of an HTTP request, in bytes. The default has room for 32 KiB of cookies."""
    max_request_body_bytes: int = field(default=64 * 1024, validator=between(0, 1024**3))
    """Maximum size of the body of an HTTP request, in bytes."""

    max_channels: int = _count(10_000)
    """Maximum number of channels at a time."""
    max_members: int = _count(500)
    """Maximum number of members in one channel."""
    max_removals: int = _count(10_000)
    """Maximum number of users and addresses that are removed for a time. Past it, the first to end is forgotten."""
    max_kept_rules: int = _count(10_000)
    """Maximum number of locks and limits that outlive their channels. Past it, the first to end is forgotten."""
    lost_member_seconds: float = field(default=600, validator=between(0, _A_MONTH))
    """Seconds for which a member that lost its session may come back into a locked channel."""
    journal_bytes: int = field(default=32 * 1024**2, validator=between(64 * 1024))
    """Size of the changes of all channels that the gateway remembers for watchers, in bytes of memory."""
    journal_channel_bytes: int = field(default=64 * 1024, validator=between(4 * 1024))
    """Size of the changes of one channel that the gateway remembers for watchers, in bytes of memory."""
    journal_entries: int = _count(200_000)
    """Number of changes that the gateway keeps on disk, if state_dir is set. Each takes about 1 KB."""
    max_watched_channels: int = _count(10_000)
    """Maximum number of channels and prefixes that one client watches."""
    max_watches: int = _count(200_000)
    """Maximum number of channels and prefixes that all clients watch together. Each takes about 300 bytes."""
    max_presence_streams: int = _count(1_000)
    """Maximum number of requests at a time that read the changes of channels as server-sent events."""
    max_producers: int = _of_media("max_producers", _COUNT)
    """Maximum number of streams that one session may send."""
    max_consumers: int = _of_media("max_consumers", _COUNT)
    """Maximum number of streams that one session may receive."""
    max_packet_rate: int = _of_media("max_packet_rate", between(100))
    """Maximum number of packets per second that one client may send on a transport, in the long run."""
    max_bitrate: int = _of_media("max_bitrate", between(1_000_000))
    """Maximum number of bits of media per second that one client may send on a transport, in the long run."""
    max_voices: int | None = field(default=None, validator=optional(_COUNT))
    """Number of the loudest voices in a channel that the gateway forwards. Default: all voices."""
    max_message_bytes: int = field(default=limits.MAX_REQUEST_BYTES, validator=between(1024, limits.MAX_REQUEST_BYTES))
    """Maximum size of one message from a client, in bytes."""
    max_stranger_bytes: int = field(default=16 * 1024, validator=between(1024, limits.MAX_REQUEST_BYTES))
    """Maximum size of one message from a client that has not joined, in bytes. A token and metadata must fit."""
    outbox_bytes: int = field(default=8 * 1024**2, validator=between(64 * 1024))
    """Maximum size of all messages that wait for one client, in bytes. The list of a full channel must fit."""
    outbox_age: float = _seconds(10)
    """Seconds for which a client may read nothing while messages wait for it."""
    inbox_messages: int = _count(1024)
    """Maximum number of messages from one client that wait for their turn."""
    inbox_bytes: int = field(default=4 * 1024**2, validator=between(limits.MAX_REQUEST_BYTES))
    """Maximum size of all messages from one client that wait for their turn, in bytes."""
    unread_bytes: int = field(default=64 * 1024**2, validator=between(1024**2))
    """Maximum size of all that clients have sent and no session has read. Past it, the largest client is closed."""
    message_backlog_bytes: int = field(default=256 * 1024, validator=between(1024))
    """Size of all messages that wait for one client, in bytes, from which on it gets no more messages of others."""
    request_rate: float = field(default=100, validator=between(1, 1_000_000))
    """Maximum number of requests from one client per second, in the long run."""
    request_burst: int = _count(2048)
    """Maximum number of requests from one client at once. A new member asks for every stream of the channel."""
    message_rate: float = field(default=20, validator=between(0.1, 1_000_000))
    """Maximum number of messages and list changes that one client causes per second, in the long run."""
    message_burst: int = _count(100)
    """Maximum number of messages and list changes that one client causes at once."""
    work_share: float = field(default=0.1, validator=between(0.001, 1))
    """Maximum part of the gateway's working time that one client may use in the long run. Then it is served later."""
    work_burst: float = field(default=1, validator=between(0.01, 3600))
    """Seconds of the gateway's working time that one client may use at once."""
    address_work_share: float = field(default=0.5, validator=between(0.001, 1))
    """Maximum part of the gateway's working time that all clients of one address may use together."""
    address_work_burst: float = field(default=10, validator=between(0.01, 3600))
    """Seconds of the gateway's working time that all clients of one address may use at once."""
    shed_newcomers: bool = True
    """Whether the gateway refuses newcomers while it is overloaded, so that those inside keep their quality."""
    max_loop_load: float = field(default=0.9, validator=between(0.001, 1))
    """Part of the time for which the event loop may be busy. Above it, newcomers are refused."""
    max_loop_delay: float = field(default=0.1, validator=between(0.001, 60))
    """Mean number of seconds by which the event loop may be late. Above it, newcomers are refused."""
    max_plane_load: float = field(default=0.85, validator=between(0.001, 1))
    """Part of the time for which the thread of a plane may be busy. Above it, its channels take no newcomers."""
    max_receive_loss: float = field(default=0.01, validator=between(0.0001, 1))
    """Part of the datagrams that may not fit into a plane's receive buffers. Above it, as for max_plane_load."""
    error_budget: int = _count(limits.ERROR_BUDGET)
    """Number of bad messages within error_window that a client may send. At the next one, the gateway closes it."""
    error_window: float = _seconds(limits.ERROR_BUDGET_WINDOW)
    """Seconds for which a bad message counts against error_budget."""

    def __attrs_post_init__(self) -> None:
        if found := tuple(self._contradictions()):
            raise Contradictions(found)

    def _contradictions(self) -> Iterator[str]:
        if self.token_keys and self.join_token is not None:
            yield "set token_keys or join_token, not both: a join carries one token"
        if not self.token_keys and (self.token_audience or self.token_issuer):
            yield "token_audience and token_issuer need token_keys, or nobody checks them"
        if self.silence_timeout < self.disconnected_after:
            yield "silence_timeout must not be shorter than disconnected_after"
        if self.state_dir is not None and self.port_wait:
            yield "set state_dir or port_wait, not both: with state_dir, a gateway waits for its lock"
        if bool(self.webhook_urls) != bool(self.webhook_keys):
            yield "webhook_urls and webhook_keys belong together: set both or none"
        if self.metrics_port is None and self.metrics_host != _METRICS_HOST:
            yield "metrics_host needs metrics_port"
        if (self.tls_cert is None) != (self.tls_key is None):
            yield "tls_cert and tls_key belong together: set both or none"
        if self.hsts_seconds and self.tls_cert is None:
            yield "hsts_seconds needs tls_cert; behind a TLS proxy, let the proxy send this header"
        if (last := self.media_port + self.plane_count - 1) > MAX_PORT:
            yield f"the last media port would be {last}, above {MAX_PORT}"

    @property
    def plane_count(self) -> int:
        """The number of planes."""
        return self.planes or min(len(os.sched_getaffinity(0)), MAX_AUTOMATIC_PLANES)

    @property
    def takes_over(self) -> bool:
        """Whether this gateway may begin while another one still runs in its place."""
        return self.state_dir is not None or self.port_wait > 0

    @property
    def media_of_planes(self) -> list[MediaSettings]:
        """The settings of each plane's media port."""
        return self._media_from(self.media_port)

    @property
    def media_groups(self) -> list[list[MediaSettings]]:
        """The groups of media ports that the gateway may take: the first one whose ports are all free.

        The gateway whose place it takes still has its own group.
        """
        count = self.plane_count
        firsts = [self.media_port + number * count for number in range(MEDIA_GROUPS)] if self.media_port else [0]
        usable = [first for first in firsts if first + count - 1 <= MAX_PORT]
        return [self._media_from(first) for first in (usable if self.takes_over else firsts[:1])]

    def _media_from(self, first: int) -> list[MediaSettings]:
        return [attrs.evolve(self.media, port=first and first + number) for number in range(self.plane_count)]

    @property
    def media(self) -> MediaSettings:
        """The settings of the first media port."""
        given = {setting.metadata[_MEDIA]: setting.name for setting in SETTINGS if _MEDIA in setting.metadata}
        return MediaSettings(**{name: getattr(self, setting) for name, setting in given.items()})


def is_of_media(attribute: "Attribute[Any]") -> bool:
    """Whether a field of :class:`Config` is a setting of the media side."""
    return _MEDIA in attribute.metadata


def is_secret(attribute: "Attribute[Any]") -> bool:
    """Whether the value of a field of :class:`Config` must be masked."""
    return bool(attribute.metadata.get(_MASKED))


SETTINGS: Final[tuple["Attribute[Any]", ...]] = attrs.fields(Config)
