"""Network namespaces without names.  File descriptors hold them, so they end with the process that made them.

Tests cut links in them.  Benches put servers and clients at the two ends of a link.  The machine's own interfaces are
not visible in them.  They need Linux, iproute2 and root.
"""

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_PROBE: Final = ("unshare", "--net", "ip", "link", "add", "probe", "type")

# The calls with which threads of this process moved.
_moved: Final[set[str]] = set()


def why_not(kind: str = "veth") -> str | None:
    """Why this machine cannot make a network namespace with a link of this kind, or None if it can."""
    try:
        done = subprocess.run((*_PROBE, kind), capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        return f"network namespaces need {error.filename} (Debian: util-linux, iproute2)"
    if done.returncode == 0:
        return None
    return f"no network namespaces here: {done.stderr.strip()}"


@contextmanager
def new_namespaces(count: int) -> Iterator[list[int]]:
    """Make ``count`` namespaces, and yield their descriptors.

    This thread is in the last one during the block, and back in its own after it.
    """
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
    """A path that ``ip`` and ``nsenter`` take for a namespace.  It is valid while this process lives."""
    return f"/proc/{os.getpid()}/fd/{namespace}"


def enter(namespace: int) -> None:
    """Move this thread, and processes that it starts from now on, to another namespace."""
    _call("setns", namespace, _CLONE_NEWNET)


def here() -> tuple[str, ...]:
    """The beginning of a command that runs the rest of it in this thread's namespace.  Empty while no thread has moved.

    Trio starts processes from threads that it keeps for ten seconds.  Such a thread may have been made before this one
    moved, and then it is in another namespace.
    """
    if not _moved:
        return ()
    return ("nsenter", f"--net=/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")


def this_namespace() -> int:
    """A new descriptor of this thread's namespace.  The caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def configure(*command: str) -> str:
    """Run ``ip`` or ``bridge`` in this thread's namespace, and return its output.

    Raises ``subprocess.CalledProcessError`` if the command fails.
    """
    return subprocess.run(command, check=True, capture_output=True, timeout=10, text=True).stdout


def _call(name: str, *arguments: int) -> None:
    # Python's os module has unshare and setns only from version 3.12 on.
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    _moved.add(name)
