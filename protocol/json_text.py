"""JSON from the network, bounded before it is parsed (RFC 8259)."""

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

from protocol.constraints import compact_json

# Possessive, and the closing quote optional: one pass over the text, whatever is in it.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# The digits and sign of the largest integer that a double holds.
_MAX_INTEGER_CHARACTERS = 310


class UnreadableError(Exception):
    """The bytes are not JSON, or not within the bounds.  The text says why, without quoting them."""


def nesting_depth(text: bytes) -> int:
    """How deep arrays and objects nest in JSON text, found without parsing it; brackets in strings do not count."""
    brackets = _STRING.sub(b"", text).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableError("an object names a member twice")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_CHARACTERS:
        raise UnreadableError("a number is out of range")
    value = int(digits)
    _double(digits)
    return value


def _double(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise UnreadableError("a number is out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_integer,
    parse_float=_double,
    parse_constant=_refuse_constant,
)


def _utf8(raw: bytes | str, max_bytes: int) -> bytes:
    """The bytes of a frame, checked for size; for text, the length says already when it is far too much."""
    if len(raw) > max_bytes:
        raise UnreadableError(f"larger than {max_bytes} bytes")
    try:
        encoded = raw.encode() if isinstance(raw, str) else raw
    except UnicodeEncodeError:
        raise UnreadableError("not Unicode text") from None
    if len(encoded) > max_bytes:
        raise UnreadableError(f"larger than {max_bytes} bytes")
    return encoded


def parse_untrusted(raw: bytes | str, *, max_bytes: int, max_depth: int) -> Any:
    """Parse one JSON text (RFC 8259) of at most ``max_bytes`` of UTF-8 whose arrays and objects nest ``max_depth``.

    No member name may come twice in an object, every number must be finite as a double, and strings must be Unicode
    (no lone surrogates).  Raises :exc:`UnreadableError` and nothing else.
    """
    encoded = _utf8(raw, max_bytes)
    if nesting_depth(encoded) > max_depth:
        raise UnreadableError(f"nested deeper than {max_depth}")
    try:
        text = raw if isinstance(raw, str) else str(raw, "utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:
            compact_json(value).encode()
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except UnicodeEncodeError:
        raise UnreadableError("a string holds half a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON") from None
    return value
