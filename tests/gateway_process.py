"""The gateway as people run it: in a process of its own, stopped by SIGTERM and observed from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from attrs import define

T = TypeVar("T")

ENVIRONMENT = dict(os.environ)
"""The environment of processes that a thread starts.  pytest keeps changing its own, and an ``exec`` that reads it at
that moment fails with EFAULT."""
_START_TIMEOUT = 20
_STOP_TIMEOUT = 10


def poll_until(look: Callable[[], T], is_right: Callable[[T], bool], within: float) -> T:
    """Call ``look`` until its value is right, and return that.  Fails after ``within`` seconds with the last value."""
    deadline = time.monotonic() + within
    while not is_right(seen := look()):
        assert time.monotonic() < deadline, f"after {within} s: {seen!r}"
        time.sleep(0.02)
    return seen


@define
class GatewayProcess:
    """A running gateway."""

    process: "subprocess.Popen[bytes]"
    log_file: Path
    url: str
    media: str

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def media_port(self) -> int:
        """The first media port."""
        return int(self.media.partition(",")[0].rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        """Return all events that the gateway has logged so far."""
        return _read_log(self.log_file)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the gateway.  Names include the labels, as Prometheus writes them."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def live(self) -> dict[str, int]:
        """Return the present numbers of sessions, channels, members and media objects."""
        figures = self.metrics()
        names = ("sessions", "channels", "members", "transports", "producers", "consumers", "routes")
        return {name: int(figures[f"sfu_{name}"]) for name in names}

    def open_files(self) -> list[str]:
        """Return the targets of the gateway's file descriptors.  A socket's target names its inode."""
        found = []
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                found.append(str(link.readlink()))
        return sorted(found)

    def becomes_empty(self, within: float = 3) -> None:
        """Wait until no call has left anything behind."""
        poll_until(self.live, lambda live: not any(live.values()), within)

    def stop(self) -> None:
        """Send SIGTERM.  The gateway has to end by itself, with status 0."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_STOP_TIMEOUT) == 0, self.log_file.read_text()


@contextmanager
def run_gateway(
    log_file: Path,
    *options: str,
    port: int = 0,
    media_port: int = 0,
    module: Sequence[str] = ("gateway",),
    shed: bool = False,
) -> Iterator[GatewayProcess]:
    """Start a gateway.  At the end of the block it must stop with status 0, without having logged an error.

    Without ``shed`` it refuses no newcomers for its load: a machine that runs tests is often overloaded.

    ``module`` is the module to run in place of the gateway, followed by arguments to put before the gateway's own.
    """
    command = [sys.executable, "-m", *module, "serve", "--log-format", "json", "--drain-timeout", "0"]
    ports = ["--port", str(port), "--media-port", str(media_port), *([] if shed else ["--no-shed-newcomers"])]
    with (
        log_file.open("wb") as log,
        subprocess.Popen([*command, *ports, *options], stderr=log, env=ENVIRONMENT) as process,
    ):
        try:
            gateway = wait_listening(process, log_file)
            yield gateway
            if process.poll() is None:
                gateway.stop()
            assert process.returncode == 0, log_file.read_text()
            assert [line for line in gateway.log() if line["level"] in ("error", "critical")] == []
        finally:
            if process.poll() is None:
                process.kill()


def wait_listening(process: "subprocess.Popen[bytes]", log_file: Path) -> GatewayProcess:
    """Wait until the gateway in this process listens."""

    def look() -> dict[str, Any] | None:
        assert process.poll() is None, log_file.read_text()
        return next((line for line in _read_log(log_file) if line["event"] == "listening"), None)

    listening = poll_until(look, lambda line: line is not None, _START_TIMEOUT)
    assert listening is not None
    return GatewayProcess(process, log_file, listening["url"], listening["media"])


def _read_log(log_file: Path) -> list[dict[str, Any]]:
    whole, newline, _ = log_file.read_text().rpartition("\n")  # the last line may be incomplete
    return [json.loads(line) for line in (whole + newline).splitlines()]
