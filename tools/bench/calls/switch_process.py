"""Runs the switch in a process of its own: ``python -m tools.bench.calls.switch_process SEED DESCRIPTOR …``.

The descriptors are TAP devices, one for each port.  Each line of standard input is a JSON object, and each gets one
line of JSON as its answer:

- ``{"set": "to" or "from", "port": …, "conditions": {…}}`` changes conditions.  The answer is ``{}``.
- ``{"capture": "FILE"}`` writes all frames that come in into this file, in the format of libpcap.  ``null`` ends this.
  The answer is ``{}``.
- ``{"waits": "to" or "from", "port": …}`` asks how long frames waited in a queue since the last such request: a list of
  times on the machine's monotonic clock, each with the longest wait at that time.
- ``{"counts": true}`` asks for what every direction has counted, and how late frames left.

It ends when standard input ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from attrs import asdict, define

from tools.bench.calls.conditions import Conditions
from tools.bench.calls.switch import Switch, Way

#: Frames that it reads from a device before it looks at the others.
_AT_ONCE: Final = 32
_FRAME_BYTES: Final = 2048
#: Enough of each frame for its heads and for a STUN message.
_CAPTURED_BYTES: Final = 256
#: The file's head: magic number for nanoseconds, version, zone, accuracy, longest frame, kind of frames.
_PCAP_HEAD: Final = struct.Struct("=IHHiIII")
_PCAP_FRAME: Final = struct.Struct("=IIII")
_ETHERNET: Final = 1
_WAYS: Final[Sequence[Way]] = ("from", "to")


@define
class Capture:
    """Writes the beginning of each frame into a file, while there is one."""

    _file: IO[bytes] | None = None

    def begin(self, name: str | None) -> None:
        """Write into this file from now on."""
        if self._file is not None:
            self._file.close()
        self._file = None if name is None else Path(name).open("wb")  # noqa: SIM115 - the next call closes it
        if self._file is not None:
            self._file.write(_PCAP_HEAD.pack(0xA1B23C4D, 2, 4, 0, 0, _CAPTURED_BYTES, _ETHERNET))

    def write(self, frame: bytes) -> None:
        if self._file is not None:
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            kept = frame[:_CAPTURED_BYTES]
            self._file.write(_PCAP_FRAME.pack(seconds, nanoseconds, len(kept), len(frame)) + kept)


def answer(switch: Switch, capture: Capture, request: Mapping[str, Any]) -> Mapping[str, Any] | Sequence[Any]:
    """Carry out a request of one line."""
    if "set" in request:
        switch.set(request["set"], request["port"], Conditions(**request["conditions"]))
        return {}
    if "capture" in request:
        capture.begin(request["capture"])
        return {}
    if "waits" in request:
        return switch.direction(request["waits"], request["port"]).take_waits()
    directions: dict[str, Any] = {way: _counts(switch, way) for way in _WAYS}
    return {**directions, "late": switch.late, "unknown": switch.unknown, "too_many": switch.too_many}


def _counts(switch: Switch, way: Way) -> list[dict[str, int]]:
    return [asdict(switch.direction(way, port).counts) for port in range(switch.ports)]


def run(switch: Switch, devices: Sequence[int]) -> None:
    """Move frames until standard input ends."""
    requests, rest, capture = sys.stdin.fileno(), b"", Capture()
    ports = {device: port for port, device in enumerate(devices)}
    while True:
        due = switch.next_due()
        timeout = None if due is None else max(0.0, due - time.monotonic())
        # Unlike epoll, select takes microseconds.
        ready, _, _ = select.select([requests, *devices], [], [], timeout)
        for descriptor in ready:
            if descriptor != requests:
                read_frames(switch, capture, ports[descriptor], descriptor)
                continue
            if not (read := os.read(requests, 65536)):
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                print(json.dumps(answer(switch, capture, json.loads(line))), flush=True)
        for port, frame in switch.due(time.monotonic()):
            with suppress(OSError):  # the interface is down, or gone
                os.write(devices[port], frame)


def read_frames(switch: Switch, capture: Capture, port: int, device: int) -> None:
    for _ in range(_AT_ONCE):
        try:
            frame = os.read(device, _FRAME_BYTES)
        except BlockingIOError:
            return
        capture.write(frame)
        switch.receive(time.monotonic(), port, frame)


def main() -> None:
    seed, *devices = map(int, sys.argv[1:])
    with suppress(PermissionError):
        # Before all browsers and servers: a frame costs some 20 µs, and a late frame spoils a run.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.freeze()
    gc.disable()  # it makes no cycles, and a collection would delay frames
    print("{}", flush=True)
    run(Switch(len(devices), seed), devices)


if __name__ == "__main__":
    main()
