"""A mutation of JSON: a value changes more often than a byte, so that most inputs still parse."""

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from protocol.json_schema import json_schema

_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 127, 128, 255, 256, 2**31, 2**32, 2**53, 1e308, 0.5, "", "\0", "é", "\ud800",
    "x" * 300, [], {}, [[]], {"": 0}, "audio", "video", "video/rtx", "video/red", "apt",
    "42e01f", "sha-256",
)  # fmt: skip

Mutate = Callable[[bytes, int], bytes]


def mutate_json(data: bytes, max_size: int, seed: int, mutate: Mutate) -> bytes:
    """Return a changed input of at most ``max_size`` bytes.  ``mutate`` is the mutation of bytes."""
    rng = random.Random(seed)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate(data, max_size)
    if not rng.randrange(4):
        return mutate(data, max_size)
    if not isinstance(value, dict | list):
        value = [value]
    for _ in range(rng.randrange(1, 4)):
        _change(value, rng, mutate)
    changed = json.dumps(value, ensure_ascii=bool(rng.randrange(2)), separators=(",", ":"))
    encoded = changed.encode("utf-8", "surrogatepass")
    return encoded if len(encoded) <= max_size else mutate(data, max_size)


def _change(value: Any, rng: random.Random, mutate: Mutate) -> None:
    places = list(_places(value))
    if not places:
        return
    container, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            container[key] = rng.choice(_VALUES)
        case 1:
            other, place = rng.choice(places)
            container[key] = json.loads(json.dumps(other[place]))
        case 2:
            del container[key]
        case 3 if isinstance(container[key], str):
            text = mutate(container[key].encode("utf-8", "surrogatepass"), 300)
            container[key] = text.decode("utf-8", "replace")
        case 4 if isinstance(container[key], int | float):
            container[key] += rng.choice((-1, 1, 128, 65536))
        case 5 if isinstance(container[key], dict):
            container[key][rng.choice(_names())] = rng.choice(_VALUES)
        case _ if isinstance(container[key], list):
            container[key] = container[key] * 2


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@cache
def _names() -> tuple[str, ...]:
    """All names of members in the protocol."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value.get("properties", {}))
            for part in value.values():
                collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)

    collect(json_schema())
    return tuple(sorted(found))
