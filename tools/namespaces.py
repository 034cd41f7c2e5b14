"""Network namespaces without names, held by file descriptors: nothing of them can outlive who made them.

Tests cut links in them, benches put servers and clients at the two ends of a link.  This machine's own interfaces are
out of their sight.  It takes Linux, iproute2 and root.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_PROBE: Final = ("unshare", "--net", "ip", "link", "add", "probe", "type")


def why_not(kind: str = "veth") -> str | None:
    """Why this machine does not let us have a network of our own, of such links; None where it does."""
    try:
        done = subprocess.run((*_PROBE, kind), capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        return f"network namespaces need {error.filename} (Debian: util-linux, iproute2)"
    if done.returncode == 0:
        return None
    return f"no network namespaces here: {done.stderr.strip()}"


@contextmanager
def new_namespaces(count: int) -> Iterator[list[int]]:
    """Descriptors of so many; this thread is in the last one, and in its own again when the block is left."""
    descriptors = [this_namespace()]
    try:
        for _ in range(count):
            _call("unshare", _CLONE_NEWNET)
            descriptors.append(this_namespace())
        yield descriptors[1:]
    finally:
        enter(descriptors[0])
        for descriptor in descriptors:
            os.close(descriptor)


def path(namespace: int) -> str:
    """What ``ip`` and ``nsenter`` take for a name, for as long as this process lives."""
    return f"/proc/{os.getpid()}/fd/{namespace}"


def enter(namespace: int) -> None:
    """Go on in another namespace, with this thread alone, and with the processes that it starts."""
    _call("setns", namespace, _CLONE_NEWNET)


def this_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def configure(*command: str) -> str:
    """Run ``ip`` or ``bridge`` in this thread's namespace; what it printed."""
    return subprocess.run(command, check=True, capture_output=True, timeout=10, text=True).stdout


def _call(name: str, *arguments: int) -> None:
    # The os module has these from Python 3.12 on.
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
