"""Reads and shows quantities such as ``50ms``, ``1%``, ``1.2M`` and ``2/s``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(\S*)")
_SECONDS: Final = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}
_MULTIPLES: Final = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_SHARES: Final = {"": 1.0, "%": 0.01}
_RATES: Final = {"": 1.0, "/s": 1.0, "/m": 1 / 60, "/min": 1 / 60}
_SIZES: Final = {"": 1.0, "k": 1024.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3}


def _parse(text: str, units: Mapping[str, float], example: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise ValueError(f"{text!r} is not understood. An example: {example}")
    return float(found[1]) * units[found[2]]


def parse_seconds(text: str) -> float:
    """Read a time in seconds.  A bare number means seconds.  All functions here that read raise ``ValueError``."""
    return _parse(text, _SECONDS, "20s, 50ms, 2m")


def parse_share(text: str) -> float:
    """Read a share, 0 to 1."""
    share = _parse(text, _SHARES, "1%, 0.01")
    if share > 1:
        raise ValueError(f"{text!r} is more than 100%. An example: 1%")
    return share


def parse_rate(text: str) -> float:
    """Read a rate per second.  A bare number means per second, too."""
    return _parse(text, _RATES, "2/s, 30/min")


def parse_bitrate(text: str) -> int:
    """Read a bitrate in bit/s."""
    bitrate = round(_parse(text.removesuffix("bit/s").strip(), _MULTIPLES, "600k, 1.2M"))
    if bitrate <= 0:
        raise ValueError(f"{text!r} is not understood. An example: 600k")
    return bitrate


def parse_size(text: str) -> float:
    """Read a size in bytes.  ``k``, ``M`` and ``G`` are powers of 1024."""
    return _parse(text.removesuffix("B").strip(), _SIZES, "500k, 2M")


def show_seconds(seconds: float | None) -> str:
    """Show a time in the unit that suits it, such as ``1.25 ms``."""
    if seconds is None:
        return "–"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2f} s"


def show_share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.3f} %" if 0 < share < 0.01 else f"{share * 100:.2f} %"


def show_bitrate(bits: float | None) -> str:
    if bits is None:
        return "–"
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= size:
            return f"{bits / size:.2f} {unit}"
    return f"{bits:.0f} bit/s"


def show_size(size: float | None) -> str:
    if size is None:
        return "–"
    return f"{size / 1024**2:.2f} MiB" if abs(size) >= 1024**2 else f"{size / 1024:.0f} KiB"
