"""Builds and runs the floor, a program in Rust (``tools/bench/floor``) that only encrypts and sends."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tools.bench import BenchError
from tools.bench.beside.scenarios import CallScenario

SOURCE: Final = Path(__file__).parents[1] / "floor"
#: The folder, outside the sources, into which ``make bench`` builds the floor.
BUILT: Final = Path(".stamps/floor")
BUILD_SECONDS: Final = 300.0
MASTER_KEY: Final = 16
MASTER_SALT: Final = 12
_LABEL_KEY, _LABEL_SALT = 0, 2
_SPARE_SECONDS: Final = 20.0


class NoFloor(BenchError):
    """The floor cannot be built or run here. The text says why."""


@frozen
class FloorResult:
    """The result of one run.

    It sent ``packets`` in ``sends`` calls, and ``received`` of them arrived. ``cpu`` is in seconds.
    """

    packets: int
    sends: int
    cpu: float
    received: int = 0

    @property
    def cpu_per_packet(self) -> float:
        return self.cpu / self.packets

    @property
    def loss(self) -> float:
        return 1 - self.received / self.packets


def build() -> str:
    """Build the program if it is not up to date, and return its path. Raises :exc:`NoFloor`."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NoFloor("the floor is a program in Rust, and there is no cargo (https://rustup.rs, or apt install cargo)")
    # Absolute, since cargo resolves a relative path from the manifest's folder.
    command = [cargo, "build", "--quiet", "--release", "--manifest-path", str(SOURCE / "Cargo.toml")]
    command += ["--target-dir", str(BUILT.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise NoFloor(f"the floor cannot be built: {done.stderr.strip()}")
    return str(BUILT.absolute() / "release/bench-floor")


def session_keys(master: bytes) -> tuple[bytes, bytes]:
    """Derive RTP's session key and salt from ``master``, which is the master key followed by the master salt.

    RFC 3711 section 4.3, RFC 7714 section 11.
    """
    # Pad the salt on the right to 112 bits. The label goes above the 48 bits of the index, which is zero.
    key, salt = algorithms.AES(master[:MASTER_KEY]), int.from_bytes(master[MASTER_KEY:].ljust(14, b"\0"))
    counters = [(salt ^ label << 48) << 16 for label in (_LABEL_KEY, _LABEL_SALT)]
    streams = [Cipher(key, modes.CTR(counter.to_bytes(16))).encryptor() for counter in counters]
    return streams[0].update(bytes(MASTER_KEY)), streams[1].update(bytes(MASTER_SALT))


def plan(
    scenario: CallScenario, seconds: float, receivers: Sequence[tuple[tuple[str, int], bytes]], *, segmented: bool
) -> str:
    """Return the plan that the floor reads: the packets that a server sends in this scenario.

    ``receivers`` has an address and a master key for each member. The streams begin at the same phases as those of
    :func:`tools.bench.beside.call.send`.
    """
    flows = [(publisher, loop) for publisher in range(scenario.publishers) for loop in scenario.streams]
    streams = [
        {
            "period": round(1e9 / loop.rate),
            "phase": round(1e9 / loop.rate * number / len(flows)),
            "burst": len(loop.frames[0].chunks),
            "size": loop.payload_size,
            "receivers": scenario.receivers_of(publisher),
        }
        for number, (publisher, loop) in enumerate(flows)
    ]
    keyed = []
    for (host, port), master in receivers:
        key, salt = session_keys(master)
        keyed.append({"address": f"{host}:{port}", "key": list(key), "salt": list(salt)})
    return json.dumps({"seconds": seconds, "segmented": segmented, "receivers": keyed, "streams": streams})


async def run(program: str, prefix: Sequence[str], text: str, seconds: float) -> FloorResult:
    """Run a plan that takes ``seconds``; ``prefix`` runs it at the server's end. Raises :exc:`NoFloor`."""
    run = partial(trio.run_process, stdin=text.encode(), capture_stdout=True, capture_stderr=True, check=False)
    with trio.fail_after(seconds + _SPARE_SECONDS):
        done = await run([*prefix, program])
    if done.returncode != 0:
        raise NoFloor(f"the floor failed: {done.stderr.decode(errors='replace').strip()}")
    return FloorResult(**json.loads(done.stdout))
