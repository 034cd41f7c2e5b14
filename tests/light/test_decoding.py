"""One decoder for many clients: each gets what it would get alone."""

from protocol.codec import encode
from protocol.events import ActiveSpeakers
from protocol.requests import Ping
from protocol.responses import Ok
from tools.light import SharedDecoder


def test_an_event_is_decoded_once_for_all() -> None:
    decode = SharedDecoder()
    text = encode(ActiveSpeakers(("anna",)))
    first = decode(text, {})
    assert first == ActiveSpeakers(("anna",))
    assert decode(encode(ActiveSpeakers(("anna",))), {}) is first


def test_an_answer_is_each_clients_own() -> None:
    decode = SharedDecoder()
    text = '{"id":1,"type":"ok","data":{}}'
    first, second = decode(text, {1: Ping}), decode(text, {1: Ping})
    assert isinstance(first, Ok)
    assert first is not second


def test_what_is_remembered_is_bounded() -> None:
    decode = SharedDecoder()
    for number in range(2000):
        decode(encode(ActiveSpeakers((f"user{number}",))), {})
    assert len(decode._events) <= 256
