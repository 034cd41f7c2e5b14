"""The servers and browsers of this machine that can take part."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from tools.bench import BenchError
from tools.bench.calls import gateway_server, janus_server, livekit_server
from tools.bench.calls.server import Contestant
from tools.bench.command import Progress, available
from tools.chromium import find_chromium
from tools.firefox import find_firefox

FIREFOX: Final = "firefox"
_FINDERS: Final[dict[str, Callable[[], Contestant]]] = {
    "gateway": gateway_server.find,
    "janus": janus_server.find,
    "livekit": livekit_server.find,
}


def contestants(
    only: Sequence[str] | None, progress: Progress, names: Sequence[str] = tuple(_FINDERS)
) -> list[Contestant]:
    """Return the contestants for Chromium, of ``names``.  Print which of them cannot take part, and why."""
    return [*available({name: _FINDERS[name] for name in names}, only, progress).values()]


def browsers(only: Sequence[str] | None, progress: Progress) -> dict[str, str]:
    """Return the versions of the browsers.  Raises :exc:`BenchError` without Chromium."""
    versions = {}
    for name, find in (("chromium", find_chromium), (FIREFOX, find_firefox)):
        try:
            shown = subprocess.run([find(), "--version"], capture_output=True, text=True, timeout=30, check=False)
            versions[name] = shown.stdout.strip().partition(" built")[0]
        except FileNotFoundError as error:
            if name != FIREFOX:
                raise BenchError(str(error)) from error
            progress.say(f"without Firefox: {error}")
    if only is not None and FIREFOX not in only:
        versions.pop(FIREFOX, None)
    return versions
