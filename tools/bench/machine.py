"""Describes the machine that a bench ran on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def describe() -> str:
    """Return the number of usable cores, the processor's model, the kernel and Python, in one line."""
    cores = len(os.sched_getaffinity(0))
    plural = "" if cores == 1 else "s"
    kernel = f"{platform.system()} {platform.release()}"
    return f"{cores} core{plural}, {_model()}, {kernel}, {platform.python_implementation()} {platform.python_version()}"


def _model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(), re.MULTILINE) if _CPUINFO.exists() else None
    return " ".join(found[1].split()) if found else platform.machine() or "unknown processor"
