"""Values of the message classes: one plain example of each, and generators of arbitrary ones."""

import enum
import re
import unicodedata
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st

from protocol import VoiceState
from protocol.constraints import (
    Characters,
    Constraint,
    Items,
    Pattern,
    Range,
    split_annotated,
    without_none,
)
from protocol.invisible import first_invisible
from protocol.media import FINGERPRINT_BYTES, DtlsFingerprint, RtpCodecParameters
from protocol.vocabulary import OneOf

T = TypeVar("T")

EXAMPLE_TEXTS = ("2026-11-01T09:30:00.250Z", "audio/opus", "abc", "1", "c2VjcmV0LXdpdGgtMTYtYnl0ZXM")
EXAMPLE_FINGERPRINT = DtlsFingerprint("sha-256", ":".join(["ab"] * 32))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def example(cls: type[T]) -> T:
    """Return the smallest object of a message class."""
    return cast(T, _example(cls))


def _example(hint: Any) -> Any:
    bare, rules = split_annotated(hint)
    if get_origin(bare) is Literal:
        return get_args(bare)[0]
    if get_origin(bare) in (Union, UnionType):
        return _example(get_args(bare)[0])
    if get_origin(bare) is tuple:
        minimum = max((rule.minimum for rule in rules if isinstance(rule, Items)), default=0)
        return tuple(_example(get_args(bare)[0]) for _ in range(minimum))
    if get_origin(bare) is dict:
        return {}
    if bare is str:
        return next(text for text in EXAMPLE_TEXTS if _fits(text, rules))
    if bare in (int, float):
        return max((rule.minimum for rule in rules if isinstance(rule, Range)), default=0)
    if bare is bool:
        return True
    if bare is Any:
        return None
    if issubclass(bare, enum.StrEnum):
        return next(iter(bare))
    return EXAMPLE_FINGERPRINT if bare is DtlsFingerprint else _object_example(bare)


def _fits(text: str, rules: list[Constraint]) -> bool:
    return all(re.fullmatch(rule.expression, text) for rule in rules if isinstance(rule, Pattern))


def _object_example(cls: type[attrs.AttrsInstance]) -> attrs.AttrsInstance:
    hints = get_type_hints(cls, include_extras=True)
    required = {
        field.name: _example(hints[field.name]) for field in attrs.fields(cls) if field.default is attrs.NOTHING
    }
    if issubclass(cls, OneOf):
        chosen = cls.alternatives[0]
        required[chosen] = _example(without_none(hints[chosen]))
    return cls(**required)


def arbitrary(cls: type[T]) -> st.SearchStrategy[T]:
    """Generate objects of a message class with any values that the protocol allows."""
    return cast("st.SearchStrategy[T]", _strategy(cls))


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    bare, rules = split_annotated(hint)
    if get_origin(bare) is Literal:
        return st.sampled_from(get_args(bare))
    if get_origin(bare) in (Union, UnionType):
        return st.one_of([_strategy(member) for member in get_args(bare)])
    if get_origin(bare) is tuple:
        minimum = max((rule.minimum for rule in rules if isinstance(rule, Items)), default=0)
        return st.lists(_strategy(get_args(bare)[0]), min_size=minimum, max_size=minimum + 2).map(tuple)
    if get_origin(bare) is dict:
        return st.dictionaries(st.text(max_size=8), _strategy(get_args(bare)[1]), max_size=3)
    if bare is str:
        return _texts(rules)
    if bare in (int, float):
        return _numbers(bare, rules)
    if bare is Any:
        return json_values
    if bare is DtlsFingerprint:
        return _fingerprints()
    if isinstance(bare, type) and issubclass(bare, enum.StrEnum):
        return st.sampled_from(list(bare))
    if bare is bool:
        return st.booleans()
    return st.none() if bare is type(None) else _objects(bare)


def _texts(rules: list[Constraint]) -> st.SearchStrategy[str]:
    patterns = [rule.expression for rule in rules if isinstance(rule, Pattern)]
    bounds = [rule for rule in rules if isinstance(rule, Characters)]
    minimum, maximum = (bounds[0].minimum, min(bounds[0].maximum, 12)) if bounds else (0, 12)
    if patterns and not bounds:
        return st.from_regex(patterns[0], fullmatch=True)
    if not patterns:
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=minimum, max_size=maximum)
    characters = st.characters(exclude_categories=["Cs", "Cc", "Zs"]).filter(lambda one: first_invisible(one) is None)
    return st.text(characters, min_size=minimum, max_size=maximum).filter(
        lambda text: text == text.strip() and unicodedata.is_normalized("NFC", text)
    )


def _numbers(bare: type, rules: list[Constraint]) -> st.SearchStrategy[Any]:
    minimum, maximum = next(((rule.minimum, rule.maximum) for rule in rules if isinstance(rule, Range)), (-1000, 1000))
    whole = st.integers(minimum, maximum)
    return whole if bare is int else whole | st.floats(minimum, min(maximum, 2**53))


def _fingerprints() -> st.SearchStrategy[DtlsFingerprint]:
    def with_value(algorithm: str) -> st.SearchStrategy[DtlsFingerprint]:
        size = FINGERPRINT_BYTES[algorithm]
        values = st.binary(min_size=size, max_size=size).map(lambda digest: digest.hex(":"))
        return st.builds(DtlsFingerprint, st.sampled_from([algorithm, algorithm.upper()]), values)

    return st.sampled_from(sorted(FINGERPRINT_BYTES)).flatmap(with_value)


def _without_channels_of_video(codec: RtpCodecParameters) -> RtpCodecParameters:
    return codec if codec.mime_type.lower().startswith("audio/") else attrs.evolve(codec, channels=None)


def _optional(cls: type[OneOf]) -> set[str]:
    """The fields that may stand beside each alternative."""
    return {field.name for field in attrs.fields(cls)} - set(cls.alternatives)


def _objects(cls: type[attrs.AttrsInstance]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls, include_extras=True)
    if issubclass(cls, OneOf):
        others = {name: _strategy(hint) for name, hint in hints.items() if name in _optional(cls)}
        chosen = ({name: _strategy(without_none(hints[name]))} for name in cls.alternatives)
        return st.one_of([st.builds(cls, **others, **one) for one in chosen])
    fields = {field.name: _strategy(hints[field.name]) for field in attrs.fields(cls)}
    if cls is RtpCodecParameters:
        return st.builds(cls, **fields).map(_without_channels_of_video)
    if cls is VoiceState:
        reasons = fields.pop("reason").filter(lambda reason: reason not in (None, "moved"))
        names = fields.pop("type").filter(lambda name: name != "user_left")
        channels, left = fields.pop("to").filter(lambda to: to is not None), st.just("user_left")
        return st.one_of(
            st.builds(cls, type=names, **fields),
            st.builds(cls, type=left, reason=reasons, **fields),
            st.builds(cls, type=left, reason=st.just("moved"), to=channels, **fields),
        )
    return st.builds(cls, **fields)
