"""Clients that share a decoder get the same messages as with decoders of their own."""

from protocol.codec import encode
from protocol.events import ActiveSpeakers
from protocol.requests import Ping
from protocol.responses import Ok
from tools.light import SharedDecoder


def test_an_event_is_decoded_once_for_all_clients() -> None:
    decode = SharedDecoder()
    text = encode(ActiveSpeakers(("anna",)))
    first = decode(text, {})
    assert first == ActiveSpeakers(("anna",))
    assert decode(encode(ActiveSpeakers(("anna",))), {}) is first


def test_answers_are_not_shared_between_clients() -> None:
    decode = SharedDecoder()
    text = '{"id":1,"type":"ok","data":{}}'
    first, second = decode(text, {1: Ping}), decode(text, {1: Ping})
    assert isinstance(first, Ok)
    assert first is not second


def test_it_remembers_a_bounded_number_of_events() -> None:
    decode = SharedDecoder()
    for number in range(2000):
        decode(encode(ActiveSpeakers((f"user{number}",))), {})
    assert len(decode._events) <= 256
