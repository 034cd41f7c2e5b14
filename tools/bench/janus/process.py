"""A Janus that the bench starts as a process, with a configuration that it writes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import define

from tools.bench import BenchError
from tools.servers import ServerProcess, accepts, running

#: Where ``tools/bench/install_janus.sh`` unpacks the package for ``make bench``.
UNPACKED: Final = Path(".stamps/janus")
WEBSOCKET_PORT: Final = 8188
ROOM: Final = 1

_CORE: Final = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  # Errors and warnings.
  debug_level = 3
  debug_timestamps = true
}}
nat: {{
  ice_lite = true
  # As our gateway: one address needs no gathering.
  ice_enforce_list = "{host}"
}}
"""

_VIDEOROOM: Final = """
general: {{ events = false }}
room-{room}: {{
  description = "bench"
  publishers = 1000
  audiocodec = "opus"
  videocodec = "vp8"
  # No cap on the bitrate, and no key frame requests on a timer.
  bitrate = 0
  fir_freq = 0
  record = false
}}
"""

_WEBSOCKETS: Final = """
general: {{
  json = "compact"
  ws = true
  ws_port = {port}
  ws_ip = "{host}"
  wss = false
}}
admin: {{ admin_ws = false }}
"""


class NoJanus(BenchError):
    """No Janus is installed."""


@define(eq=False)
class JanusProcess(ServerProcess):
    """A running Janus. :func:`running_janus` makes it. ``address`` is the address of its WebSocket API."""

    address: tuple[str, int] = ("", WEBSOCKET_PORT)


@define
class Installed:
    """An installed Janus. ``modules`` is the folder of its plugins and transports."""

    binary: Path
    modules: Path

    def version(self) -> str:
        """The version, such as ``1.1.2``."""
        shown = subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
        return shown.stdout.partition("(")[2].partition(")")[0]


def find() -> Installed:
    """Return the Janus that ``make bench`` unpacked, or the system's.  Raises :exc:`NoJanus`."""
    for binary in (UNPACKED / "usr/bin/janus", Path(shutil.which("janus") or "/usr/bin/janus")):
        if binary.exists() and (found := _modules(binary.absolute())) is not None:
            return Installed(binary.absolute(), found)
    raise NoJanus("there is no Janus here. `make bench` gets it on systems with Debian's packages")


def _modules(binary: Path) -> Path | None:
    library = binary.parent.parent / "lib"
    return next((one.parent.parent for one in library.glob("**/janus/plugins/libjanus_videoroom.so*")), None)


def write_configuration(folder: Path, installed: Installed, host: str) -> None:
    """Write everything that Janus reads into an empty folder, and link the two modules that it needs."""
    for kind, module in (("plugins", "libjanus_videoroom.so"), ("transports", "libjanus_websockets.so")):
        (folder / kind).mkdir()
        (folder / kind / module).symlink_to(installed.modules / kind / module)
    (folder / "janus.jcfg").write_text(_CORE.format(folder=folder, host=host))
    (folder / "janus.plugin.videoroom.jcfg").write_text(_VIDEOROOM.format(room=ROOM))
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=WEBSOCKET_PORT, host=host))


@asynccontextmanager
async def running_janus(host: str, prefix: Sequence[str]) -> AsyncIterator[JanusProcess]:
    """Run a Janus that listens at ``host`` for as long as the block runs; ``prefix`` runs it there.

    Raises :exc:`NoJanus`.
    """
    installed = find()
    with tempfile.TemporaryDirectory(prefix="bench-janus-") as name:
        folder = Path(name)
        write_configuration(folder, installed, host)
        command = (*prefix, str(installed.binary), f"--configs-folder={folder}", f"--config={folder}/janus.jcfg")
        address = (host, WEBSOCKET_PORT)
        async with running(JanusProcess, "Janus", command, lambda _: accepts(address)) as janus:
            janus.address = address
            yield janus
