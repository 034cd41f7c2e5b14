"""Strict conversion of parsed JSON to message classes, without coercion. An error has the path of the wrong part.

cattrs makes the code that fills a class. Its own conversions coerce values, so the hooks here replace them all. Every
hook raises :exc:`protocol.constraints.InvalidValueError` and nothing else.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from protocol.constraints import (
    IGNORABLE,
    Constraint,
    InvalidValueError,
    OversizedError,
    Skipping,
    Whole,
    split_annotated,
    wire_name,
    without_none,
)
from protocol.media import MEDIA_CLASSES

T = TypeVar("T")
_Place = TypeVar("_Place", str, int)
Hook = Callable[[Any, Any], Any]

_converter = Converter(detailed_validation=True)


def structure(value: Any, cls: type[T]) -> T:
    """Make a message of class ``cls`` from parsed JSON. It ignores unknown members.

    Raises :exc:`InvalidValueError`, whose path leads from ``value`` to the fault.
    """
    return cast(T, hook_for(cls)(value, cls))


def hook_for(hint: Any) -> Hook:
    """Return the function that checks and converts values of a type."""
    return _converter.get_structure_hook(hint)


def _exactly(types: tuple[type, ...], words: str) -> Hook:
    # not isinstance(): True is an int to it
    def check(value: Any, _: Any) -> Any:
        if type(value) not in types:
            raise InvalidValueError(f"must be {words}")
        return value

    return check


def _annotated(hint: Any) -> Hook:
    bare, rules = split_annotated(hint)
    if get_origin(bare) is tuple:
        return _array(bare, rules)
    if get_origin(bare) is dict:
        return _map(bare, rules)
    inner = hook_for(bare)
    # Whole is the only rule that applies before the check of the type.
    first = [rule for rule in rules if isinstance(rule, Whole)]
    then = [rule for rule in rules if not isinstance(rule, Whole)]

    def check(value: Any, _: Any) -> Any:
        for whole in first:
            value = whole.check(value)
        checked = inner(value, bare)
        for rule in then:
            checked = rule.check(checked)
        return checked

    return check


def _array(hint: Any, rules: Sequence[Constraint] = ()) -> Hook:
    element = get_args(hint)[0]
    inner = hook_for(element)
    skipping = Skipping() in rules

    def check(value: Any, _: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise InvalidValueError("must be an array")
        for rule in rules:  # Check the limits before the elements, which may be many.
            rule.check(value)
        if skipping:
            return tuple(part for _, part in _parts(inner, enumerate(value), element, skipping))
        # Most arrays skip no elements. For these, this loop takes half as long.
        parts: list[Any] = []
        try:
            for part in value:
                parts.append(inner(part, element))  # If this raises, their number is the index of the bad element.
        except InvalidValueError as error:
            raise type(error)(error.message, len(parts), *error.path) from None
        return tuple(parts)

    return check


def _map(hint: Any, rules: Sequence[Constraint] = ()) -> Hook:
    element = get_args(hint)[1]
    inner = None if element is Any else hook_for(element)
    skipping = Skipping() in rules

    def check(value: Any, _: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise InvalidValueError("must be an object")
        for rule in rules:
            rule.check(value)
        if inner is None:
            return value
        # Only media objects have maps with checked values, and there null means absent.
        present = ((name, part) for name, part in value.items() if part is not None)
        return dict(_parts(inner, present, element, skipping))

    return check


def _parts(inner: Hook, parts: Iterable[tuple[_Place, Any]], hint: Any, skipping: bool) -> Iterator[tuple[_Place, Any]]:
    """Yield each converted part with its place. With ``skipping``, leave out unreadable parts."""
    for place, part in parts:
        try:
            yield place, _part(inner, part, hint, place)
        except InvalidValueError as error:
            if not skipping or isinstance(error, OversizedError):
                raise


def _part(inner: Hook, value: Any, hint: Any, place: str | int) -> Any:
    try:
        return inner(value, hint)
    except InvalidValueError as error:
        raise type(error)(error.message, place, *error.path) from None


def _literal(hint: Any) -> Hook:
    choices = get_args(hint)
    words = "must be one of " + ", ".join(choices)

    def check(value: Any, _: Any) -> Any:
        if type(value) is not str or value not in choices:
            raise InvalidValueError(words)
        return value

    return check


def _enumeration(cls: type[enum.StrEnum]) -> Hook:
    members = {member.value: member for member in cls}
    words = "must be one of " + ", ".join(members)

    def check(value: Any, _: Any) -> Any:
        if type(value) is not str or value not in members:
            raise InvalidValueError(words)
        return members[value]

    return check


def _union(hint: Any) -> Hook:
    hooks: dict[type, tuple[Hook, Any]] = {}
    for member in get_args(hint):
        bare, _ = split_annotated(member)
        json_type = dict if attrs.has(bare) else bare
        hooks[json_type] = (_exactly((type(None),), "null") if bare is type(None) else hook_for(member), member)

    def check(value: Any, _: Any) -> Any:
        chosen = hooks.get(type(value))
        if chosen is None:
            names = ("null" if cls is type(None) else _JSON_NAMES[cls] for cls in hooks)
            raise InvalidValueError("must be " + " or ".join(dict.fromkeys(names)))
        hook, member = chosen
        return hook(value, member)

    return check


def _object(cls: type[attrs.AttrsInstance]) -> Hook:
    hints = get_type_hints(cls, include_extras=True)
    overrides: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        hint = hints[attribute.name]
        hook = hook_for(without_none(hint) if attribute.default is None else hint)
        if attribute.metadata == IGNORABLE:
            hook = _ignoring(hook, attribute.default)
        overrides[attribute.name] = override(rename=wire_name(attribute.name), struct_hook=hook)
    fill = make_dict_structure_fn(cls, _converter, **overrides)
    null_is_absent = cls in MEDIA_CLASSES
    used_members = getattr(cls, "used_members", None)  # Whether a member counts may depend on another member.

    def check(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise InvalidValueError("must be an object")
        if null_is_absent:
            value = {name: part for name, part in value.items() if part is not None}
        if used_members is not None:
            value = used_members(value)
        try:
            return fill(value, cls)
        except ClassValidationError as group:
            raise _first_fault(group) from None

    return check


def _ignoring(inner: Hook, default: Any) -> Hook:
    factory = default.factory if isinstance(default, attrs.Factory) else lambda: default  # type: ignore[arg-type]

    def check(value: Any, hint: Any) -> Any:
        try:
            return inner(value, hint)
        except OversizedError:
            raise
        except InvalidValueError:
            return factory()

    return check


def _first_fault(group: ClassValidationError) -> InvalidValueError:
    """Return the first fault in a field, or else the fault that the class found across its fields."""
    in_fields, in_class = group.group_exceptions()
    if not in_fields:
        (error,) = in_class
        if not isinstance(error, InvalidValueError):
            raise error
        return error
    error, note = in_fields[0]
    place = wire_name(note.name)
    if isinstance(error, KeyError):
        return InvalidValueError("is missing", place)
    if not isinstance(error, InvalidValueError):
        raise error
    return type(error)(error.message, place, *error.path)


_JSON_NAMES: dict[type, str] = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
}


def _is_enumeration(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.StrEnum)


def _is(wanted: Any) -> Callable[[Any], bool]:
    return lambda hint: hint is wanted


def _is_made_from(*origins: Any) -> Callable[[Any], bool]:
    return lambda hint: get_origin(hint) in origins


for _cls, _check in (
    (str, _exactly((str,), "a string")),
    (int, _exactly((int,), "an integer")),
    (float, _exactly((int, float), "a number")),
    (bool, _exactly((bool,), "true or false")),
):
    _converter.register_structure_hook(_cls, _check)
_converter.register_structure_hook_func(_is(Any), lambda value, _: value)
_converter.register_structure_hook_factory(_is_enumeration, _enumeration)
_converter.register_structure_hook_factory(_is_made_from(Union, UnionType), _union)
_converter.register_structure_hook_factory(_is_made_from(Literal), _literal)
_converter.register_structure_hook_factory(_is_made_from(tuple), _array)
_converter.register_structure_hook_factory(_is_made_from(dict), _map)
_converter.register_structure_hook_factory(_is_made_from(Annotated), _annotated)
_converter.register_structure_hook_factory(attrs.has, _object)
