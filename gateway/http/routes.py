"""The HTTP routes besides the WebSocket: health, metrics, moderation, and the files of the web client."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.channel.channels import Channels
from gateway.config import Config
from gateway.http.channel_routes import Mover, no_mover
from gateway.http.moderation import moderation_routes
from gateway.http.route import route
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


def make_app(
    config: Config, metrics: Metrics, channels: Channels, is_ready: Callable[[], bool], move: Mover = no_mover
) -> ASGIApp:
    """Make the ASGI application of one gateway. ``is_ready`` tells whether it accepts new sessions. ``move`` moves
    somebody to another channel.

    If the metrics have a port of their own, ``/metrics`` answers 404 here.
    """

    def page_settings(_: Request) -> Response:
        # A file of its own, since the page may have no inline script. The page asks only if its address has join=1.
        return JSONResponse({"kiosk": config.kiosk}, headers={"cache-control": "no-store"})

    routes: list[Route | Mount] = [
        *_health(is_ready),
        *([_metrics(metrics)] if config.metrics_port is None else []),
        route("/page.json", page_settings),
        *moderation_routes(config, channels, move),
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

    return [route("/healthz", healthz), route("/readyz", readyz)]


def _metrics(metrics: Metrics) -> Route:
    def metrics_text(_: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    return route("/metrics", metrics_text)


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
