"""A message is declared once: its class names its type and, for a request, the class of its answer."""

import pytest
from attrs import frozen

from protocol import EVENTS, OK_DATA, REQUESTS, Done, Joined
from protocol.declarations import Event, OkData, RequestData, event, request


def test_a_request_declares_the_class_of_its_answer() -> None:
    assert OK_DATA[REQUESTS["join"]] is Joined
    assert OK_DATA[REQUESTS["pause"]] is Done


def test_every_request_and_its_answer_are_of_the_base_classes() -> None:
    assert all(issubclass(cls, RequestData) for cls in REQUESTS.values())
    assert all(issubclass(cls, OkData) for cls in OK_DATA.values())
    assert all(issubclass(cls, Event) for cls in EVENTS.values())


def test_a_request_without_an_answer_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="Silent must derive from RequestData"):

        @request("silent")
        @frozen
        class Silent(RequestData):  # type: ignore[type-arg]
            """It names no class of an answer."""

    assert "silent" not in REQUESTS


def test_a_type_cannot_be_declared_twice() -> None:
    with pytest.raises(ValueError, match="join is declared already, as Join"):

        @request("join")
        @frozen
        class Enter(RequestData[Done]):
            """A second request of the type ``join``."""

    with pytest.raises(ValueError, match="closing is declared already, as Closing"):

        @event("closing")
        @frozen
        class Ended(Event):
            """A second event of the type ``closing``."""
