"""What a field's value must satisfy besides its type, attached to the type with ``typing.Annotated``.

Decoding, the JSON Schema and the tests' generators all read these, so that a bound is written down once.
"""

import json
import re
from types import UnionType
from typing import Annotated, Any, Final, Protocol, Union, get_args, get_origin

from attrs import field, frozen

Json = dict[str, Any]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact_json(value: Any) -> str:
    """Compact JSON, as :func:`protocol.codec.encode` writes it.  Raises ``ValueError`` for what JSON cannot hold."""
    return _ENCODER.encode(value)


class InvalidValueError(ValueError):
    """A value is not what its field allows.

    ``message`` completes a sentence that begins with the field's name.  ``path`` leads from the value that was
    checked to the part of it that is wrong: names as on the wire, and indices.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class OversizedError(InvalidValueError):
    """A value is larger than its field allows, which is refused even where nobody would have used it."""


class Constraint(Protocol):
    """A rule for one value."""

    def check(self, value: Any) -> Any:
        """Return the value to use; raises :exc:`InvalidValueError`."""

    def json_schema(self) -> Json:
        """The keywords that say the same in JSON Schema, as far as it can."""


@frozen
class Range:
    """A number between two bounds, both allowed."""

    minimum: int
    maximum: int

    def check(self, value: Any) -> Any:
        if not self.minimum <= value <= self.maximum:
            raise InvalidValueError(f"must be between {self.minimum} and {self.maximum}")
        return value

    def json_schema(self) -> Json:
        return {"minimum": self.minimum, "maximum": self.maximum}


@frozen
class Whole:
    """A number that may be written with a fraction of zero: JSON makes no difference between 5 and 5.0.

    It is applied before the type is checked, so that everything behind it sees an integer.
    """

    def check(self, value: Any) -> Any:
        return int(value) if type(value) is float and value.is_integer() else value

    def json_schema(self) -> Json:
        return {}


@frozen
class Skipping:
    """An array or a map of which each part that cannot be read is left out, unless it is too large."""

    def check(self, value: Any) -> Any:
        return value

    def json_schema(self) -> Json:
        return {}


@frozen
class Characters:
    """A text's length in code points, bounds included."""

    minimum: int
    maximum: int

    def check(self, value: Any) -> Any:
        if not self.minimum <= len(value) <= self.maximum:
            error = OversizedError if len(value) > self.maximum else InvalidValueError
            raise error(f"must have {self.minimum} to {self.maximum} characters")
        return value

    def json_schema(self) -> Json:
        return {"minLength": self.minimum, "maxLength": self.maximum}


@frozen
class Items:
    """How many elements an array, or members an object, has; bounds included."""

    minimum: int
    maximum: int

    def check(self, value: Any) -> Any:
        if not self.minimum <= len(value) <= self.maximum:
            error = OversizedError if len(value) > self.maximum else InvalidValueError
            raise error(f"must have {self.minimum} to {self.maximum} entries")
        return value

    def json_schema(self) -> Json:
        return {"minItems": self.minimum, "maxItems": self.maximum}


@frozen
class Members:
    """How many members an object used as a map has, and how long their names are at most."""

    maximum: int
    name_characters: int

    def check(self, value: Any) -> Any:
        if len(value) > self.maximum:
            raise OversizedError(f"must have at most {self.maximum} members")
        if any(len(name) > self.name_characters for name in value):
            raise OversizedError(f"must have member names of at most {self.name_characters} characters")
        return value

    def json_schema(self) -> Json:
        return {"maxProperties": self.maximum, "propertyNames": {"maxLength": self.name_characters}}


@frozen
class Pattern:
    """A text that matches a regular expression from end to end (one that ECMA-262 reads the same way)."""

    expression: str
    rule: str
    _compiled: re.Pattern[str] = field(init=False, eq=False, repr=False)

    @_compiled.default
    def _compile(self) -> re.Pattern[str]:
        return re.compile(self.expression)

    def check(self, value: Any) -> Any:
        if not self._compiled.fullmatch(value):
            raise InvalidValueError(self.rule)
        return value

    def json_schema(self) -> Json:
        return {"pattern": f"^(?:{self.expression})$"}


@frozen
class Trimmed:
    """A text without white space around it: taken off, not refused."""

    def check(self, value: Any) -> Any:
        return value.strip()

    def json_schema(self) -> Json:
        return {}


@frozen
class EncodedSize:
    """JSON of at most so many bytes, written compactly in UTF-8."""

    maximum: int

    def check(self, value: Any) -> Any:
        if len(compact_json(value).encode()) > self.maximum:
            raise InvalidValueError(f"must not be larger than {self.maximum} bytes of JSON")
        return value

    def json_schema(self) -> Json:
        return {"description": f"at most {self.maximum} bytes as compact JSON in UTF-8"}


def split_annotated(hint: Any) -> tuple[Any, list[Constraint]]:
    """Take a type hint apart into the type and the rules for its values, in the order in which they apply."""
    if get_origin(hint) is not Annotated:
        return hint, []
    bare, *rules = get_args(hint)
    return bare, rules


IGNORABLE: Final = {"ignorable": True}
"""Metadata of an attrs field that nothing here depends on: what does not fit is as good as absent.

It is refused all the same where it is too large.
"""


def without_none(hint: Any) -> Any:
    """The type of a field when it is there, where None stands for its being left out."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    members = tuple(member for member in get_args(hint) if member is not type(None))
    return members[0] if len(members) == 1 else Union[members]  # noqa: UP007 - made at run time


def wire_name(name: str) -> str:
    """The camelCase name on the wire of a snake_case field; ``from_`` is ``from``."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
