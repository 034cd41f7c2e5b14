"""One HTTP route whose answer needs no wait."""

from collections.abc import Callable

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Answer = Callable[[Request], Response]


def route(path: str, answer: Answer, *methods: str) -> Route:
    """Answer requests for a path in the thread of the gateway. Without ``methods``, GET and HEAD are allowed."""

    async def endpoint(request: Request) -> Response:  # starlette would run a plain function in a thread
        await trio.lowlevel.checkpoint()
        return answer(request)

    return Route(path, endpoint, methods=methods or None)
