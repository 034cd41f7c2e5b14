"""Finds the handler of a request, and checks that the client may ask for it.

:mod:`gateway.session.handlers` and :mod:`gateway.session.moderator_handlers` have the handlers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gateway.session.session import Session
from protocol.declarations import OK_DATA, OkData, RequestData
from protocol.errors import ErrorCode, RequestError
from protocol.requests import Join, ResumeSession
from protocol.responses import Encoded

Handler = Callable[[Session, Any], OkData]
Needs = str | Callable[[Any], str | None] | None
"""The grant that a request needs: a fixed one, one that depends on the ``data``, or None for every member."""
HANDLERS: dict[type[RequestData[Any]], Handler] = {}
"""The handler of each class of request."""
NEEDS: dict[type[RequestData[Any]], Needs] = {}
"""The grant that each class of request needs."""

_Function = TypeVar("_Function", bound=Handler)


def handler(*, needs: Needs) -> Callable[[_Function], _Function]:
    """Register a function as the handler for the class of its argument ``data``, and the grant that it needs.

    Raises ``TypeError`` if the function does not return the class that this request declares as its answer.
    """

    def register(function: _Function) -> _Function:
        types = get_type_hints(function)
        answer = types["return"]
        if get_origin(answer) is Encoded:
            (answer,) = get_args(answer)
        if answer is not OK_DATA[types["data"]]:
            raise TypeError(f"{function.__name__} must return {OK_DATA[types['data']].__name__}")
        HANDLERS[types["data"]] = function
        NEEDS[types["data"]] = needs
        return function

    return register


def perform(session: Session, data: RequestData[Any]) -> OkData:
    """Serve a request and return the ``data`` of its ``ok``. Raises :exc:`RequestError`.

    This is the only place that checks grants.
    """
    if isinstance(data, Join | ResumeSession):
        raise RequestError(ErrorCode.ALREADY_JOINED, "leave the channel first")
    needs = NEEDS[type(data)]
    session.require(needs(data) if callable(needs) else needs)
    return HANDLERS[type(data)](session, data)
