"""Requests of a client: any frame gives a request or one error, which its client can read."""

from typing import Any, Final

from protocol import Error, ErrorCode, ProtocolError, RequestData, decode_from_gateway, decode_request, encode
from protocol.limits import MAX_REQUEST_BYTES

MUTATE_JSON: Final = True
_MOST_IN_ANSWER: Final = 2048


class Anything(dict[int, type[RequestData[Any]]]):
    """A table in which every id belongs to a request."""

    def __contains__(self, key: object) -> bool:
        return True


def check(raw: bytes) -> None:
    try:
        request = decode_request(raw)
    except ProtocolError as refused:
        assert refused.code in (ErrorCode.MALFORMED, ErrorCode.INVALID, ErrorCode.UNKNOWN_TYPE)
        assert (refused.request_id is None) == (refused.code is ErrorCode.MALFORMED)
        answer = encode(Error.for_frame(refused))
        assert decode_from_gateway(answer, Anything()) == Error.for_frame(refused)
        # An answer must not be an amplifier.
        assert len(answer.encode()) <= _MOST_IN_ANSWER + 2 * len(raw)
        return
    written = encode(request)
    # A number such as 1e300 is written with all its digits.
    assert len(raw) <= MAX_REQUEST_BYTES
    assert decode_request(written) == request
    assert encode(decode_request(written)) == written
