"""The clock, limits and buffers of the system, and whether the packet path works on it."""

import ctypes
import os
import resource
import socket
import time
from datetime import UTC, datetime
from typing import Final

import trio

import sfu
from gateway.checks.findings import Finding, error, ok, unknown, warning
from gateway.config import Config
from gateway.config.open_files import open_files_wanted
from sfu.dataplane.udp import BUFFER_BYTES

_FIRST_YEAR: Final = 2026  # this code is not older
_LAST_YEAR: Final = 2100
_JUMP: Final = 0.05
_WATCHED_SECONDS: Final = 0.5
_FEW_FILES: Final = 256
# struct timex of adjtimex(2): modes, offset, freq, maxerror, esterror, status … We only read, with modes 0.
_TIMEX_BYTES: Final = 512
_STA_UNSYNC: Final = 0x0040


async def check_clock(_: Config) -> list[Finding]:
    """Tokens, TURN credentials and TLS need the right time of day. Timeouts need a clock that goes on evenly."""
    wall, monotonic = time.time(), time.monotonic()
    await trio.sleep(_WATCHED_SECONDS)
    jump = (time.time() - wall) - (time.monotonic() - monotonic)
    return judge_clock(datetime.fromtimestamp(wall, UTC), jump, is_synchronised())


def judge_clock(now: datetime, jump: float, synchronised: bool | None) -> list[Finding]:
    """Judge the time of day, by how many seconds it jumped while it was watched, and whether NTP keeps it."""
    found = []
    if not _FIRST_YEAR <= now.year < _LAST_YEAR:
        text = f"says {now:%Y-%m-%d}, so tokens and certificates do not count"
        found.append(error("clock", text, "set the clock, and let NTP keep it"))
    if abs(jump) > _JUMP:
        text = f"the time of day jumped by {jump:+.2f} s while it was watched"
        found.append(warning("clock", text, "let one program alone set the clock"))
    if synchronised is None:
        found.append(unknown("clock", "the system does not tell whether NTP keeps it"))
    elif not synchronised:
        text = "nothing keeps the clock right, and tokens and TURN credentials depend on it"
        found.append(warning("clock", text, "run chrony or systemd-timesyncd here, or on the host of the container"))
    return found or [ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, kept by NTP")]


def is_synchronised() -> bool | None:
    """Whether the kernel's clock is kept by NTP, as adjtimex(2) tells. None if the system does not tell."""
    buffer = (ctypes.c_long * (_TIMEX_BYTES // ctypes.sizeof(ctypes.c_long)))()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return not ctypes.cast(buffer, ctypes.POINTER(ctypes.c_int))[5 * ctypes.sizeof(ctypes.c_long) // 4] & _STA_UNSYNC


def check_open_files(config: Config) -> list[Finding]:
    """Each connection needs a file. The gateway raises its own limit as far as the system allows."""
    hard, wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[1], open_files_wanted(config)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return [ok("open files", f"{_count(hard)} allowed, {wanted} wanted")]
    text = f"{hard} allowed, and the limits of connections add up to {wanted}"
    remedy = f"LimitNOFILE={wanted} in the unit, ulimit -n {wanted}, or smaller limits of connections"
    return [(error if hard < _FEW_FILES else warning)("open files", text, remedy)]


def _count(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else str(limit)


def check_buffers(_: Config) -> list[Finding]:
    """Bursts of media wait in the buffers of the sockets. The kernel gives less than asked without a word."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for option, setting, what in (
            (socket.SO_RCVBUF, "net.core.rmem_max", "receiving"),
            (socket.SO_SNDBUF, "net.core.wmem_max", "sending"),
        ):
            probe.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            # The kernel reports twice the size, for its own bookkeeping (socket(7)).
            granted = probe.getsockopt(socket.SOL_SOCKET, option) // 2
            subject = f"buffer for {what}"
            if granted >= BUFFER_BYTES:
                found.append(ok(subject, f"{granted // 1024} KiB"))
            else:
                text = f"{granted // 1024} KiB instead of {BUFFER_BYTES // 1024}, so bursts of media may be lost"
                found.append(warning(subject, text, f"sysctl -w {setting}={BUFFER_BYTES}"))
    return found


def check_randomness(_: Config) -> list[Finding]:
    """Keys and secrets wait for the system's random numbers, which a machine lacks for a while after its start."""
    try:
        os.getrandom(16, os.GRND_NONBLOCK)
    except BlockingIOError:
        text = "the system has no random numbers yet, and keys wait for them"
        return [warning("randomness", text, "wait, or give the virtual machine a virtio-rng device")]
    return [ok("randomness", "available")]


def check_packet_path(_: Config) -> list[Finding]:
    """Carry a made-up call between two data planes in memory."""
    try:
        sfu.self_test()
    except RuntimeError as failed:
        return [error("packet path", f"the self-test fails on this machine: {failed}", "report this as a bug")]
    return [ok("packet path", "a made-up call came through")]
