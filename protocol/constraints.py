"""Constraints on the values of fields beyond their type, attached to the type with ``typing.Annotated``.

Decoding, the JSON Schema and the generators of the tests all read them, so each limit is written once.
"""

import json
import re
import unicodedata
from types import UnionType
from typing import Annotated, Any, Final, Protocol, Union, get_args, get_origin

from attrs import field, frozen

from protocol.invisible import first_invisible

Json = dict[str, Any]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact_json(value: Any) -> str:
    """Return compact JSON, as :func:`protocol.codec.encode` writes it. Raises ``ValueError`` if JSON cannot hold a
    value."""
    return _ENCODER.encode(value)


class InvalidValueError(ValueError):
    """A field does not allow this value.

    ``message`` completes a sentence that begins with the field's name. ``path`` leads from the checked value to its
    wrong part, with wire names and indices.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class OversizedError(InvalidValueError):
    """A value is larger than its field allows. Decoding refuses it even if it would ignore the content."""


class Constraint(Protocol):
    """A rule for one value."""

    def check(self, value: Any) -> Any:
        """Return the value to use. Raises :exc:`InvalidValueError`."""

    def json_schema(self) -> Json:
        """Return the JSON Schema keywords for the rule, as far as JSON Schema can express it."""


@frozen
class Range:
    """A number between two limits, both allowed."""

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
    """A number that may have a fraction of zero, since JSON does not distinguish 5 from 5.0.

    It applies before the type is checked, so that every later check sees an integer.
    """

    def check(self, value: Any) -> Any:
        return int(value) if type(value) is float and value.is_integer() else value

    def json_schema(self) -> Json:
        return {}


@frozen
class Skipping:
    """An array or a map. Decoding leaves out its unreadable parts, and refuses parts that are too large."""

    def check(self, value: Any) -> Any:
        return value

    def json_schema(self) -> Json:
        return {}


@frozen
class Characters:
    """The length of a text in code points, both limits allowed."""

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
    """The number of elements of an array, both limits allowed."""

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
    """The largest number of members of a map, and the largest length of their names."""

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
    """A text that matches a whole regular expression. ECMA-262 must read the expression the same way."""

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
    """A text. Decoding removes the white space around it."""

    def check(self, value: Any) -> Any:
        return value.strip()

    def json_schema(self) -> Json:
        return {}


@frozen
class Visible:
    """A text without invisible and bidirectional control characters."""

    def check(self, value: Any) -> Any:
        if (found := first_invisible(value)) is not None:
            raise InvalidValueError(f"must hold no invisible characters, such as {found}")
        return value

    def json_schema(self) -> Json:
        return {"description": "without invisible characters"}


@frozen
class Normalised:
    """A text. Decoding brings it into Unicode's normal form C (NFC), so that equal texts look equal and are equal.

    ``maximum`` bounds its length before that, because the time for normalising grows with the square of the length.
    """

    maximum: int

    def check(self, value: Any) -> Any:
        if len(value) > self.maximum:
            raise OversizedError(f"must have at most {self.maximum} characters before normalising (NFC)")
        return unicodedata.normalize("NFC", value)

    def json_schema(self) -> Json:
        return {}


@frozen
class EncodedSize:
    """A limit on the size of a value as compact JSON in UTF-8."""

    maximum: int

    def check(self, value: Any) -> Any:
        if len(compact_json(value).encode()) > self.maximum:
            raise InvalidValueError(f"must not be larger than {self.maximum} bytes of JSON")
        return value

    def json_schema(self) -> Json:
        return {"description": f"at most {self.maximum} bytes as compact JSON in UTF-8"}


def split_annotated(hint: Any) -> tuple[Any, list[Constraint]]:
    """Split a type hint into the type and the rules for its values, in the order in which they apply."""
    if get_origin(hint) is not Annotated:
        return hint, []
    bare, *rules = get_args(hint)
    return bare, rules


IGNORABLE: Final = {"ignorable": True}
"""Metadata of an attrs field that the gateway does not depend on. A wrong value counts as absent.

Decoding still refuses a value that is too large.
"""


def without_none(hint: Any) -> Any:
    """Return the type of a field's value. In the type of the field itself, None means that the field is absent."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    members = tuple(member for member in get_args(hint) if member is not type(None))
    return members[0] if len(members) == 1 else Union[members]  # noqa: UP007 - made at run time


def wire_name(name: str) -> str:
    """Return the camelCase wire name of a snake_case field. ``from_`` becomes ``from``."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
