"""The entrance of the TCP port: it reads one request of each connection and routes it.

A connection waits for its request in one pool (``max_half_open_connections``) and for its response in another
(``max_http_connections``). Health checks need no place in the second. So a gateway whose pools are full still answers
its orchestrator, which would kill it otherwise.

An upgrade on ``/ws`` becomes a WebSocket client. Every other request gets one HTTP response, and the connection closes.
A connection that does not begin like HTTP may become a media stream. No connection, and no exception in one, affects
another connection or the server.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, Protocol

import structlog
import trio
from starlette.types import ASGIApp

from gateway.config import Config
from gateway.config.hosts import AllowedHosts
from gateway.config.proxies import TrustedProxies
from gateway.connection.accounts import Account, Accounts, share_of_address
from gateway.http import asgi
from gateway.http.half_open import Displaced, HalfOpen
from gateway.http.host_check import check_host
from gateway.http.http1 import ClientGone, Exchange, HttpError, NotHttp, has_body
from gateway.http.media_streams import MediaStreams
from gateway.http.places import Places
from gateway.http.prefixed_stream import PrefixedStream
from gateway.http.presence import PATH as PRESENCE_PATH
from gateway.http.presence import PresenceStreams
from gateway.http.refusal_log import RefusalLog
from gateway.http.routes import HEALTH_PATHS
from gateway.http.tls import HandshakeFailed, Tls, https_needed
from gateway.http.upgrade import check_upgrade, handshake_of
from gateway.ops.http_refusal import HttpRefusal
from gateway.ops.log import new_reference
from gateway.ops.loop_time import payer
from gateway.ops.metrics import Metrics
from protocol.limits import PATH

log = structlog.get_logger(__name__)

_FORWARDED = b"x-forwarded-for"
_RETRY_AFTER = (b"retry-after", b"5")
_MOST_HEALTH_ANSWERS: Final = 100
"""The most health checks that are being answered. An answer fits into the empty buffer of its socket and waits for
nobody, so this bound is never near."""
_HEALTH_SECONDS: Final = 1
"""The longest time that the answer to a health check may take."""


class ServeWebSocket(Protocol):
    """Serves one WebSocket client from its handshake to its end. Never raises ``Exception``."""

    async def __call__(self, stream: trio.abc.Stream, remote: str) -> None: ...


class FrontDoor:
    """Serves the connections of one TCP port.

    ``clients`` counts the tasks that serve WebSockets, ``half_open`` holds the connections without a request, and
    ``http_connections`` counts the requests that are being answered. ``requests`` counts them by address, and
    ``places`` tasks and requests together. A session that went on over another WebSocket has two of the tasks. So
    ``count_sessions`` returns the number that ``max_connections`` limits. By default this is ``clients``. Without
    ``serve_client`` the port has no WebSockets. With ``tls``, the port serves HTTPS and WSS alone.
    """

    def __init__(
        self,
        config: Config,
        app: ASGIApp,
        serve_client: ServeWebSocket | None,
        metrics: Metrics,
        count_sessions: Callable[[], int] | None = None,
        media_streams: MediaStreams | None = None,
        accounts: Accounts | None = None,
        tls: Tls | None = None,
        presence: PresenceStreams | None = None,
    ) -> None:
        self.half_open = HalfOpen(config.max_half_open_connections)
        self.places = Places(config.max_connections_per_address)
        self.requests = Places(
            share_of_address(config.max_http_connections), "requests", HttpRefusal.TOO_MANY_CONNECTIONS
        )
        self._media_streams = media_streams
        self._app = app
        self.reconfigure(config)
        self._serve_client = serve_client
        self._metrics = metrics
        self._accounts = accounts
        self._tls = tls
        self._presence = presence
        self._refusals = RefusalLog(metrics)
        self._last_client_left = trio.Event()
        self.clients = 0
        self._count_sessions = count_sessions or (lambda: self.clients)
        self.http_connections = 0
        self._health_answers = 0
        self._open_responses = 0
        self._last_response_sent = trio.Event()
        self.accepts_clients = True

    def reconfigure(self, config: Config, app: ASGIApp | None = None) -> None:
        """Use other settings, and perhaps another application, from the next connection on."""
        self._config = config
        self._app = app or self._app
        self._allowed_hosts = AllowedHosts.of((*config.allowed_hosts, config.host, config.metrics_host))
        self._trusted_proxies = TrustedProxies.of(config.trusted_proxies)
        self.half_open.most = config.max_half_open_connections
        self.places.most = config.max_connections_per_address
        self.requests.most = share_of_address(config.max_http_connections)
        if self._media_streams is not None:
            self._media_streams.reconfigure(config)

    @property
    def is_ready(self) -> bool:
        """Whether a new client would be accepted."""
        return self.accepts_clients and not self._is_full

    @property
    def _is_full(self) -> bool:
        return self._count_sessions() >= self._config.max_connections

    async def wait_empty(self) -> None:
        """Wait until no WebSocket client is left."""
        while self.clients:
            await self._last_client_left.wait()

    async def wait_answered(self) -> None:
        """Wait until every request that was read has its response."""
        while self._open_responses:
            await self._last_response_sent.wait()

    async def serve(self, stream: trio.abc.Stream, remote: str) -> None:
        """Serve one TCP connection to its end. ``remote`` is its peer, which may be a proxy. Never raises
        ``Exception``."""
        try:
            exchange = Exchange(stream, self._config, self._may_differ, remote)
            if await self._serve_first(exchange) and self._serve_client is not None:
                handshake = PrefixedStream(exchange.stream, handshake_of(exchange.request))
                with self._client_counted(), self.places.hold(exchange.remote):
                    await self._serve_client(handshake, exchange.remote)
        except* (ClientGone, trio.BrokenResourceError, trio.ClosedResourceError) as gone:
            log.debug("client gone", remote=remote, error=repr(gone.exceptions[0]))
        except* Exception as errors:
            self._report(errors, remote)
        finally:
            await trio.aclose_forcefully(stream)

    @contextmanager
    def _client_counted(self) -> Iterator[None]:
        self.clients += 1
        try:
            yield
        finally:
            self.clients -= 1
            if not self.clients:
                self._last_client_left.set()
                self._last_client_left = trio.Event()

    async def _serve_first(self, exchange: Exchange) -> bool:
        """Serve a media stream or one request. Return True if the request asks for a WebSocket."""
        try:
            return await self._serve_request(exchange)
        except NotHttp as begun:
            if self._media_streams is not None:
                is_shared = self._trusted_proxies.trusts(exchange.remote)
                await self._media_streams.take(exchange.stream, begun.data, exchange.remote, is_shared=is_shared)
            return False
        except HandshakeFailed as error:
            self._refusals.record(HttpRefusal.TLS, None, str(error), exchange.remote)
            return False
        finally:
            if exchange.status is not None:
                self._metrics.http_response(exchange.status)

    def _may_differ(self, first: bytes) -> bool:
        """Whether a connection that begins with this byte may be something else than HTTP."""
        if self._tls is not None and self._tls.may_begin(first):
            return True
        return self._media_streams is not None and self._media_streams.may_begin(first)

    async def _read_head(self, exchange: Exchange) -> bool:
        """Read the head of a request, if need be behind a TLS handshake. Return False if none comes."""
        try:
            return await exchange.read_head()
        except NotHttp as begun:
            if self._tls is None or not self._tls.may_begin(begun.data):
                raise
            first = begun.data
        exchange.begin_tls()
        if not self._trusted_proxies.trusts(exchange.remote):
            try:  # A handshake costs more than a request, and nobody knows yet what it is for.
                self._charge(exchange.remote)
            except HttpError as error:
                raise HandshakeFailed(error.message) from None
        secure = await self._tls.accept(exchange.stream, first, self._config.tls_handshake_timeout)
        exchange.continue_in_tls(secure)
        return await exchange.read_head()

    async def _serve_request(self, exchange: Exchange) -> bool:
        """Answer one request, or return True if it asks for a WebSocket."""
        refusal = None
        try:
            with self.half_open.place():
                if not await self._read_head(exchange):
                    return False
            forwarded = [value.decode("latin-1") for name, value in exchange.request.headers if name == _FORWARDED]
            exchange.remote = self._trusted_proxies.client_of_untrusted(exchange.remote, forwarded)
            path = asgi.split_target(exchange.request)[0]
            check_host(exchange.request, self._allowed_hosts)
            if self._tls is not None and not exchange.is_secure:
                raise https_needed(exchange.request)
            if path in HEALTH_PATHS and not has_body(exchange.request):
                await self._answer_health(exchange)
                return False
            self._charge(exchange.remote)
            self.places.require(exchange.remote)
            if path == PATH and self._serve_client is not None:
                self._check_client(exchange)
                return True
            if path == PRESENCE_PATH and self._presence is not None:
                with self.places.hold(exchange.remote):
                    await self._presence.serve(exchange)
                return False
        except Displaced:
            await self._turn_away(exchange)
            return False
        except HttpError as error:
            refusal = error
        with self.places.hold(exchange.remote):
            await self._answer(exchange, refusal)
        return False

    async def _turn_away(self, exchange: Exchange) -> None:
        """Close a connection that a newer one displaced."""
        error = _unavailable("too many connections wait for their request", HttpRefusal.HALF_OPEN)
        if exchange.head_begun:
            await self._refuse(exchange, error)
        else:  # A browser would take this answer for that of its next request on a spare connection.
            self._record(error, exchange.remote)

    async def _answer(self, exchange: Exchange, refusal: HttpError | None) -> None:
        """Answer a request in the pool of HTTP connections, with this refusal if there is one."""
        try:
            self.requests.require(exchange.remote)
            if self.http_connections >= self._config.max_http_connections:
                raise _unavailable("too many connections", HttpRefusal.TOO_MANY_CONNECTIONS)
        except HttpError as full:
            # A short answer, which waits for nobody, so that it needs no place. A refusal may quote the client.
            await self._refuse(exchange, full)
            return
        self.http_connections += 1
        try:
            with self.requests.hold(exchange.remote):
                try:
                    if refusal is not None:
                        raise refusal
                    await self._respond(exchange)
                except HttpError as error:
                    await self._refuse(exchange, error)
                await exchange.linger()
        finally:
            self.http_connections -= 1

    async def _answer_health(self, exchange: Exchange) -> None:
        """Answer a health check outside the pool of HTTP connections. Raises :exc:`HttpError`."""
        if self._health_answers >= _MOST_HEALTH_ANSWERS:
            raise _unavailable("too many health checks", HttpRefusal.TOO_MANY_CONNECTIONS)
        self._health_answers += 1
        try:
            with trio.move_on_after(_HEALTH_SECONDS):
                await self._respond(exchange)
        finally:
            self._health_answers -= 1

    async def _refuse(self, exchange: Exchange, error: HttpError) -> None:
        self._record(error, exchange.remote)
        await exchange.refuse(error)

    def _record(self, error: HttpError, remote: str) -> None:
        if error.refusal is not None:
            self._refusals.record(error.refusal, error.status, error.message, remote)

    def _charge(self, remote: str) -> None:
        """Let the address pay for this task from now on. Raises :exc:`HttpError` if its clients have used too much of
        the gateway's time: a new one would wait for its turn anyway, and meanwhile take a place."""
        address = None if self._accounts is None else self._accounts.of(remote)
        if address is None:
            return
        payer.set(Account(address))
        if debt := address.debt(trio.current_time()):
            retry = (b"retry-after", str(math.ceil(debt)).encode())
            why = "the clients of this address use too much of the gateway's time"
            raise HttpError(HTTPStatus.TOO_MANY_REQUESTS, why, [retry], HttpRefusal.RATE_LIMITED)

    def _check_client(self, exchange: Exchange) -> None:
        """Check that the request may become a WebSocket. Raises :exc:`HttpError`."""
        check_upgrade(exchange.request, self._config.allowed_origins, is_secure=exchange.is_secure)
        if exchange.has_bytes_after_head:  # the WebSocket library would lose these bytes
            raise HttpError(HTTPStatus.BAD_REQUEST, "a client must wait for the answer to its handshake (RFC 6455)")
        if not self.accepts_clients:
            raise _unavailable("the gateway is going away", HttpRefusal.DRAINING)
        if self._is_full:
            raise _unavailable("the gateway is full", HttpRefusal.FULL)

    async def _respond(self, exchange: Exchange) -> None:
        self._open_responses += 1
        try:
            with trio.fail_after(self._config.response_total_timeout):
                await asgi.respond(self._app, exchange)
            if exchange.status == HTTPStatus.UNAUTHORIZED:
                why = "the admin token is missing or wrong"
                self._refusals.record(HttpRefusal.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, why, exchange.remote)
        except trio.TooSlowError as error:
            raise ClientGone from error
        except (HttpError, ClientGone):
            raise
        except Exception as error:
            reference = self._report(error, exchange.remote)
            if not exchange.response_begun:
                raise HttpError(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    f"an internal error of the gateway, with this reference in its log: {reference}",
                ) from error
        finally:
            self._open_responses -= 1
            if not self._open_responses:
                self._last_response_sent.set()
                self._last_response_sent = trio.Event()

    def _report(self, error: BaseException, remote: str) -> str:
        """Log a fault of our own. Return the reference of the line."""
        reference = new_reference()
        self._metrics.connection_error()
        log.error("connection failed", remote=remote, reference=reference, exc_info=error)
        return reference


def _unavailable(message: str, refusal: HttpRefusal) -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, message, [_RETRY_AFTER], refusal)
