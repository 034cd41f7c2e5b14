"""One HTTP route whose answer needs no wait, and what the routes have in common."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
Answer = Callable[[Request], Response]
BodyAnswer = Callable[[Request, bytes], Response]
"""Answers a request with the whole body of it."""


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


def routes_of(answers: Mapping[str, Mapping[str, BodyAnswer]]) -> list[Route]:
    """Make one route for each path, with the answers of its methods. HEAD is answered as GET."""
    return [_route_of(path, methods) for path, methods in answers.items()]


def _route_of(path: str, methods: Mapping[str, BodyAnswer]) -> Route:
    allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})

    async def endpoint(request: Request) -> Response:
        body = await request.body()  # the front door bounds it
        await trio.lowlevel.checkpoint()
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": ", ".join(allowed)})
        return answer(request, body)

    # Otherwise the files of the page, which have every path, would answer the other methods.
    return Route(path, endpoint, methods=_METHODS)
