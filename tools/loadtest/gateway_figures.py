"""Reads the gateway's own ``/metrics``, and the system's figures of the gateway's process."""

from __future__ import annotations

import os
import re
import resource
import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Final

import trio
from attrs import define, frozen

_SECONDS: Final = 5.0
_MOST: Final = 4 * 1024 * 1024
_SAMPLE: Final = re.compile(rb"^([a-zA-Z_:][^ ]*) ([0-9.eE+-]+|NaN)$", re.MULTILINE)


class NoFiguresError(Exception):
    """The figures are not available.  The text says why."""


@frozen
class GatewayFigures:
    """The figures at one moment.  An unknown figure is None.

    ``cpu`` is in seconds and ``memory`` in bytes.  ``packets_in`` and ``packets_out`` count datagrams on the media
    ports.  The gateway asked senders for ``asked_in`` missing packets.  Of those ``repaired`` came, and ``given_up`` it
    does not ask for any more.  Receivers asked for ``asked_out`` packets, of which ``resent`` were sent again.
    ``stored`` bytes of memory are reserved for the packets that may be sent again.
    """

    at: float
    cpu: float | None = None
    memory: float | None = None
    packets_in: int | None = None
    packets_out: int | None = None
    drops: int | None = None
    members: int | None = None
    asked_in: int | None = None
    repaired: int | None = None
    given_up: int | None = None
    asked_out: int | None = None
    resent: int | None = None
    stored: int | None = None


@define
class GatewayWatch:
    """Reads the figures from a URL, ``metrics``, and from a process on this machine, ``pid``.  Either may be None.

    ``trusted`` says what to trust for https, in place of what the system trusts.
    """

    metrics: str | None
    pid: int | None
    trusted: ssl.SSLContext | None = None

    async def look(self) -> GatewayFigures:
        """Return the figures of this moment.  Raises :exc:`NoFiguresError`."""
        samples: dict[str, float] = {}
        if self.metrics is not None:
            samples = await trio.to_thread.run_sync(scrape, self.metrics, self.trusted, abandon_on_cancel=True)
        cpu, memory = samples.get("process_cpu_seconds_total"), samples.get("process_resident_memory_bytes")
        if self.pid is not None:
            cpu, memory = _usage(self.pid)
        return GatewayFigures(
            time.monotonic(),
            cpu,
            memory,
            _count(samples, 'sfu_packets_total{direction="in"}'),
            _count(samples, 'sfu_packets_total{direction="out"}'),
            _sum(samples, "sfu_drops_total{"),
            _count(samples, "sfu_members"),
            _count(samples, 'sfu_requested_packets_total{direction="in"}'),
            _count(samples, "sfu_repaired_packets_total"),
            _count(samples, "sfu_given_up_packets_total"),
            _count(samples, 'sfu_requested_packets_total{direction="out"}'),
            _count(samples, "sfu_resent_packets_total"),
            _count(samples, "sfu_stored_bytes"),
        )


def _count(samples: dict[str, float], name: str) -> int | None:
    return int(samples[name]) if name in samples else None


def _sum(samples: dict[str, float], prefix: str) -> int | None:
    found = [int(value) for name, value in samples.items() if name.startswith(prefix)]
    return sum(found) if found else None


def scrape(url: str, context: ssl.SSLContext | None = None) -> dict[str, float]:
    """Read all samples from ``/metrics``, by name and labels.  Raises :exc:`NoFiguresError`.

    ``context`` says what to trust for https, in place of what the system trusts.
    """
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS, context=context) as answer:
            text = answer.read(_MOST)
    except (OSError, ValueError, HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NoFiguresError(f"{url} cannot be read: {reason}") from error
    samples = {found[1].decode(): float(found[2]) for found in _SAMPLE.finditer(text)}
    if not any(name.startswith("sfu_") for name in samples):
        raise NoFiguresError(f"{url} has no metrics of a gateway")
    return samples


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far, from the process's own clock.

    Python lacks clock_getcpuclockid(3), which computes this clock's id from the process id.
    """
    return time.clock_gettime(~pid << 3 | 2)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _usage(pid: int) -> tuple[float, float]:
    try:
        return cpu_seconds(pid), float(resident_bytes(pid))
    except (OSError, ValueError, OverflowError, IndexError) as error:
        raise NoFiguresError(f"the figures of process {pid} cannot be read: {error}") from error


def is_running(pid: int) -> bool:
    """Whether this process exists and may be read."""
    return os.path.exists(f"/proc/{pid}/statm")  # noqa: PTH110 - not a file that anybody wrote
