"""The clients: how to build each, which version it is, and which scenarios it can play."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from tools.interop.scenario import Scenario

Command = tuple[str, ...]

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parent.parent
_BUILT: Final = _ROOT / ".stamps" / "interop"
_BUILDS_WITHIN: Final = 1200.0
# GStreamer's Python bindings belong to the system's Python.
_SYSTEM_PYTHON: Final = "/usr/bin/python3"


class CannotBuild(Exception):
    """A client cannot be built.  The text says what is missing or what failed."""


@frozen
class ForeignClient:
    """A client on another WebRTC stack.

    ``build`` returns the command that runs it, or raises :exc:`CannotBuild`.  ``version`` may be called after that.
    ``why_not`` returns the reason why the stack cannot play a scenario, or None if it can.  ``clock`` says whether the
    stack's sender reports agree with its packets.
    """

    name: str
    build: Callable[[], Awaitable[Command]]
    version: Callable[[], str]
    why_not: Callable[[Scenario], str | None] = lambda _: None
    clock: bool = True


async def _make(*command: str, folder: Path, **environment: str) -> str:
    """Run a step of a build, and return its output.  Raises :exc:`CannotBuild`."""
    if shutil.which(command[0]) is None:
        raise CannotBuild(f"there is no {command[0]}")
    with trio.move_on_after(_BUILDS_WITHIN):
        done = await trio.run_process(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            capture_stdout=True,
            capture_stderr=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip().splitlines() or ["it printed no error"]
            raise CannotBuild(f"{' '.join(command[:2])} failed: {words[-1]}")
        return done.stdout.decode()
    raise CannotBuild(f"{' '.join(command[:2])} took too long")


async def _build_pion() -> Command:
    program = str(_BUILT / "pion")
    await _make("go", "build", "-o", program, ".", folder=_HERE / "pion")
    return (program,)


async def _build_str0m() -> Command:
    folder, target = _HERE / "str0m", _BUILT / "str0m"
    await _make(str(_ROOT / "tools" / "cargo_lock.sh"), "write", "tools/interop/str0m", folder=_ROOT)
    await _make("cargo", "build", "--quiet", "--release", "--locked", folder=folder, CARGO_TARGET_DIR=str(target))
    return (str(target / "release" / "interop-str0m"),)


async def _build_with_npm(name: str) -> Command:
    folder = _HERE / name
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        await _make("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", folder=folder)
    await _make("node", "--version", folder=folder)
    return ("node", str(folder / "main.js"))


async def _build_gstreamer() -> Command:
    program = (_SYSTEM_PYTHON, str(_HERE / "gstreamer" / "main.py"))
    await _make(*program, "--version", folder=_HERE)
    return program


async def _build_aiortc() -> Command:
    await _make(sys.executable, "-c", "import pymediasoup", folder=_ROOT)
    return (sys.executable, "-m", "tools.interop.aiortc")


def _pinned(file: str, pattern: str) -> str:
    found = re.search(pattern, (_HERE / file).read_text())
    return found[1] if found else "unknown"


def _npm_version(folder: str, package: str) -> str:
    wanted = json.loads((_HERE / folder / "package.json").read_text())["dependencies"]
    return str(wanted[package])


def _gstreamer_version() -> str:
    done = subprocess.run(
        (_SYSTEM_PYTHON, str(_HERE / "gstreamer" / "main.py"), "--version"),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def _no_variations(**reasons: str) -> Callable[[Scenario], str | None]:
    """A ``why_not`` for a stack that cannot play these variations.  ``reasons`` has the reason for each."""
    return lambda scenario: reasons.get(scenario.variation)


def _why_not_libwebrtc(scenario: Scenario) -> str | None:
    if scenario.video != "video/VP8":
        return "this build of libwebrtc has no H264"
    if scenario.direction == "receive" and scenario.role == "server":
        return "it offers both roles, and libwebrtc always picks the client"
    return None if scenario.variation in ("", "long", "mute", "restart_ice") else "it makes its packets itself"


def _why_not_aiortc(scenario: Scenario) -> str | None:
    if scenario.direction == "receive":
        return "it decodes what it receives, which tests/interop covers with real media"
    if scenario.variation not in ("", "long") or scenario.role == "server" or scenario.video != "video/VP8":
        return "it chooses codec, role and packets itself"
    return None


_NO_TCP_HERE: Final = "the program opens UDP sockets alone"

CLIENTS: Final = (
    ForeignClient("Pion", _build_pion, lambda: _pinned("pion/go.mod", r"pion/webrtc/v4 v(\S+)")),
    ForeignClient(
        "str0m",
        _build_str0m,
        lambda: _pinned("str0m/Cargo.pins", r'name = "str0m"\nversion = "([^"]+)"'),
        _no_variations(
            padding="it decides itself when to pad", probes="it decides itself when to pad", tcp=_NO_TCP_HERE
        ),
    ),
    ForeignClient(
        "mediasoup-client",
        partial(_build_with_npm, "mediasoup_client"),
        partial(_npm_version, "mediasoup_client", "mediasoup-client"),
        _why_not_libwebrtc,
    ),
    ForeignClient(
        "werift",
        partial(_build_with_npm, "werift"),
        partial(_npm_version, "werift", "werift"),
        _no_variations(restart_ice="it starts no checks after a restart", tcp="it has no ICE over TCP"),
    ),
    ForeignClient(
        "GStreamer",
        _build_gstreamer,
        _gstreamer_version,
        _no_variations(restart_ice="webrtcbin cannot restart ICE", tcp="webrtcbin cannot leave UDP out"),
        clock=False,
    ),
    ForeignClient("aiortc", _build_aiortc, lambda: version("aiortc"), _why_not_aiortc),
)
