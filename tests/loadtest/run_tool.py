"""Runs the tool as a process, and reads its exit status and its report."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.gateway_process import ENVIRONMENT

TIMEOUT = 60


@frozen
class Run:
    """A finished run. ``report`` is the output of ``--json -``, and ``said`` is the output on standard error."""

    status: int
    report: dict[str, Any]
    said: str

    @property
    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = self.report["figures"]
        return figures

    @property
    def errors(self) -> dict[str, int]:
        """List errors by kind."""
        errors: dict[str, int] = self.report["roster"]["errors"]
        return errors

    @property
    def broken(self) -> set[str]:
        """Keys of the broken thresholds."""
        return {verdict["figure"] for verdict in self.report["thresholds"] if not verdict["kept"]}


def command(url: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tools.loadtest.command", url, *options]


def run_tool(url: str, *options: str) -> Run:
    """Run it to its end, with its report on standard output."""
    done = subprocess.run(
        command(url, *options, "--json", "-"), capture_output=True, timeout=TIMEOUT, check=False, env=ENVIRONMENT
    )
    return finished(done.returncode, done.stdout, done.stderr)


def finished(status: int, out: bytes, said: bytes) -> Run:
    assert out, said.decode()
    return Run(status, json.loads(out), said.decode())


@contextmanager
def started_tool(url: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        command(url, *options, "--json", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def end_of(process: "subprocess.Popen[bytes]") -> Run:
    out, said = process.communicate(timeout=TIMEOUT)
    return finished(process.returncode, out, said)


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def wait_until(look: Any, within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)
