"""Tells systemd that the gateway is ready, that its event loop runs, and that it stops (sd_notify(3)).

systemd gives the socket and the interval in the environment. Without them nothing happens.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio


def notify(state: str) -> None:
    """Send a state, such as ``READY=1``. Errors do not matter: a supervisor that is gone needs no news."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), "\0" + path[1:] if path[0] == "@" else path)


def watchdog_interval() -> float | None:
    """Seconds between two signs of life: half of the time after which systemd ends the process. None without one."""
    time, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not time.isdecimal() or not int(time) or process not in ("", str(os.getpid())):
        return None
    return int(time) / 1_000_000 / 2


@asynccontextmanager
async def tell_supervisor() -> AsyncIterator[None]:
    """The gateway is ready. Tell so, and show that the loop runs, while the block runs."""
    notify("READY=1")
    interval = watchdog_interval()
    async with trio.open_nursery() as nursery:
        if interval is not None:
            nursery.start_soon(_show_life, interval)
        yield
        nursery.cancel_scope.cancel()


async def _show_life(interval: float) -> None:
    while True:
        notify("WATCHDOG=1")
        await trio.sleep(interval)
