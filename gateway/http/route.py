"""One HTTP route whose answer needs no wait, and what the routes have in common."""

from collections.abc import Callable

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Answer = Callable[[Request], Response]


def bearer_token(authorization: str) -> str | None:
    """The token in an ``Authorization`` header (RFC 6750 section 2.1). None if it has none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def route(path: str, answer: Answer, *methods: str) -> Route:
    """Answer requests for a path in the thread of the gateway. Without ``methods``, GET and HEAD are allowed."""

    async def endpoint(request: Request) -> Response:  # starlette would run a plain function in a thread
        await trio.lowlevel.checkpoint()
        return answer(request)

    return Route(path, endpoint, methods=methods or None)
