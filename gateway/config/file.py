"""Configuration files: TOML, read strictly. They may have no unknown key and no value of another type."""

import difflib
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args, get_origin

import cattrs

from gateway.config.config import SETTINGS, is_secret
from protocol.vocabulary import IceServer


class ConfigError(Exception):
    """A configuration that cannot be used. The message gives the place and the reason in one line."""


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the settings of a file, and check that each is known and of the right type.

    Raises :exc:`ConfigError` for the first mistake.
    """
    settings, mistakes = examine_config_file(path)
    if mistakes:
        raise ConfigError(mistakes[0])
    return settings


def examine_config_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the settings of a file. Return those that are known and of the right type, and a line for each mistake.

    Raises :exc:`ConfigError` for a file that cannot be read as a whole.
    """
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except ValueError:
        raise ConfigError(f"{path} has a number with too many digits") from None
    except RecursionError:
        raise ConfigError(f"{path} nests too deeply") from None
    settings, mistakes = {}, []
    for key, value in read.items():
        try:
            _check_setting(key, value)
        except ConfigError as mistake:
            mistakes.append(f"{path}: {mistake}")
        else:
            settings[key] = value
    return settings, mistakes


def _check_setting(key: str, value: Any) -> None:
    """Raises :exc:`ConfigError`."""
    if key not in _KNOWN:
        meant = closest_name(key, _KNOWN)
        raise ConfigError(f"unknown key {key!r}" + (f"; did you mean {meant!r}?" if meant else ""))
    try:
        _STRICT.structure(value, cast(Any, _KNOWN[key].type))
    except Exception as error:  # cattrs raises many exceptions, none of which helps the author of the file
        shown = "" if is_secret(_KNOWN[key]) or key == "ice_servers" else f", not {value!r}"
        raise ConfigError(f"{key} must be {_in_words(_KNOWN[key].type)}{shown}") from error


def closest_name(key: str, known: Iterable[str]) -> str | None:
    """Return the known name (in lower case) that ``key`` probably means. None if no name is similar."""
    return next(iter(difflib.get_close_matches(key.replace("-", "_").lower(), list(known), n=1)), None)


def _is_tuple(type_: Any) -> bool:
    return get_origin(type_) is tuple


def _exactly(*accepted: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) not in accepted:
            raise TypeError
        return value

    return structure


def _path(value: Any, _: Any) -> Path:
    if not isinstance(value, str):
        raise TypeError
    return Path(value)


def _strict_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(str, _exactly(str))
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(float, _exactly(int, float))
    converter.register_structure_hook(Path, _path)

    def structure_list(value: Any, type_: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError
        return tuple(converter.structure(item, get_args(type_)[0]) for item in value)

    converter.register_structure_hook_func(_is_tuple, structure_list)
    return converter


_KNOWN: Final = {setting.name: setting for setting in SETTINGS}
_STRICT: Final = _strict_converter()
_WORDS: Final = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    Path: "a path, as a string",
    tuple[str, ...]: "a list of strings",
    tuple[IceServer, ...]: "a list of tables, each with urls (a list) and optionally username and credential",
}


def _in_words(type_: Any) -> str:
    if type_ in _WORDS:
        return _WORDS[type_]
    chosen = next(part for part in get_args(type_) if part is not type(None))
    if get_origin(chosen) is Literal:
        return "one of " + ", ".join(map(repr, get_args(chosen)))
    return _WORDS[chosen]
