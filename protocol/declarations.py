"""The declaration of messages, and the tables of all declared messages.

The codec, the JSON Schema, the TypeScript types, the Python client's types and the gateway's dispatch all read these
tables. Importing the package :mod:`protocol` fills them. docs/adding-a-request.md walks through one request.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_origin

from attrs import frozen


# Without slots for weak references: a class may have several of these bases, and only one base may add a slot.
@frozen(weakref_slot=False)
class OkData:
    """Base of every class that an ``ok`` carries as its ``data``."""


Answer_co = TypeVar("Answer_co", bound=OkData, covariant=True)


@frozen(weakref_slot=False)
class RequestData(Generic[Answer_co]):
    """Base of every class that a request carries as its ``data``. Its type argument is the class of the answer."""

    @property
    def weight(self) -> int:
        """For how many more requests it counts, besides itself."""
        return 0


@frozen(weakref_slot=False)
class Event:
    """Base of every class that an event carries as its ``data``."""


REQUESTS: dict[str, type[RequestData[Any]]] = {}
"""From the type of a request on the wire, such as ``join``, to its class."""
REQUEST_TYPES: dict[type[RequestData[Any]], str] = {}
"""From the class of a request to its type on the wire."""
OK_DATA: dict[type[RequestData[Any]], type[OkData]] = {}
"""From the class of a request to the class of its answer."""
EVENTS: dict[str, type[Event]] = {}
"""From the type of an event on the wire, such as ``voice_state``, to its class."""
EVENT_TYPES: dict[type[Event], str] = {}
"""From the class of an event to its type on the wire."""

_RequestClass = TypeVar("_RequestClass", bound=type[RequestData[Any]])
_EventClass = TypeVar("_EventClass", bound=type[Event])


def request(name: str) -> Callable[[_RequestClass], _RequestClass]:
    """Declare a class as the ``data`` of the request type ``name``.

    The class names its answer: ``class Join(RequestData[Joined])``. Raises ``TypeError`` if the class names none, and
    ``ValueError`` if the type is declared already.
    """

    def declare(cls: _RequestClass) -> _RequestClass:
        answer = _answer_of(cls)
        _add(REQUESTS, name, cls)
        REQUEST_TYPES[cls] = name
        OK_DATA[cls] = answer
        return cls

    return declare


def event(name: str) -> Callable[[_EventClass], _EventClass]:
    """Declare a class as the ``data`` of the event type ``name``.

    Raises ``ValueError`` if the type is declared already.
    """

    def declare(cls: _EventClass) -> _EventClass:
        _add(EVENTS, name, cls)
        EVENT_TYPES[cls] = name
        return cls

    return declare


def _add(table: dict[str, Any], name: str, cls: type) -> None:
    if name in table:
        raise ValueError(f"{name} is declared already, as {table[name].__name__}")
    table[name] = cls


def _answer_of(cls: type) -> type[OkData]:
    for base in getattr(cls, "__orig_bases__", ()):
        for argument in get_args(base):
            if get_origin(base) is RequestData and isinstance(argument, type) and issubclass(argument, OkData):
                return argument
    raise TypeError(f"{cls.__name__} must derive from RequestData[...], with the class of its answer")
