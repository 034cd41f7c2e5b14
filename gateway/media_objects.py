"""Conversion of media objects between the classes of ``protocol`` and those of ``sfu``.

Neither package imports the other, but both give their fields the same names. Only this module imports both.
"""

import types
import typing
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import attrs

import sfu
import sfu.errors
from protocol.codec import to_json
from protocol.errors import ErrorCode, RequestError
from protocol.media import RtpParameters
from sfu.ortc import ConsumerPlan

T = TypeVar("T")


def convert(value: object, target: type[T]) -> T:
    """Convert ``value`` and everything in it to the attrs class ``target``, field by field.

    The result has only the fields of ``target``. Fields that ``value`` lacks keep their defaults.
    """
    return cast(T, _converter(cast(Any, target))(value))


@cache
def _converter(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _converter(arguments[0])
    if origin is tuple:
        element = _converter(arguments[0])
        return lambda values: tuple(map(element, values))
    if origin in (types.UnionType, typing.Union):
        classes = [argument for argument in arguments if attrs.has(argument)]
        if classes:
            inner = _converter(classes[0])
            return lambda value: None if value is None else inner(value)
    return _object_converter(hint) if isinstance(hint, type) and attrs.has(hint) else _as_it_is


def parameters_of(consumer: sfu.Consumer) -> RtpParameters:
    """Return the parameters of a new consumer for its receiver, ready to be encoded.

    A client that joins a large channel makes hundreds of consumers, most of them with the same plan. So this converts
    the parameters of each plan once, and replaces the fields that differ between consumers.
    """
    own = consumer.take_rtp_parameters()
    plain = _plain_parameters.get(consumer.plan)
    if plain is None:
        plain = _plain_parameters[consumer.plan] = to_json(convert(own, RtpParameters))
    [encoding], [plain_encoding] = own.encodings, plain["encodings"]
    rtx = {} if encoding.rtx is None else {"rtx": {"ssrc": encoding.rtx.ssrc}}
    changed = {
        "mid": own.mid,
        "encodings": [{**plain_encoding, "ssrc": encoding.ssrc, **rtx}],
        "rtcp": {**plain["rtcp"], "cname": own.rtcp.cname},
        "msid": own.msid,
    }
    # The encoder writes plain values unchanged.
    return cast(RtpParameters, {**plain, **changed})


_plain_parameters: "WeakKeyDictionary[ConsumerPlan, dict[str, Any]]" = WeakKeyDictionary()


def _as_it_is(value: Any) -> Any:
    return value


def _object_converter(target: type[attrs.AttrsInstance]) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(target, include_extras=True)
    fields = [(field.name, _converter(hints[field.name])) for field in attrs.fields(target)]

    def build(value: Any) -> Any:
        return target(**{name: inner(getattr(value, name)) for name, inner in fields if hasattr(value, name)})

    return build


_CODES: dict[type[sfu.errors.SfuError], ErrorCode] = {
    sfu.errors.Unsupported: ErrorCode.UNSUPPORTED,
    sfu.errors.NotFound: ErrorCode.NOT_FOUND,
    sfu.errors.Conflict: ErrorCode.CONFLICT,
    sfu.errors.LimitExceeded: ErrorCode.LIMIT_EXCEEDED,
    sfu.errors.WrongDirection: ErrorCode.CONFLICT,
}


@contextmanager
def request_errors(media_object: str | None = None) -> "typing.Iterator[None]":
    """Turn an exception of ``sfu`` into a :exc:`RequestError`.

    ``media_object`` is the wire name of the request's field with the media object. An ``invalid`` error has this name
    in its path.
    """
    try:
        yield
    except sfu.errors.InvalidParameters as error:
        path = ".".join(part for part in ("data", media_object, error.path) if part)
        raise RequestError(ErrorCode.INVALID, str(error), path) from error
    except sfu.errors.SfuError as error:
        raise RequestError(_CODES[type(error)], str(error)) from error
