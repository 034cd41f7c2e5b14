"""Configuration files: a mistake is one line that names the place, and a good file reads back as it was."""

import tempfile
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs

from gateway.config import Config, text
from gateway.config.config import SETTINGS, is_secret
from gateway.config.file import _STRICT, ConfigError, read_config_file

_FOLDER: Final = tempfile.TemporaryDirectory(prefix="config")
_SECRETS: Final = {setting.name for setting in SETTINGS if is_secret(setting)}

# Reading the explanations takes a hundred times as long as everything else.
text.explanations = cache(text.explanations)


def check(data: bytes) -> None:
    file = Path(_FOLDER.name) / "gateway.toml"
    file.write_bytes(data)
    try:
        read = read_config_file(file)
    except ConfigError as error:
        assert str(file) in str(error)
        assert str(error).isprintable() or "\n" not in str(error)
        return
    assert set(read) <= {setting.name for setting in SETTINGS}
    types: dict[str, Any] = {setting.name: setting.type for setting in SETTINGS}
    try:
        config = Config(**{name: _STRICT.structure(value, types[name]) for name, value in read.items()})
    except (ValueError, TypeError):
        return
    _check_shown(config)


def _check_shown(config: Config) -> None:
    """What the gateway shows is TOML that gives the same configuration, but for the secrets."""
    shown = tomllib.loads(text.show_config(config))
    for name, value in shown.items():
        if name in _SECRETS:
            assert value == "********" or value == ["********"]
        elif name != "ice_servers":
            assert _plain(getattr(config, name)) == value, name


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return attrs.asdict(value) if attrs.has(type(value)) else str(value) if isinstance(value, Path) else value
