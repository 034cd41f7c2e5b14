"""The TCP port's front door: reads each connection's request once, and sends it to where it belongs.

An upgrade on ``/ws`` becomes a WebSocket client; everything else is one HTTP request, answered and closed.  Nothing
that a connection does, and no exception in it, reaches another one or the server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

import structlog
import trio
from starlette.types import ASGIApp

from gateway.config import Config
from gateway.http import asgi
from gateway.http.http1 import ClientGone, Exchange, HttpError
from gateway.http.prefixed_stream import PrefixedStream
from gateway.http.refusal_log import RefusalLog
from gateway.http.upgrade import check_upgrade, handshake_of
from gateway.ops.http_refusal import HttpRefusal
from gateway.ops.log import new_reference
from gateway.ops.metrics import Metrics
from protocol.limits import PATH

log = structlog.get_logger(__name__)

_RETRY_AFTER = (b"retry-after", b"5")


class ServeWebSocket(Protocol):
    """Runs the whole life of one WebSocket client, from its handshake on; never raises ``Exception``."""

    async def __call__(self, stream: trio.abc.Stream, remote: str) -> None: ...


class FrontDoor:
    """``clients`` and ``requests`` are how many there are now: WebSockets, and connections that are none (yet)."""

    def __init__(self, config: Config, app: ASGIApp, serve_client: ServeWebSocket, metrics: Metrics) -> None:
        self._config = config
        self._app = app
        self._serve_client = serve_client
        self._metrics = metrics
        self._refusals = RefusalLog(metrics)
        self._last_client_left = trio.Event()
        self.clients = 0
        self.http_connections = 0
        self._open_responses = 0
        self._last_response_sent = trio.Event()
        self.accepts_clients = True

    @property
    def is_ready(self) -> bool:
        """Whether a new client would be let in."""
        return self.accepts_clients and self.clients < self._config.max_connections

    async def wait_empty(self) -> None:
        """Return when no client is left."""
        while self.clients:
            await self._last_client_left.wait()

    async def wait_answered(self) -> None:
        """Return when no request that has been read is waiting for its response."""
        while self._open_responses:
            await self._last_response_sent.wait()

    async def serve(self, stream: trio.abc.Stream, remote: str) -> None:
        """The whole life of one TCP connection.  ``remote`` names it in the log.  Never raises ``Exception``."""
        try:
            if upgrade := await self._serve_http(stream, remote):
                with self._client_counted():
                    await self._serve_client(PrefixedStream(stream, upgrade), remote)
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

    async def _serve_http(self, stream: trio.abc.Stream, remote: str) -> bytes:
        """Answer one request; the handshake in it when it is to become a WebSocket instead, else nothing."""
        exchange = Exchange(stream, self._config)
        try:
            return handshake_of(exchange.request) if await self._serve_request(exchange, remote) else b""
        finally:
            if exchange.status is not None:
                self._metrics.http_response(exchange.status)

    async def _serve_request(self, exchange: Exchange, remote: str) -> bool:
        """Answer one request; True when it is to become a WebSocket instead."""
        if self.http_connections >= self._config.max_http_connections:
            refusal = HttpRefusal.TOO_MANY_CONNECTIONS
            await self._refuse(exchange, _unavailable("too many connections", refusal), remote)
            return False
        self.http_connections += 1
        try:
            try:
                if not await exchange.read_head():
                    return False
                if asgi.split_target(exchange.request)[0] == PATH:
                    self._check_client(exchange)
                    return True
                await self._respond(exchange, remote)
            except HttpError as error:
                await self._refuse(exchange, error, remote)
            await exchange.linger()
            return False
        finally:
            self.http_connections -= 1

    async def _refuse(self, exchange: Exchange, error: HttpError, remote: str) -> None:
        if error.refusal is not None:
            self._refusals.record(error.refusal, error.status, error.message, remote)
        await exchange.refuse(error)

    def _check_client(self, exchange: Exchange) -> None:
        """Whether this may become a WebSocket.  Raises :exc:`HttpError` when not."""
        check_upgrade(exchange.request, self._config.allowed_origins)
        if exchange.has_bytes_after_head:  # the WebSocket library would lose it
            raise HttpError(HTTPStatus.BAD_REQUEST, "a client must wait for the answer to its handshake (RFC 6455)")
        if not self.accepts_clients:
            raise _unavailable("the gateway is going away", HttpRefusal.DRAINING)
        if self.clients >= self._config.max_connections:
            raise _unavailable("the gateway is full", HttpRefusal.FULL)

    async def _respond(self, exchange: Exchange, remote: str) -> None:
        self._open_responses += 1
        try:
            with trio.fail_after(self._config.response_total_timeout):
                await asgi.respond(self._app, exchange)
            if exchange.status == HTTPStatus.UNAUTHORIZED:
                why = "without the admin token, or with a wrong one"
                self._refusals.record(HttpRefusal.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, why, remote)
        except trio.TooSlowError as error:
            raise ClientGone from error
        except (HttpError, ClientGone):
            raise
        except Exception as error:
            reference = self._report(error, remote)
            if not exchange.response_begun:
                raise HttpError(
                    HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault of the gateway, in its log as {reference}"
                ) from error
        finally:
            self._open_responses -= 1
            if not self._open_responses:
                self._last_response_sent.set()
                self._last_response_sent = trio.Event()

    def _report(self, error: BaseException, remote: str) -> str:
        """One line in the log for a fault of our own; returns the reference that finds it."""
        reference = new_reference()
        self._metrics.connection_error()
        log.error("connection failed", remote=remote, reference=reference, exc_info=error)
        return reference


def _unavailable(message: str, refusal: HttpRefusal) -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, message, [_RETRY_AFTER], refusal)
