"""The targets.  Each module has a function ``check``, which takes any bytes and fails if a promise does not hold.

``MUTATE_JSON`` says that its inputs are JSON, so that a mutation replaces a value more often than a byte.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Final

from attrs import frozen

NAMES: Final = (
    "addresses",
    "config_file",
    "dtls",
    "gateway_frames",
    "http",
    "media",
    "requests",
    "tokens",
    "websocket",
)


@frozen
class Target:
    """A target by its name."""

    name: str
    check: Callable[[bytes], None]
    mutate_json: bool


def load(name: str) -> Target:
    """Import a target."""
    module = import_module(f"tests.fuzz.targets.{name}")
    return Target(name, module.check, getattr(module, "MUTATE_JSON", False))
