"""A Janus that the bench starts as a process, with a configuration that it writes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

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


def find() -> tuple[Path, Path]:
    """Return the Janus that ``make bench`` unpacked, or the system's, and the folder of its plugins and transports.

    Raises :exc:`NoJanus`.
    """
    for binary in (UNPACKED.absolute() / "usr/bin/janus", Path(shutil.which("janus") or "/usr/bin/janus")):
        for plugin in (binary.parent.parent / "lib").glob("**/janus/plugins/libjanus_videoroom.so*"):
            if binary.exists():
                return binary, plugin.parent.parent
    raise NoJanus("there is no Janus here. `make bench` gets it on systems with Debian's packages")


def version() -> str:
    """Return the version, such as ``1.1.2``. Raises :exc:`NoJanus`."""
    shown = subprocess.run([find()[0], "--version"], capture_output=True, text=True, timeout=10, check=False)
    return shown.stdout.partition("(")[2].partition(")")[0]


def _write_configuration(folder: Path, modules: Path, host: str) -> None:
    """Write everything that Janus reads into an empty folder, and link the two modules that it needs."""
    for kind, module in (("plugins", "libjanus_videoroom.so"), ("transports", "libjanus_websockets.so")):
        (folder / kind).mkdir()
        (folder / kind / module).symlink_to(modules / kind / module)
    (folder / "janus.jcfg").write_text(_CORE.format(folder=folder, host=host))
    (folder / "janus.plugin.videoroom.jcfg").write_text(_VIDEOROOM.format(room=ROOM))
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=WEBSOCKET_PORT, host=host))


@asynccontextmanager
async def running_janus(host: str, prefix: Sequence[str]) -> AsyncIterator[ServerProcess]:
    """Run a Janus for as long as the block runs, by ``prefix``. Its WebSocket API is at ``host`` and the usual port.

    Raises :exc:`NoJanus`.
    """
    binary, modules = find()
    with tempfile.TemporaryDirectory(prefix="bench-janus-") as name:
        folder = Path(name)
        _write_configuration(folder, modules, host)
        command = (*prefix, str(binary), f"--configs-folder={folder}", f"--config={folder}/janus.jcfg")
        async with running(ServerProcess, "Janus", command, lambda _: accepts((host, WEBSOCKET_PORT))) as janus:
            yield janus
