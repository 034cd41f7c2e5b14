"""JSON from the network, checked against limits before it is parsed (RFC 8259)."""

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

from protocol.constraints import compact_json

# The quantifiers are possessive and the closing quote is optional, so that the search never goes back in the text.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# The characters of the largest integer that a double holds, sign included.
_MAX_INTEGER_CHARACTERS = 310


class UnreadableError(Exception):
    """The bytes are not JSON, or exceed a limit. The message gives the reason without quoting them."""


def nesting_depth(text: bytes) -> int:
    """Return how deep arrays and objects nest, without parsing the text. Brackets inside strings do not count."""
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
    """Return the bytes of a frame, checked for size. A text with too many characters is refused before it is
    encoded."""
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
    """Parse one JSON text (RFC 8259) of at most ``max_bytes`` in UTF-8, nested at most ``max_depth`` deep.

    An object must not repeat a member name. Every number must be finite as a double. Strings must be Unicode, without
    lone surrogates. Raises :exc:`UnreadableError` and nothing else.
    """
    encoded = _utf8(raw, max_bytes)
    # A text nests at most as deep as it has opening brackets, and most have few. Counting them takes no time.
    if encoded.count(b"[") + encoded.count(b"{") > max_depth and nesting_depth(encoded) > max_depth:
        raise UnreadableError(f"nested deeper than {max_depth}")
    try:
        text = raw if isinstance(raw, str) else str(raw, "utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:
            compact_json(value).encode()
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except UnicodeEncodeError:
        raise UnreadableError("a string has a lone surrogate") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON") from None
    return value
