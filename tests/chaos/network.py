"""A network of the test's own, whose links can be cut without a word to either side.

The gateway lives in one network namespace, each group of clients in another; a bridge joins them.  A port of the bridge
that is disabled drops what comes either way: no reset, no error, packets just vanish.  The namespaces have no names and
are held by file descriptors, so that nothing of them can outlive the test, however it ends; and this machine's own
interfaces are out of its sight.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

_CLONE_NEWNET: Final = 0x40000000
_DISABLED: Final = "0"
_FORWARDING: Final = "3"
_PROBE: Final = ("unshare", "--net", "ip", "link", "add", "probe", "type", "bridge")


@frozen
class Network:
    """Where a gateway can listen, and where clients can live: ``places`` are paths of their namespaces."""

    host: str
    places: tuple[str, ...] = ()
    options: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "options", ("--host", self.host, "--media-host", self.host))

    def cut(self, place: int) -> None:
        """From now on nothing passes between that place and the gateway."""
        _run("bridge", "link", "set", "dev", _port(place), "state", _DISABLED)

    def heal(self, place: int) -> None:
        _run("bridge", "link", "set", "dev", _port(place), "state", _FORWARDING)


LOOPBACK: Final = Network("127.0.0.1")


def why_no_namespaces() -> str | None:
    """Why this machine does not let us have a network of our own; None where it does."""
    try:
        done = subprocess.run(_PROBE, capture_output=True, text=True, timeout=10, check=False)
        _run("bridge", "-Version")
    except OSError as error:
        return f"network namespaces need {error.filename} (Debian: util-linux, iproute2)"
    if done.returncode == 0:
        return None
    return f"no network namespaces here: {done.stderr.strip()}"


@contextmanager
def open_network(places: int) -> Iterator[Network]:
    """Be, with this thread and the processes it starts, in the gateway's namespace while the block runs."""
    descriptors = [_this_namespace()]
    try:
        for _ in range(places + 1):  # the last one is the gateway's
            _call("unshare", _CLONE_NEWNET)
            descriptors.append(_this_namespace())
        paths = tuple(f"/proc/{os.getpid()}/fd/{descriptor}" for descriptor in descriptors[1:-1])
        _build(descriptors[-1], descriptors[1:-1], paths)
        yield Network("10.0.0.1", paths)
    finally:
        enter(descriptors[0])
        for descriptor in descriptors:
            os.close(descriptor)


def _build(home: int, descriptors: list[int], paths: tuple[str, ...]) -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "hub", "type", "bridge")
    _run("ip", "address", "add", "10.0.0.1/24", "dev", "hub")
    _run("ip", "link", "set", "hub", "up")
    for place, (descriptor, path) in enumerate(zip(descriptors, paths, strict=True)):
        _run("ip", "link", "add", _port(place), "type", "veth", "peer", "name", "uplink", "netns", path)
        _run("ip", "link", "set", _port(place), "master", "hub", "up")
        enter(descriptor)
        _run("ip", "address", "add", f"10.0.0.{10 + place}/24", "dev", "uplink")
        _run("ip", "link", "set", "uplink", "up")
        enter(home)


def _port(place: int) -> str:
    return f"port{place}"


def enter(namespace: int) -> None:
    """Go on in another network namespace, with this thread alone."""
    _call("setns", namespace, _CLONE_NEWNET)


def _this_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    # The os module has these from Python 3.12 on.
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)
