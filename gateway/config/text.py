"""A configuration as text, with the explanation of each setting."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from docstring_parser import parse_from_object

from gateway.config.config import SETTINGS, Config, is_secret
from protocol.vocabulary import IceServer

_MASK: Final = "********"
_WIDTH: Final = 100


def explanations() -> dict[str, str]:
    """Return the explanation of each setting."""
    return {found.arg_name: " ".join((found.description or "").split()) for found in parse_from_object(Config).params}


def show_config(config: Config) -> str:
    """Return the configuration as TOML. A setting without a value is a comment, and secrets appear as asterisks."""
    return "\n".join(_lines(config))


def _lines(config: Config) -> Iterator[str]:
    meaning = explanations()
    for setting in SETTINGS:
        yield from textwrap.wrap(meaning[setting.name], _WIDTH, initial_indent="# ", subsequent_indent="# ")
        value = getattr(config, setting.name)
        if value is None:
            yield f"# {setting.name} ="
        else:
            yield f"{setting.name} = {_toml(_MASK if is_secret(setting) else value)}"
        yield ""


def _toml(value: Any) -> str:
    if isinstance(value, IceServer):
        masked = attrs.evolve(value, credential=_MASK) if value.credential is not None else value
        present = {name: item for name, item in attrs.asdict(masked, recurse=False).items() if item is not None}
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in present.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | Path):
        # TOML forbids one character that JSON allows.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
