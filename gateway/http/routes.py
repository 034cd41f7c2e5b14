"""The HTTP routes besides the WebSocket: health, metrics, moderation, and the files of the web client."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence, Sized
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

import trio
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.channel.removals import MAX_SECONDS
from gateway.config import Config
from gateway.http.web_files import WebFiles
from gateway.ops.metrics import CONTENT_TYPE, Metrics

_SECURITY_HEADERS: Final = {
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:",
            "connect-src 'self' ws: wss:",  # Safari before 16 does not count WebSockets among 'self'.
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    ),
    "permissions-policy": "camera=(self), microphone=(self), display-capture=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
_WHOLE_NUMBER: Final = re.compile("[0-9]{1,9}")
_Answer = Callable[[Request], Response]


class ListedChannel(Protocol):
    """The part of a channel that moderators see."""

    @property
    def members(self) -> Sized: ...


class ModeratedChannels(Protocol):
    """The part of :class:`gateway.channel.channels.Channels` that moderators need."""

    @property
    def channels(self) -> Mapping[str, ListedChannel]: ...

    def expel(self, channel_id: str, user_id: str, seconds: int | None = None) -> bool:
        """End a member's session, and keep the member out for ``seconds``. Return whether there was such a member."""


def make_app(config: Config, metrics: Metrics, channels: ModeratedChannels, is_ready: Callable[[], bool]) -> ASGIApp:
    """Make the ASGI application of one gateway. ``is_ready`` tells whether it accepts new sessions.

    If the metrics have a port of their own, ``/metrics`` answers 404 here.
    """

    def page_settings(_: Request) -> Response:
        # A file of its own, since the page may have no inline script. The page asks only if its address has join=1.
        return JSONResponse({"kiosk": config.kiosk}, headers={"cache-control": "no-store"})

    routes = [
        *_health(is_ready),
        *([_metrics(metrics)] if config.metrics_port is None else []),
        _route("/page.json", page_settings),
        *_moderation(config.admin_token, channels),
        Mount("/", WebFiles(config.web_root or Path(__file__).parent.parent / "web" / "dist")),
    ]
    return _make_app(routes, config.hsts_seconds)


def make_metrics_app(metrics: Metrics, is_ready: Callable[[], bool]) -> ASGIApp:
    """Make the ASGI application of the port for metrics. It also answers health checks."""
    return _make_app([*_health(is_ready), _metrics(metrics)])


def _make_app(routes: Sequence[Route | Mount], hsts_seconds: int = 0) -> ASGIApp:
    headers = dict(_SECURITY_HEADERS)
    if hsts_seconds:
        headers["strict-transport-security"] = f"max-age={hsts_seconds}"
    return _with_headers(ExceptionMiddleware(Router(routes, redirect_slashes=False)), headers)


def _health(is_ready: Callable[[], bool]) -> list[Route]:
    def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    def readyz(_: Request) -> Response:
        ready = is_ready()
        return PlainTextResponse(
            "ready\n" if ready else "not taking new sessions\n",
            status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"cache-control": "no-store"},
        )

    return [_route("/healthz", healthz), _route("/readyz", readyz)]


def _metrics(metrics: Metrics) -> Route:
    def metrics_text(_: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    return _route("/metrics", metrics_text)


def _moderation(admin_token: str | None, channels: ModeratedChannels) -> list[Route | Mount]:
    """Return the moderation routes. Without a token to check, they all answer 404."""

    def nothing(_: Request) -> Response:
        raise HTTPException(HTTPStatus.NOT_FOUND)

    def list_channels(_: Request) -> Response:
        listed = [{"channelId": name, "members": len(channel.members)} for name, channel in channels.channels.items()]
        return JSONResponse({"channels": listed}, headers={"cache-control": "no-store"})

    def remove_participant(request: Request) -> Response:
        seconds = _seconds_untrusted(request.query_params.getlist("seconds"))
        found = channels.expel(request.path_params["channel_id"], request.path_params["user_id"], seconds)
        # A removal for a time has an effect also if the user has just left.
        if not found and seconds is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such participant")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    if admin_token is None:
        return [_route("/api/{path:path}", nothing, "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")]
    return [
        _route("/api/channels", _require_token(admin_token, list_channels)),
        _route(
            "/api/channels/{channel_id}/participants/{user_id}",
            _require_token(admin_token, remove_participant),
            "DELETE",
        ),
    ]


def _seconds_untrusted(given: Sequence[str]) -> int | None:
    """Return the time in a query. None if it has none. Raises :exc:`HTTPException` for a bad one."""
    if not given:
        return None
    if len(given) == 1 and _WHOLE_NUMBER.fullmatch(given[0]) and 1 <= int(given[0]) <= MAX_SECONDS:
        return int(given[0])
    raise HTTPException(HTTPStatus.BAD_REQUEST, f"seconds must be a whole number from 1 to {MAX_SECONDS}")


def _route(path: str, answer: _Answer, *methods: str) -> Route:
    async def endpoint(request: Request) -> Response:  # starlette would run a plain function in a thread
        await trio.lowlevel.checkpoint()
        return answer(request)

    return Route(path, endpoint, methods=methods or None)


def _require_token(admin_token: str, answer: _Answer) -> _Answer:
    def guarded(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.strip().encode(), admin_token.encode()):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED, "this needs the admin token", headers={"www-authenticate": "Bearer"}
            )
        return answer(request)

    return guarded


def _with_headers(app: ASGIApp, added: Mapping[str, str]) -> ASGIApp:
    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_with_headers)

    return secured
