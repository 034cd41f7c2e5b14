"""Frames of a gateway, as the Python client reads them."""

from typing import Final

from protocol import REQUESTS, Error, ProtocolError, decode_from_gateway, encode
from protocol.codec import split_sequence

MUTATE_JSON: Final = True
ASKED: Final = dict(enumerate(REQUESTS.values()))
"""Each number is the id of a request of another type."""


def check(raw: bytes) -> None:
    try:
        message = decode_from_gateway(raw, ASKED)
    except ProtocolError:
        return
    written = encode(message)
    assert decode_from_gateway(written, ASKED) == message
    sequence, rest = split_sequence(raw.decode())
    if sequence is not None and not isinstance(message, Error):
        assert 0 < sequence < 10**16
        assert raw.decode().endswith(rest)
